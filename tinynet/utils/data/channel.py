"""Messages between processes, of any size, without ever blocking the sender for long.

A pipe holds about 200 KB; a worker that writes more waits until the parent reads. So a large
message is written to a file in memory, and only the file's handle goes through the pipe.
"""

from __future__ import annotations

import os
import pickle
import tempfile
from multiprocessing import reduction
from multiprocessing.connection import Connection
from typing import Any

SMALL = 1 << 14
ALIGNMENT = 64
# Windows has no handles in pipes: there everything goes through the pipe itself
CAN_PASS_FILES = os.name == "posix" and getattr(reduction, "HAVE_SEND_HANDLE", False)


def send(connection: Connection, message: Any) -> None:
    """Send a picklable message; the elements of arrays are copied once, not pickled."""
    buffers: list[pickle.PickleBuffer] = []
    body = pickle.dumps(message, protocol=5, buffer_callback=buffers.append)
    pieces = [memoryview(body), *(buffer.raw() for buffer in buffers)]
    if not CAN_PASS_FILES or sum(piece.nbytes for piece in pieces) <= SMALL:
        connection.send([bytearray(piece) for piece in pieces])
        return
    spans = []
    with open(_memory_file(), "r+b") as file:
        for piece in pieces:
            file.seek(-file.tell() % ALIGNMENT, os.SEEK_CUR)
            spans.append((file.tell(), file.tell() + piece.nbytes))
            file.write(piece)
        file.flush()
        connection.send(spans)
        reduction.send_handle(connection, file.fileno(), None)


def receive(connection: Connection) -> Any:
    """The next message; EOFError or OSError if the other end is gone."""
    pieces = connection.recv()
    if isinstance(pieces[0], tuple):
        content = memoryview(bytearray(pieces[-1][1]))
        with open(reduction.recv_handle(connection), "r+b") as file:
            file.seek(0)
            file.readinto(content)
        pieces = [content[start:stop] for start, stop in pieces]
    return pickle.loads(pieces[0], buffers=pieces[1:])


def _memory_file() -> int:
    """The descriptor of a file without a name, which goes away with its last user."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("tinynet-batch")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
