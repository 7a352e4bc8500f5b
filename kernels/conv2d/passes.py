"""The sizes of a convolution's passes, as the CUDA kernels take them: struct Pass, products.cuh."""

from functools import lru_cache
from math import gcd

import numpy as np
from numpy import ndarray

from ..divisor import DIVISOR, divisor
from .dims import Conv2dDims

PASS = np.dtype(
    [
        *((name, np.int64) for name in ("gathered_image", "other_image")),
        *((name, np.int32) for name in ("rows", "channels", "H", "W", "pixels", "taps")),
        *((f"{what}_{axis}", np.int32) for what in ("stride", "start", "step") for axis in "hw"),
        *((name, DIVISOR) for name in ("plane", "row", "window", "window_row")),
        *((name, np.int32) for name in ("filter_size", "channel_size", "first_tap")),
        *((name, np.int32) for name in ("tap_row", "tap_column")),
        *((name, np.int32) for name in ("first_pixel", "pixel_row", "pixel_column", "dx_plane")),
    ],
    align=True,
)


def counts_fit(dims: Conv2dDims) -> bool:
    """True if all counts of a pass fit 31 bits, as the kernels' indices need."""
    d = dims
    largest = max(
        d.N * d.P * d.Q, d.N * d.H * d.W, d.C * d.H * d.W, d.K * d.P * d.Q, d.K * d.C * d.R * d.S
    )
    return largest + 2**16 < 2**31  # tiles reach beyond the end


@lru_cache(maxsize=1024)
def forward_pass(dims: Conv2dDims) -> ndarray:
    """For y from x, and dw from dy and x: x is gathered at the pixels of y."""
    d = dims
    channels = d.C // d.groups
    return _record(
        gathered_image=d.C * d.H * d.W, other_image=d.K * d.P * d.Q,
        rows=d.K // d.groups, channels=channels, H=d.H, W=d.W,
        pixels=d.N * d.P * d.Q, taps=channels * d.R * d.S,
        stride_h=d.stride[0], stride_w=d.stride[1],
        start_h=-d.padding[0], start_w=-d.padding[1],
        step_h=d.dilation[0], step_w=d.dilation[1],
        plane=divisor(d.P * d.Q), row=divisor(d.Q),
        window=divisor(d.R * d.S), window_row=divisor(d.S),
    )  # fmt: skip


@lru_cache(maxsize=1024)
def grad_input_passes(dims: Conv2dDims) -> list[ndarray]:
    """For dx from dy, one pass a phase of the stride: dy is gathered at the pixels of dx."""
    d = dims
    filters = d.K // d.groups
    rows = _phases(d.H, d.R, d.stride[0], d.padding[0], d.dilation[0])
    columns = _phases(d.W, d.S, d.stride[1], d.padding[1], d.dilation[1])
    return [
        _record(
            gathered_image=d.K * d.P * d.Q, other_image=d.C * d.H * d.W,
            rows=d.C // d.groups, channels=filters, H=d.P, W=d.Q,
            pixels=d.N * height * width, taps=filters * down * right,
            stride_h=1, stride_w=1, start_h=start_h, start_w=start_w,
            step_h=-back_h, step_w=-back_w,
            plane=divisor(height * width), row=divisor(width),
            window=divisor(max(1, down * right)), window_row=divisor(max(1, right)),
            filter_size=d.C // d.groups * d.R * d.S, channel_size=d.R * d.S,
            first_tap=r * d.S + s, tap_row=step_r * d.S, tap_column=step_s,
            first_pixel=h * d.W + w, pixel_row=d.stride[0] * d.W, pixel_column=d.stride[1],
            dx_plane=d.H * d.W,
        )
        for h, height, down, r, step_r, start_h, back_h in rows
        for w, width, right, s, step_s, start_w, back_w in columns
    ]  # fmt: skip


def _phases(size: int, window: int, stride: int, padding: int, dilation: int) -> list[tuple]:
    """For each phase of one axis (phase, pixels, taps, first tap, step, start, back):

    pixels h = phase + stride i meet the taps r = first + step j, and with them the outputs
    p = (h + padding - r dilation) / stride = i + start - j back.
    """
    step = stride // gcd(stride, dilation)
    found = []
    for phase in range(min(stride, size)):
        meeting = [
            r for r in range(min(step, window)) if (phase + padding - r * dilation) % stride == 0
        ]
        first, taps = (meeting[0], -(-(window - meeting[0]) // step)) if meeting else (0, 0)
        start = (phase + padding - first * dilation) // stride
        pixels = -(-(size - phase) // stride)
        found.append((phase, pixels, taps, first, step, start, step * dilation // stride))
    return found


def _record(**fields: object) -> ndarray:
    record = np.zeros((), PASS)
    for name, value in fields.items():
        record[name] = value
    record.flags.writeable = False
    return record
