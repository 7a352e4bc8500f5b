"""Sequences of different lengths in one batch: padded to the longest, or packed without padding."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from ...autograd.tape import wrap
from ...ops.creation import as_tensor, full
from ...ops.shape import cat, stack
from ...tensor import Tensor


class PackedSequence(NamedTuple):
    """Sequences step by step: the first elements of all, the second of those that have one, ...

    data (all steps, features); batch_sizes: how many sequences have a step 0, 1, ...;
    sorted_indices puts the sequences in order of falling length, unsorted_indices back.
    """

    data: Tensor
    batch_sizes: Tensor
    sorted_indices: Tensor | None = None
    unsorted_indices: Tensor | None = None

    def to(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """The data in another dtype or on another device."""
        return self._replace(data=self.data.to(*args, **kwargs))

    def cpu(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """The data on the CPU."""
        return self.to("cpu", *args, **kwargs)

    def cuda(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """The data on a GPU."""
        return self.to("cuda", *args, **kwargs)

    def double(self) -> PackedSequence:
        """The data as float64."""
        return self._replace(data=self.data.double())

    def float(self) -> PackedSequence:
        """The data as float32."""
        return self._replace(data=self.data.float())

    @property
    def is_cuda(self) -> bool:
        """True if the data is on a GPU."""
        return self.data.is_cuda


def invert_permutation(permutation: Tensor | None) -> Tensor | None:
    """The permutation that takes this one back."""
    return None if permutation is None else permutation.argsort()


def pack_padded_sequence(
    input: Tensor, lengths: Any, batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """Pack x (L, N, ...), or (N, L, ...) if batch_first, of sequences of these lengths.

    enforce_sorted: the lengths must fall; otherwise the sequences are put in that order.
    """
    sizes = as_tensor(lengths).cpu()
    sorted_indices = None
    if not enforce_sorted:
        sorted_indices = (-sizes).argsort(stable=True).to(input.device)
        sizes = sizes[sorted_indices.cpu()]
        input = input.index_select(0 if batch_first else 1, sorted_indices)
    counts = [int(n) for n in sizes.array]
    x = input.transpose(0, 1) if batch_first else input
    if len(counts) != x.shape[1]:
        raise RuntimeError(
            f"Expected `len(lengths)` to be equal to batch_size, but got {len(counts)} "
            f"(batch_size={x.shape[1]})"
        )
    if counts and min(counts) <= 0:
        raise RuntimeError(
            "Length of all samples has to be greater than 0, but found an element in 'lengths' "
            "that is <= 0"
        )
    if counts != sorted(counts, reverse=True):
        raise RuntimeError(
            "`lengths` array must be sorted in decreasing order when `enforce_sorted` is True. You "
            "can pass `enforce_sorted=False` to pack_padded_sequence and/or pack_sequence to "
            "sidestep this requirement if you do not need ONNX exportability."
        )
    batch_sizes = [sum(n > t for n in counts) for t in range(counts[0])]
    data = cat([x[t, :n] for t, n in enumerate(batch_sizes)])
    return PackedSequence(
        data, as_tensor(batch_sizes), sorted_indices, invert_permutation(sorted_indices)
    )


def pad_packed_sequence(
    sequence: PackedSequence,
    batch_first: bool = False,
    padding_value: float = 0.0,
    total_length: int | None = None,
) -> tuple[Tensor, Tensor]:
    """Back to padded sequences (L, N, ...), or (N, L, ...), and their lengths (N,)."""
    data, batch_sizes, _, unsorted_indices = sequence
    counts = [int(n) for n in batch_sizes.array]
    steps = len(counts)
    if total_length is not None:
        if total_length < steps:
            raise ValueError(
                "Expected total_length to be at least the length of the longest sequence in "
                f"input, but got total_length={total_length} and max sequence length being {steps}"
            )
        steps = total_length
    lengths = as_tensor([sum(n > i for n in counts) for i in range(counts[0])])
    ends = [0]
    for n in counts:
        ends.append(ends[-1] + n)
    lines = pad_sequence(
        [
            cat([data[ends[t] + i : ends[t] + i + 1] for t, n in enumerate(counts) if n > i])
            for i in range(counts[0])
        ],
        padding_value=padding_value,
    )
    if steps > len(counts):
        shape = (steps - len(counts), *lines.shape[1:])
        rest = full(shape, padding_value, dtype=data.dtype, device=data.device)
        lines = cat([lines, rest])
    if unsorted_indices is not None:
        lines = lines.index_select(1, unsorted_indices)
        lengths = lengths[unsorted_indices.cpu()]
    return lines.transpose(0, 1) if batch_first else lines, lengths


def pad_sequence(
    sequences: Iterable[Tensor],
    batch_first: bool = False,
    padding_value: float = 0.0,
    padding_side: str = "right",
) -> Tensor:
    """Sequences (L_i, ...) in one tensor (L, N, ...), or (N, L, ...) if batch_first."""
    if padding_side not in ("right", "left"):
        raise RuntimeError(
            f"padding_side should be either 'right' or 'left', but got {padding_side}"
        )
    listed = list(sequences)
    longest = max(len(s) for s in listed)
    lines = []
    for s in listed:
        missing = longest - len(s)
        if missing:
            rest = full((missing, *s.shape[1:]), padding_value, dtype=s.dtype, device=s.device)
            s = cat([s, rest] if padding_side == "right" else [rest, s])
        lines.append(s)
    return stack(lines, 0 if batch_first else 1)


def unpad_sequence(
    padded_sequences: Tensor, lengths: Any, batch_first: bool = False
) -> list[Tensor]:
    """The sequences of a padded tensor, each of its length."""
    x = padded_sequences if batch_first else padded_sequences.transpose(0, 1)
    return [row[: int(n)] for row, n in zip(x, as_tensor(lengths).array, strict=True)]


def pack_sequence(sequences: Sequence[Tensor], enforce_sorted: bool = True) -> PackedSequence:
    """Pack sequences (L_i, ...)."""
    lengths = wrap(as_tensor([len(s) for s in sequences]).array)
    return pack_padded_sequence(pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """The sequences of a packed one."""
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)
