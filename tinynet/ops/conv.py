"""Two-dimensional convolution: three operations whose derivatives are one another.

y is linear in x and linear in w. So the derivative of each of the three is again one of the
three, and derivatives of every order come for free:

    conv2d(x, w)               -> y      dx = grad_input(dy, w)    dw = grad_weight(dy, x)
    conv2d_grad_input(dy, w)   -> dx     ddy = conv2d(g, w)        dw = grad_weight(dy, g)
    conv2d_grad_weight(dy, x)  -> dw     ddy = conv2d(x, g)        dx = grad_input(dy, g)

Shapes: x (N, C, H, W), w (K, C/groups, R, S), bias (K,), y (N, K, P, Q).
What one order remembers, the next uses: the dims and the backend of the first forward pass.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tinynet.kernels as kernels

from ..autograd import layout
from ..autograd.tape import differentiable

if TYPE_CHECKING:
    from ..tensor import Tensor


@differentiable
def conv2d(
    x: Tensor, w: Tensor, bias: Tensor | None, *, dims: Any, backend: Any, rectified: bool = False
) -> Any:
    """y[n,k,p,q] = bias[k] + sum over c,r,s of w[k,c,r,s] * x[n,c,h,w].

    h = p * stride + r * dilation - padding, w alike from q and s; x is 0 outside its plane.
    With `rectified` y is max(y, 0) already, and `activation.rectified`, which has the derivative of
    that, must follow.
    """
    forward = _forward_relu if rectified else _forward
    y = forward(backend, x.array, w.array, None if bias is None else bias.array, dims)
    return layout.kept(y, x, w), (
        lambda dy: conv2d_grad_input(dy, w, dims=dims, backend=backend),
        lambda dy: conv2d_grad_weight(dy, x, dims=dims, backend=backend),
        lambda dy: dy.sum((0, 2, 3)),
    )


def _forward(backend: Any, x: Any, w: Any, bias: Any, dims: Any) -> Any:
    return backend.forward(x, w, bias, dims=dims)


def _forward_relu(backend: Any, x: Any, w: Any, bias: Any, dims: Any) -> Any:
    """In one pass over y where the kernels can, else in the same memory."""
    if hasattr(backend, "forward_relu"):
        return backend.forward_relu(x, w, bias, dims=dims)
    y = backend.forward(x, w, bias, dims=dims)
    return kernels.of(y).activation.relu(y, y)


@differentiable
def conv2d_grad_input(dy: Tensor, w: Tensor, *, dims: Any, backend: Any) -> Any:
    """dx of shape (N, C, H, W): each dy[n,k,p,q] is spread over the window that made it."""
    dx = backend.grad_input(dy.array, w.array, dims=dims)
    return dx, (
        lambda g: conv2d(g, w, None, dims=dims, backend=backend),
        lambda g: conv2d_grad_weight(dy, g, dims=dims, backend=backend),
    )


@differentiable
def conv2d_grad_weight(dy: Tensor, x: Tensor, *, dims: Any, backend: Any) -> Any:
    """dw of shape (K, C/groups, R, S): dy correlated with the windows of x."""
    dw = backend.grad_weight(dy.array, x.array, dims=dims)
    return dw, (
        lambda g: conv2d(x, g, None, dims=dims, backend=backend),
        lambda g: conv2d_grad_input(dy, g, dims=dims, backend=backend),
    )
