"""Optimiser steps in NumPy, in place, by PyTorch's formulas.

A step is given lists, one array for each parameter: the parameters, their gradients, and what the
optimiser keeps for each. All arrays have one dtype and may be views with any strides.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy import ndarray


def sgd_step(
    params: Sequence[ndarray],
    grads: Sequence[ndarray],
    momentum_buffers: Sequence[ndarray] | None,
    *,
    lr: float,
    momentum: float = 0.0,
    dampening: float = 0.0,
    weight_decay: float = 0.0,
    nesterov: bool = False,
    maximize: bool = False,
    first: bool = False,
) -> None:
    """Stochastic gradient descent with momentum; updates params and momentum_buffers.

        g = grad + weight_decay param
        buffer = momentum buffer + (1 - dampening) g        (first step: buffer = g)
        param -= lr (g + momentum buffer if nesterov else buffer)

    maximize negates grad. momentum_buffers may be None if momentum is 0. Sutskever et al. 2013.
    """
    for i, (param, grad) in enumerate(zip(params, grads, strict=True)):
        step = -grad if maximize else grad
        if weight_decay:
            step = step + weight_decay * param
        if momentum:
            assert momentum_buffers is not None
            buffer = momentum_buffers[i]
            if first:
                buffer[...] = step
            else:
                buffer *= momentum
                buffer += (1 - dampening) * step
            step = step + momentum * buffer if nesterov else buffer
        param -= lr * step


def adam_step(
    params: Sequence[ndarray],
    grads: Sequence[ndarray],
    exp_avgs: Sequence[ndarray],
    exp_avg_sqs: Sequence[ndarray],
    max_exp_avg_sqs: Sequence[ndarray] | None,
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
    """Adam (Kingma and Ba 2014, arXiv:1412.6980); updates params and all averages.

        g = grad + weight_decay param              (decoupled: param *= 1 - lr weight_decay)
        exp_avg += (1 - beta1) (g - exp_avg)
        exp_avg_sq = beta2 exp_avg_sq + (1 - beta2) g^2
        param -= lr / (1 - beta1^step) exp_avg / (sqrt(exp_avg_sq / (1 - beta2^step)) + eps)

    step counts from 1. decoupled weight decay is AdamW (Loshchilov and Hutter, arXiv:1711.05101).
    With max_exp_avg_sqs, the largest exp_avg_sq so far takes its place in the last line (AMSGrad,
    Reddi et al. 2018).
    """
    for i, (param, grad) in enumerate(zip(params, grads, strict=True)):
        exp_avg, exp_avg_sq = exp_avgs[i], exp_avg_sqs[i]
        g = -grad if maximize else grad
        if decoupled:
            param *= 1 - lr * weight_decay
        elif weight_decay:
            g = g + weight_decay * param
        exp_avg += (1 - beta1) * (g - exp_avg)
        exp_avg_sq *= beta2
        exp_avg_sq += (1 - beta2) * g * g
        second = exp_avg_sq
        if max_exp_avg_sqs is not None:
            second = max_exp_avg_sqs[i]
            np.maximum(second, exp_avg_sq, out=second)
        denominator = np.sqrt(second) / (1 - beta2**step) ** 0.5 + eps
        param -= lr / (1 - beta1**step) * exp_avg / denominator


def norm(arrays: Sequence[ndarray]) -> float:
    """The 2-norm of all arrays' elements together, added up in float64."""
    return math.sqrt(sum(float(np.sum(np.square(a, dtype=np.float64))) for a in arrays))
