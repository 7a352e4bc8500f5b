"""Workers that live in this very process: the same requests and answers, without the pipes."""

import contextlib
import json

import pytest

from tinynet.bench import kernels, models, ops
from tinynet.bench.worker import Server


class Inside:
    """A worker of timing.py, but for the process."""

    def __init__(self, peer, threads=1, environment=None):
        self.peer, self.threads = peer, threads
        self.server = Server(peer)
        answer = self.request("hello", threads=threads)
        self.versions, self.absent = answer.get("versions", {}), answer.get("absent")

    def request(self, do, **arguments):
        return json.loads(json.dumps(getattr(self.server, do)(**arguments)))


@pytest.fixture
def inside(monkeypatch):
    """Every selection finds its workers in this process, whose threads stay as they were."""
    import numba
    import torch

    before = numba.get_num_threads(), torch.get_num_threads()

    @contextlib.contextmanager
    def workers():
        yield Inside

    for module in (kernels, models, ops):
        monkeypatch.setattr(module, "workers", workers)
    yield Inside
    numba.set_num_threads(before[0])
    torch.set_num_threads(before[1])
