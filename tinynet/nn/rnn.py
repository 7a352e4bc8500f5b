"""Recurrent layers: one cell applied step after step, in layers and both directions.

A sequence is a list of steps, of which each is a batch (n, features). Padded sequences have steps
of equal n; in a packed one n falls as the shorter sequences end, so nothing is computed for them.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

from ..ops import creation
from ..ops.linalg import linear
from ..ops.shape import cat, stack
from ..tensor import Tensor
from . import functional as F
from . import init
from .module import Module
from .parameter import Parameter
from .utils.rnn import PackedSequence

State = tuple[Tensor, ...]  # (h,), or (h, c) of an LSTM

GATES = {"RNN_TANH": 1, "RNN_RELU": 1, "GRU": 3, "LSTM": 4}


def _step(mode: str, x: Tensor, state: State, w: Tensor, b: Tensor | None) -> State:
    """One step of a cell: x is W_ih @ input + b_ih already, w and b are W_hh and b_hh."""
    h = state[0]
    recurrent = linear(h, w, b)
    if mode == "LSTM":
        i, f, g, o = (x + recurrent).chunk(4, -1)
        c = f.sigmoid() * state[1] + i.sigmoid() * g.tanh()
        return o.sigmoid() * c.tanh(), c
    if mode == "GRU":
        xr, xz, xn = x.chunk(3, -1)
        hr, hz, hn = recurrent.chunk(3, -1)
        z = (xz + hz).sigmoid()
        n = (xn + (xr + hr).sigmoid() * hn).tanh()
        return ((1 - z) * n + z * h,)
    total = x + recurrent
    return (total.tanh() if mode == "RNN_TANH" else F.relu(total),)


def _forwards(
    mode: str, steps: Sequence[Tensor], state: State, w: Tensor, b: Any, projection: Tensor | None
) -> tuple[list[Tensor], State]:
    """The outputs of all steps, and the states after the last step of each sequence."""
    outputs, ended = [], []
    for x in steps:
        n = len(x)
        if n < len(state[0]):
            ended.append(tuple(s[n:] for s in state))
            state = tuple(s[:n] for s in state)
        state = _projected(_step(mode, x, state, w, b), projection)
        outputs.append(state[0])
    if ended:
        state = tuple(cat(parts) for parts in zip(state, *reversed(ended), strict=True))
    return outputs, state


def _backwards(
    mode: str, steps: Sequence[Tensor], state: State, w: Tensor, b: Any, projection: Tensor | None
) -> tuple[list[Tensor], State]:
    """The same from the last step to the first, as if the sequences were reversed."""
    start, state = state, tuple(s[: len(steps[-1])] for s in state)
    outputs = []
    for x in reversed(steps):
        m, n = len(state[0]), len(x)
        if n > m:
            state = tuple(cat([s, first[m:n]]) for s, first in zip(state, start, strict=True))
        state = _projected(_step(mode, x, state, w, b), projection)
        outputs.append(state[0])
    return outputs[::-1], state


def _projected(state: State, projection: Tensor | None) -> State:
    return state if projection is None else (linear(state[0], projection), *state[1:])


class RNNBase(Module):
    """What RNN, LSTM and GRU share: the weights of each layer and direction, and the run.

    Layer k has weight_ih_l{k} (gates * hidden, input), weight_hh_l{k} (gates * hidden, hidden) and
    biases, "_reverse" behind the names of the other direction. All start uniform in
    +-1/sqrt(hidden).
    """

    def __init__(
        self,
        mode: str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if mode not in GATES:
            raise ValueError("Unrecognized RNN mode: " + mode)
        if isinstance(dropout, bool) or not 0 <= dropout <= 1:
            raise ValueError(
                "dropout should be a number in range [0, 1] representing the probability of an "
                "element being zeroed"
            )
        for name, value in (("hidden_size", hidden_size), ("num_layers", num_layers)):
            if not isinstance(value, int):
                raise TypeError(f"{name} should be of type int, got: {type(value).__name__}")
            if value <= 0:
                raise ValueError(f"{name} must be greater than zero")
        if dropout > 0 and num_layers == 1:
            warnings.warn(
                "dropout option adds dropout after all but last recurrent layer, so non-zero "
                f"dropout expects num_layers greater than 1, but got dropout={dropout} and "
                f"num_layers={num_layers}",
                stacklevel=3,
            )
        if proj_size < 0:
            raise ValueError(
                "proj_size should be a positive integer or zero to disable projections"
            )
        if proj_size >= hidden_size:
            raise ValueError("proj_size has to be smaller than hidden_size")
        if proj_size and mode != "LSTM":
            raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
        self.mode = mode
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.proj_size = proj_size
        where: dict[str, Any] = {"device": device, "dtype": dtype}
        directions, rows = 2 if bidirectional else 1, GATES[mode] * hidden_size
        for layer in range(num_layers):
            inputs = input_size if layer == 0 else self._output_size * directions
            for suffix in self._suffixes(layer):
                sizes: dict[str, tuple[int, ...]] = {
                    "weight_ih": (rows, inputs),
                    "weight_hh": (rows, self._output_size),
                }
                if bias:
                    sizes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
                if proj_size:
                    sizes["weight_hr"] = (proj_size, hidden_size)
                for name, size in sizes.items():
                    setattr(self, name + suffix, Parameter(creation.empty(*size, **where)))
        self.reset_parameters()

    @property
    def _output_size(self) -> int:
        return self.proj_size or self.hidden_size

    def _suffixes(self, layer: int) -> list[str]:
        return [f"_l{layer}", f"_l{layer}_reverse"][: 2 if self.bidirectional else 1]

    @property
    def all_weights(self) -> list[list[Parameter]]:
        """The parameters of each layer and direction."""
        names = ["weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr"]
        return [
            [getattr(self, n + suffix) for n in names if n + suffix in self._parameters]
            for layer in range(self.num_layers)
            for suffix in self._suffixes(layer)
        ]

    def reset_parameters(self) -> None:
        """Draw new starting values."""
        bound = 1 / math.sqrt(self.hidden_size)
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    def flatten_parameters(self) -> None:
        """Nothing: the parameters' place in memory does not matter here."""

    def forward(self, input: Any, hx: Any = None) -> Any:
        if isinstance(input, PackedSequence):
            data, batch_sizes, sorted_indices, unsorted_indices = input
            steps = list(data.split([int(n) for n in batch_sizes.array]))
            batch, single = len(steps[0]), False
        else:
            if input.dim() not in (2, 3):
                raise ValueError(
                    f"{self._get_name()}: Expected input to be 2D or 3D, got {input.dim()}D instead"
                )
            single = input.dim() == 2
            x = input.unsqueeze(1) if single else input
            x = x.transpose(0, 1) if self.batch_first and not single else x
            steps, batch = list(x.unbind(0)), x.shape[1]
            sorted_indices = unsorted_indices = None
        if steps and steps[0].shape[-1] != self.input_size:
            raise RuntimeError(
                f"input.size(-1) must be equal to input_size. Expected {self.input_size}, got "
                f"{steps[0].shape[-1]}"
            )
        states = self._first_states(hx, batch, single, steps[0], sorted_indices)
        steps, last = self._run(steps, states)
        final = tuple(stack(list(parts)) for parts in zip(*last, strict=True))
        if isinstance(input, PackedSequence):
            output: Any = PackedSequence(cat(steps), batch_sizes, sorted_indices, unsorted_indices)
            if unsorted_indices is not None:
                final = tuple(s.index_select(1, unsorted_indices) for s in final)
        else:
            output = stack(steps, 1 if self.batch_first and not single else 0)
            if single:
                output, final = output.squeeze(1), tuple(s.squeeze(1) for s in final)
        return output, final if self.mode == "LSTM" else final[0]

    def _first_states(
        self, hx: Any, batch: int, single: bool, like: Tensor, sorted_indices: Tensor | None
    ) -> State:
        """(h,) or (h, c), each (layers * directions, N, size)."""
        layers = self.num_layers * (2 if self.bidirectional else 1)
        widths = [self._output_size, self.hidden_size][: 2 if self.mode == "LSTM" else 1]
        if hx is None:
            return tuple(
                creation.zeros(layers, batch, n, dtype=like.dtype, device=like.device)
                for n in widths
            )
        states = tuple(hx) if self.mode == "LSTM" else (hx,)
        if single:
            if any(s.dim() != 2 for s in states):
                raise RuntimeError(
                    f"For unbatched 2-D input, hx should also be 2-D but got {states[0].dim()}-D "
                    "tensor"
                )
            states = tuple(s.unsqueeze(1) for s in states)
        for state, n in zip(states, widths, strict=True):
            if tuple(state.shape) != (layers, batch, n):
                raise RuntimeError(
                    f"Expected hidden size {(layers, batch, n)}, got {list(state.shape)}"
                )
        if sorted_indices is not None:
            states = tuple(s.index_select(1, sorted_indices) for s in states)
        return states

    def _run(self, steps: list[Tensor], states: State) -> tuple[list[Tensor], list[State]]:
        last: list[State] = []
        lengths = [len(x) for x in steps]
        for layer in range(self.num_layers):
            data = cat(steps)
            directions = []
            for run, suffix in zip((_forwards, _backwards), self._suffixes(layer)):
                w, b = self._pair("weight", suffix), self._pair("bias", suffix)
                # the inputs of all steps at once: only the recurrent part must wait
                inputs = linear(data, w[0], b[0]).split(lengths)
                first = tuple(s[len(last)] for s in states)
                projection = self._parameters.get("weight_hr" + suffix)
                outputs, final = run(self.mode, inputs, first, w[1], b[1], projection)
                directions.append(outputs)
                last.append(final)
            steps = [cat(list(both), -1) for both in zip(*directions, strict=True)]
            if self.dropout and self.training and layer < self.num_layers - 1:
                dropped = F.dropout(cat(steps), self.dropout)
                steps = list(dropped.split(lengths))
        return steps, last

    def _pair(self, kind: str, suffix: str) -> Any:
        """The parameters of the input and of the state; None for no bias."""
        return [self._parameters.get(f"{kind}_{of}{suffix}") for of in ("ih", "hh")]

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        if self.proj_size != 0:
            text += f", proj_size={self.proj_size}"
        if self.num_layers != 1:
            text += f", num_layers={self.num_layers}"
        if self.bias is not True:
            text += f", bias={self.bias}"
        if self.batch_first is not False:
            text += f", batch_first={self.batch_first}"
        if self.dropout != 0:
            text += f", dropout={self.dropout}"
        if self.bidirectional is not False:
            text += f", bidirectional={self.bidirectional}"
        return text


class RNN(RNNBase):
    """h' = tanh(W_ih x + b_ih + W_hh h + b_hh), or relu of it.  Elman 1990.

    x (L, N, input) or, batch_first, (N, L, input), or one sequence (L, input), or a
    `PackedSequence`; h0 (layers * directions, N, hidden), 0 if not given. Returns the last layer's
    h of all steps (L, N, directions * hidden), and every layer's last one in h0's shape.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if "proj_size" in kwargs:
            raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
        if len(args) > 3:
            self.__dict__["nonlinearity"] = args[3]
            args = args[:3] + args[4:]
        else:
            self.__dict__["nonlinearity"] = kwargs.pop("nonlinearity", "tanh")
        if self.nonlinearity not in ("tanh", "relu"):
            raise ValueError(
                f"Unknown nonlinearity '{self.nonlinearity}'. Select from 'tanh' or 'relu'."
            )
        super().__init__(f"RNN_{self.nonlinearity.upper()}", *args, **kwargs)


class LSTM(RNNBase):
    """Memory c that gates keep, write and read: long short-term memory.

        i, f, o = sigmoid(...)    g = tanh(...)    c' = f * c + i * g    h' = o * tanh(c')

    with ... = W_ih x + b_ih + W_hh h + b_hh, in the order i, f, g, o. Shapes as of `RNN`; the state
    is (h, c), and so is what is returned. proj_size: h is projected to that size.
    Hochreiter and Schmidhuber 1997; Sak et al. 2014.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__("LSTM", *args, **kwargs)


class GRU(RNNBase):
    """Gated recurrent units, shapes as of `RNN`.  Cho et al. 2014.

    r, z = sigmoid(W_ih x + b_ih + W_hh h + b_hh)
    n = tanh(W_in x + b_in + r * (W_hn h + b_hn))    h' = (1 - z) * n + z * h
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if "proj_size" in kwargs:
            raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
        super().__init__("GRU", *args, **kwargs)


class RNNCellBase(Module):
    """One step of a recurrent layer, with its weights."""

    mode: str

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool,
        num_chunks: int,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        where: dict[str, Any] = {"device": device, "dtype": dtype}
        rows = num_chunks * hidden_size
        self.weight_ih = Parameter(creation.empty(rows, input_size, **where))
        self.weight_hh = Parameter(creation.empty(rows, hidden_size, **where))
        for name in ("bias_ih", "bias_hh"):
            values = Parameter(creation.empty(rows, **where)) if bias else None
            self.register_parameter(name, values)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new starting values, uniform in +-1/sqrt(hidden)."""
        bound = 1 / math.sqrt(self.hidden_size) if self.hidden_size else 0
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    def _advance(self, input: Tensor, state: Any) -> State:
        name = self._get_name()
        if input.dim() not in (1, 2):
            raise ValueError(f"{name}: Expected input to be 1D or 2D, got {input.dim()}D instead")
        single = input.dim() == 1
        x = input.unsqueeze(0) if single else input
        if x.shape[1] != self.input_size:
            raise RuntimeError(
                f"input has inconsistent input_size: got {x.shape[1]} expected {self.input_size}"
            )
        if state is None:
            nothing = creation.zeros(len(x), self.hidden_size, dtype=x.dtype, device=x.device)
            state = (nothing, nothing)
        else:
            for s in state:
                if s.dim() not in (1, 2):
                    raise ValueError(
                        f"{name}: Expected hidden to be 1D or 2D, got {s.dim()}D instead"
                    )
            state = tuple(s.unsqueeze(0) if single else s for s in state)
            if any(tuple(s.shape) != (len(x), self.hidden_size) for s in state):
                raise RuntimeError(
                    f"hidden has inconsistent hidden_size: got {list(state[0].shape)}, expected "
                    f"{[len(x), self.hidden_size]}"
                )
        gates = linear(x, self.weight_ih, self.bias_ih)
        new = _step(self.mode, gates, state, self.weight_hh, self.bias_hh)
        return tuple(s.squeeze(0) for s in new) if single else new

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        if self.bias is not True:
            text += f", bias={self.bias}"
        if getattr(self, "nonlinearity", "tanh") != "tanh":
            text += f", nonlinearity={self.nonlinearity}"
        return text


class RNNCell(RNNCellBase):
    """h' = tanh(W_ih x + b_ih + W_hh h + b_hh), or relu of it: x (N, input), h (N, hidden)."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 1, device, dtype)
        self.nonlinearity = nonlinearity

    @property
    def mode(self) -> str:  # type: ignore[override]
        if self.nonlinearity not in ("tanh", "relu"):
            raise RuntimeError(f"Unknown nonlinearity: {self.nonlinearity}")
        return f"RNN_{self.nonlinearity.upper()}"

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        return self._advance(input, None if hx is None else (hx,))[0]


class LSTMCell(RNNCellBase):
    """One step of an `LSTM`: x (N, input), (h, c) each (N, hidden) -> (h', c')."""

    mode = "LSTM"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 4, device, dtype)

    def forward(self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None) -> State:
        return self._advance(input, hx)


class GRUCell(RNNCellBase):
    """One step of a `GRU`: x (N, input), h (N, hidden) -> h'."""

    mode = "GRU"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 3, device, dtype)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        return self._advance(input, None if hx is None else (hx,))[0]
