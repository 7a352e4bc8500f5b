"""Messages between processes, of any size, without the sender waiting for the receiver.

A pipe holds 8 to 200 KB, and a worker that writes more into it waits until the parent reads: it
could not work ahead, and if the parent were writing as well, both would wait for ever. So a large
message is written to a file, and only the file's handle or name goes through the pipe.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import sys
import tempfile
from multiprocessing import reduction
from multiprocessing.connection import Connection
from typing import Any

SMALL = 1024
ALIGNMENT = 64
# A file in memory, without a name, goes away with its last user. Elsewhere than on Linux handles
# cannot be passed (Windows), or only with an answer from the receiver (macOS).
IN_MEMORY = sys.platform == "linux" and hasattr(os, "memfd_create")


def send(connection: Connection, message: Any, folder: str | None) -> None:
    """Send a picklable message; the elements of arrays are copied once, not pickled.

    folder: where large messages are written, unless they are in memory.
    """
    buffers: list[pickle.PickleBuffer] = []
    body = pickle.dumps(message, protocol=5, buffer_callback=buffers.append)
    pieces = [memoryview(body), *(buffer.raw() for buffer in buffers)]
    if sum(piece.nbytes for piece in pieces) <= SMALL:
        connection.send((None, [bytearray(piece) for piece in pieces]))
        return
    spans = []
    with _new_file(folder) as file:
        for piece in pieces:
            file.seek(-file.tell() % ALIGNMENT, os.SEEK_CUR)
            spans.append((file.tell(), file.tell() + piece.nbytes))
            file.write(piece)
        file.flush()
        if folder is None:
            connection.send(("handle", spans))
            reduction.send_handle(connection, file.fileno(), None)
    if folder is not None:
        connection.send((file.name, spans))


def receive(connection: Connection) -> Any:
    """The next message; EOFError or OSError if the other end is gone."""
    place, pieces = connection.recv()
    if place is not None:
        content = memoryview(bytearray(pieces[-1][1]))
        with open(reduction.recv_handle(connection) if place == "handle" else place, "rb") as file:
            file.seek(0)
            file.readinto(content)
        if place != "handle":
            with contextlib.suppress(OSError):
                os.unlink(place)
        pieces = [content[start:stop] for start, stop in pieces]
    return pickle.loads(pieces[0], buffers=pieces[1:])


def _new_file(folder: str | None) -> Any:
    if folder is None:
        return open(os.memfd_create("tinynet-batch"), "w+b")
    return tempfile.NamedTemporaryFile(dir=folder, delete=False)
