"""The exercises of the notebooks: what a right answer is, and what to say to a wrong one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..ops.creation import tensor
from ..tensor import Tensor
from .exercises import Known, Tested


def _numbers(values: Any) -> np.ndarray:
    """Tensors, arrays or numbers as a float64 array."""
    if isinstance(values, Tensor):
        values = values.detach().numpy()
    return np.asarray(values, np.float64)


def derivative_of(f: Callable[[Any], Any], points: Any, name: str) -> Tested:
    """The answer is a function of arrays, elementwise: is it the derivative of f?"""
    points = np.asarray(points, np.float64)

    def test(answer: Callable[[Any], Any]) -> str | None:
        step = 1e-6
        expected = (f(points + step) - f(points - step)) / (2 * step)
        found = _numbers(answer(points))
        if found.shape != points.shape:
            return f"for {points.shape} points it returned the shape {found.shape}."
        wrong = np.abs(found - expected) > 1e-6 * (1 + np.abs(expected))
        if wrong.any():
            at = points[wrong][0]
            return (
                f"at x = {at:g} your derivative of {name} is {found[wrong][0]:.6g}; move x a "
                f"little to both sides and look how {name} moves."
            )
        return None

    return Tested(test)


# ------------------------------------------------------------------ 1: a neuron, the perceptron


def _computes_and(answer: Any) -> str | None:
    w = _numbers(answer)
    if w.shape != (3,):
        return "three numbers are asked for: w1, w2 and b."
    for x1 in (0, 1):
        for x2 in (0, 1):
            fires = w[0] * x1 + w[1] * x2 + w[2] > 0
            if fires != bool(x1 and x2):
                return f"with the inputs ({x1}, {x2}) this neuron {'fires' if fires else 'rests'}."
    return None


def _perceptron_step(answer: Callable[..., Any]) -> str | None:
    random = np.random.default_rng(0)
    for _ in range(50):
        x, w, b = random.standard_normal(4), random.standard_normal(4), random.standard_normal()
        y = random.choice([-1, 1])
        kept = w.copy(), b
        new_w, new_b = answer(w.copy(), b, x, y)
        wrong = y * (kept[0] @ x + kept[1]) <= 0
        expected = (w + y * x, b + y) if wrong else kept
        if not (np.allclose(new_w, expected[0]) and np.isclose(new_b, expected[1])):
            return (
                "when the example is on the wrong side, weights and bias move by y times the input."
                if wrong
                else "when the example is on its right side, nothing changes."
            )
    return None


# ----------------------------------------------------- 2: backpropagation by hand and by tape


def _softplus_pullback(answer: Callable[..., Any]) -> str | None:
    from ..autograd import Function
    from ..autograd.gradcheck import check as gradcheck

    class Softplus(Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            ctx.save_for_backward(x)
            return (1 + x.exp()).log()

        @staticmethod
        def backward(ctx: Any, dy: Tensor) -> Any:
            return answer(dy, *ctx.saved_tensors)

    points = tensor(np.linspace(-3, 3, 8), requires_grad=True)
    report = gradcheck(Softplus.apply, points)
    return None if report else f"the gradient check says: {report.cause}"


# --------------------------------------------------- 4: convolution by loops, im2col, Winograd


def _scatters(answer: Callable[..., Any]) -> str | None:
    from ..kernels.conv2d import naive
    from ..kernels.conv2d.dims import Conv2dDims

    random = np.random.default_rng(0)
    dims = Conv2dDims.of((2, 3, 6, 7), (4, 3, 3, 2))
    dy, w = random.standard_normal(dims.y_shape), random.standard_normal(dims.w_shape)
    found, expected = _numbers(answer(dy, w)), naive.grad_input(dy, w, dims=dims)
    if found.shape != expected.shape:
        return f"for dy {dy.shape} and w {w.shape}, dx is {expected.shape}, yours {found.shape}."
    if np.allclose(found, expected):
        return None
    return "a pixel lies under several windows: add up what each of them sends."


# ------------------------------------------------------------------ 5: a ConvNet on real images


def _accuracy_per_class(answer: Callable[..., Any]) -> str | None:
    matrix = np.array([[8, 2, 0], [1, 3, 0], [5, 0, 15]])
    found = _numbers(answer(matrix))
    if found.shape != (3,):
        return f"for three classes it returned the shape {found.shape}."
    if np.allclose(found, [8 / 14, 3 / 5, 1]):
        return "you divided by the columns; the true classes are in the rows."
    return None if np.allclose(found, [0.8, 0.75, 0.75]) else "divide the right ones by the row."


# ------------------------------------------------------ 7: how a GPU computes a convolution


def _counts_transactions(answer: Callable[..., Any]) -> str | None:
    lane = np.arange(32)
    for addresses in (4 * lane, 4 * lane + 64, 128 * lane, 0 * lane + 4, 8 * lane, 4 * lane[::-1]):
        expected = len({int(a) // 128 for a in addresses})
        if answer(addresses) != expected:
            return (
                f"addresses {addresses[0]}, {addresses[1]}, {addresses[2]}, ... take {expected}, "
                f"yours says {answer(addresses)}."
            )
    return None


# --------------------------------------------------------- 9: your own layer, your own kernel


def _layer_scale(answer: Callable[..., Any]) -> str | None:
    from ..autograd import Function
    from ..autograd.gradcheck import check as gradcheck

    class LayerScale(Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor, g: Tensor) -> Tensor:
            ctx.save_for_backward(x, g)
            return x * g

        @staticmethod
        def backward(ctx: Any, dy: Tensor) -> Any:
            return answer(dy, *ctx.saved_tensors)

    random = np.random.default_rng(0)
    x, g = (tensor(random.standard_normal(s), requires_grad=True) for s in ((4, 3), (3,)))
    report = gradcheck(LayerScale.apply, (x, g))
    return None if report else f"the gradient check says: {report.cause}"


EXERCISES: dict[str, Known | Tested] = {
    "01-1": Tested(_computes_and),
    "01-2": Tested(_perceptron_step),
    "01-3": Known(("d7b5d1c91f65422c",), "what one hidden neuron does, its equals do too."),
    "01-4": Known(("34a4ec135671d4c4",), "one weight for each pixel and class, and the biases."),
    "02-1": derivative_of(
        lambda x: 1 / (1 + np.exp(-x)), [-2.0, -0.5, 0.0, 0.7, 3.0], "the logistic function"
    ),
    "02-2": Known(
        ("f35001b695b54c91",),
        "the first input reaches both hidden neurons: add up ds times weight.",
    ),
    "02-3": Known(
        ("44e7ecb387a75bd5", "441971725943c235"),
        "draw the graph and count the arrows that leave x.",
    ),
    "02-4": Tested(_softplus_pullback),
    "02-5": Known(
        ("c6b897aa97f988e3", "88a8cbb45497a127", "e89ca8a227476bb5"),
        "dW has the shape of W, and each of its numbers is a sum over the batch.",
    ),
    "04-1": Known(
        ("52dc3541252c9479",), "each of the 28 x 28 outputs of a filter is a sum over its window."
    ),
    "04-2": Tested(_scatters),
    "04-3": Known(
        ("6cb145848a8a2e3c",), "channels times filter positions rows, a column for each output."
    ),
    "04-4": Known(
        ("7891101d4de1e877",), "a tile is transformed to 6 by 6 numbers, each multiplied once."
    ),
    "05-1": Known(
        ("c7b265275f5c4913", "87421465cb8dd108"),
        "weights of one filter times the filters, and one bias for each.",
    ),
    "05-2": Known(("cf9854166878e926",), "floor((28 + 2 padding - 5) / stride) + 1."),
    "05-3": Known(
        ("cef577ff1d45feea",),
        "a tenth of the images have the favoured class, nine tenths another.",
        digits=2,
    ),
    "05-4": Tested(_accuracy_per_class),
    "06-1": Known(
        ("243d03c7c8073940",), "every unit has a weight for each of the inputs, and a bias."
    ),
    "06-2": Known(
        ("01d32b31179134d8", "e84d869ae6dfd563"),
        "each 3x3 adds two pixels of its own input; behind the pooling a pixel is two wide.",
    ),
    "06-3": Known(
        ("c67aedf2aeec4cd3",), "a multiply-add for each output and each number of its window."
    ),
    "06-4": Known(
        ("e255b6ab5e4915ff",), "from the left end to the right there is one more place than steps."
    ),
    "07-1": Known(("1bd481e3c9388af4",), "the blocks before it have 256 elements each."),
    "07-2": Known(("0bff6522f1f5d042",), "one thread for each number of the result; round up."),
    "07-3": Known(
        ("8bdceab105decd48",), "two numbers fetched are used 32 times each; a float64 has 8 bytes."
    ),
    "07-4": Tested(_counts_transactions),
    "08-1": Known(("cff1cefa798f9e6f",), "two numbers of eight bytes are read and one is written."),
    "08-2": Known(("8143df39c0d495e8",), "where the slope meets the flat roof."),
    "08-3": Known(("31eb4aed5602d5ae",), "three tiles of four bytes a number; KiB are 1024 bytes."),
    "08-4": Known(
        ("33b79c91f12e4ff5", "54b51c70e1b5baf5"),
        "the tenth takes as long as before, however many share the rest.",
    ),
    "09-1": derivative_of(
        lambda x: np.where(x > 0, x, np.exp(x) - 1), [-3.0, -1.0, -0.1, 0.5, 2.0], "ELU"
    ),
    "09-2": Known(("2c9100045097ab74",), "r is 3 there; by b the root has the slope 1 / (2 r)."),
    "09-3": Tested(_layer_scale),
    "09-4": Known(
        ("13f519d7a5827249",), "count the arrays read and written by each of the operations."
    ),
}
