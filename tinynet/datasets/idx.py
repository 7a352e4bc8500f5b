"""idx files: the format of MNIST, read with a check of every byte that the header promises."""

from __future__ import annotations

import gzip
import hashlib
import struct
import zlib
from pathlib import Path

import numpy as np

UNSIGNED_BYTE = 0x08


class DatasetError(RuntimeError):
    """A data file is missing, truncated or altered; the sentence says which and what to do."""


def read_idx(path: Path, *, md5: str | None = None) -> np.ndarray:
    """The array in an idx file of unsigned bytes, gzip-compressed or not.

    The file is two zero bytes, the type (8: unsigned byte), the number of dimensions, each
    dimension as a big-endian 32-bit integer, then the elements in index order.

    md5: the sum that the unpacked file must have; it does not depend on how gzip packed it.
    Raises DatasetError with the file's name if it is truncated or not what it should be.
    """
    content = path.read_bytes()
    if content[:2] == b"\x1f\x8b":
        try:
            content = gzip.decompress(content)
        except (EOFError, OSError, zlib.error) as error:
            raise DatasetError(
                f"{path} is truncated or damaged ({error}); fetch it again."
            ) from None
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] != UNSIGNED_BYTE:
        raise DatasetError(f"{path} is not an idx file of unsigned bytes.")
    ndim = content[3]
    start = 4 + 4 * ndim
    if len(content) < start:
        raise DatasetError(f"{path} is truncated: it ends within the header; fetch it again.")
    shape = struct.unpack(f">{ndim}I", content[4:start])
    promised = start + int(np.prod(shape, dtype=np.int64))
    if len(content) != promised:
        state = "truncated" if len(content) < promised else "too long"
        raise DatasetError(
            f"{path} is {state}: its header promises {' x '.join(map(str, shape))} elements, "
            f"{promised:,} bytes with the header, but it has {len(content):,}; fetch it again."
        )
    if md5 is not None and hashlib.md5(content, usedforsecurity=False).hexdigest() != md5:
        raise DatasetError(f"{path} is not the original file: its content differs (md5 {md5}).")
    # a bytearray makes the array writable without a second copy by NumPy
    return np.frombuffer(bytearray(content), np.uint8, offset=start).reshape(shape)
