"""Optimiser steps in NumPy, in place, by PyTorch's formulas.

Every array has the parameter's shape and dtype, and may be a view with any strides.
"""

import numpy as np
from numpy import ndarray


def sgd_step(
    param: ndarray,
    grad: ndarray,
    momentum_buffer: ndarray | None,
    *,
    lr: float,
    momentum: float = 0.0,
    dampening: float = 0.0,
    weight_decay: float = 0.0,
    nesterov: bool = False,
    maximize: bool = False,
    first: bool = False,
) -> None:
    """Stochastic gradient descent with momentum; updates param and momentum_buffer.

        g = grad + weight_decay param
        buffer = momentum buffer + (1 - dampening) g        (first step: buffer = g)
        param -= lr (g + momentum buffer if nesterov else buffer)

    maximize negates grad. momentum_buffer may be None if momentum is 0. Sutskever et al. 2013.
    """
    step = -grad if maximize else grad
    if weight_decay:
        step = step + weight_decay * param
    if momentum:
        assert momentum_buffer is not None
        if first:
            momentum_buffer[...] = step
        else:
            momentum_buffer *= momentum
            momentum_buffer += (1 - dampening) * step
        step = step + momentum * momentum_buffer if nesterov else momentum_buffer
    param -= lr * step


def adam_step(
    param: ndarray,
    grad: ndarray,
    exp_avg: ndarray,
    exp_avg_sq: ndarray,
    max_exp_avg_sq: ndarray | None,
    *,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    step: int,
    decoupled: bool,
    maximize: bool = False,
) -> None:
    """Adam (Kingma and Ba 2014, arXiv:1412.6980); updates param and both averages.

        g = grad + weight_decay param              (decoupled: param *= 1 - lr weight_decay)
        exp_avg += (1 - beta1) (g - exp_avg)
        exp_avg_sq = beta2 exp_avg_sq + (1 - beta2) g^2
        param -= lr / (1 - beta1^step) exp_avg / (sqrt(exp_avg_sq / (1 - beta2^step)) + eps)

    step counts from 1. decoupled weight decay is AdamW (Loshchilov and Hutter, arXiv:1711.05101).
    With max_exp_avg_sq, the largest exp_avg_sq so far takes its place in the last line (AMSGrad,
    Reddi et al. 2018).
    """
    g = -grad if maximize else grad
    if decoupled:
        param *= 1 - lr * weight_decay
    elif weight_decay:
        g = g + weight_decay * param
    exp_avg += (1 - beta1) * (g - exp_avg)
    exp_avg_sq *= beta2
    exp_avg_sq += (1 - beta2) * g * g
    second = exp_avg_sq
    if max_exp_avg_sq is not None:
        np.maximum(max_exp_avg_sq, exp_avg_sq, out=max_exp_avg_sq)
        second = max_exp_avg_sq
    denominator = np.sqrt(second) / (1 - beta2**step) ** 0.5 + eps
    param -= lr / (1 - beta1**step) * exp_avg / denominator
