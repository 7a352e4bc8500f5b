"""Worker processes: what they bring, how they fail, and that none outlives its loader."""

import gc
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from multiprocessing import get_all_start_methods

import numpy as np
import pytest

import tinynet
from tinynet.utils.data import DataLoader, Dataset, IterableDataset, channel, get_worker_info

pytestmark = pytest.mark.skipif(
    "fork" not in get_all_start_methods(), reason="these tests fork; this system cannot"
)


class Function(Dataset):
    """Items are what a function says."""

    def __init__(self, function, n=8):
        self.function, self.n = function, n

    def __len__(self):
        return self.n

    def __getitem__(self, index):
        return self.function(index)


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def wait_until_gone(pids, seconds=5.0):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and any(alive(pid) for pid in pids):
        time.sleep(0.02)
    return not any(alive(pid) for pid in pids)


def pids_of(iterator):
    return [worker.process.pid for worker in iterator._workers]


def test_items_are_made_in_other_processes():
    loader = DataLoader(Function(lambda i: os.getpid()), 1, num_workers=2)
    pids = [int(batch) for batch in loader]
    assert len(set(pids)) == 2
    assert os.getpid() not in pids
    assert pids[0::2] == [pids[0]] * 4, "worker 0 makes every second batch"
    assert wait_until_gone(set(pids))


@pytest.mark.parametrize("size", [10, 5000, 300_000])
def test_large_and_small_batches_arrive_whole_and_writable(size):
    loader = DataLoader(
        Function(lambda i: (np.full(size, i, np.float64), f"{i}" * size)), 2, num_workers=2
    )
    for k, (batch, text) in enumerate(loader):
        assert batch.shape == (2, size)
        assert (batch.numpy() == [[2 * k], [2 * k + 1]]).all()
        assert text == [f"{2 * k}" * size, f"{2 * k + 1}" * size] or text == (
            f"{2 * k}" * size,
            f"{2 * k + 1}" * size,
        )
        batch += 1
        assert batch[0, 0].item() == 2 * k + 1


def test_batches_through_files_where_there_are_none_in_memory(monkeypatch, tmp_path):
    monkeypatch.setattr(channel, "IN_MEMORY", False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    loader = DataLoader(Function(lambda i: np.full(300_000, i)), 1, num_workers=2)
    assert [int(batch[0, 0]) for batch in loader] == list(range(8))
    iterator = iter(loader)
    next(iterator)
    assert list(tmp_path.iterdir())
    del iterator
    assert not list(tmp_path.iterdir()), "an epoch left early leaves no files"


@pytest.mark.parametrize("in_memory", [channel.IN_MEMORY, False])
def test_large_batches_and_long_lists_of_indices_do_not_wait_for_each_other(monkeypatch, in_memory):
    monkeypatch.setattr(channel, "IN_MEMORY", in_memory)
    loader = DataLoader(Function(int, 400_000), 100_000, num_workers=1, timeout=20)
    assert [len(batch) for batch in loader] == [100_000] * 4


def test_no_file_descriptors_are_kept():
    loader = DataLoader(Function(lambda i: np.full(10_000, i)), 1, num_workers=1)
    list(loader)
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else None
    if before is None:
        pytest.skip("needs /proc")
    kept = list(loader)
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == before
    assert len(kept) == 8


def test_tensors_and_gradients_flags_travel():
    def item(i):
        return tinynet.full((2,), float(i), dtype=tinynet.float64)

    (batch,) = list(DataLoader(Function(item, 2), 2, num_workers=1))
    assert batch.dtype == tinynet.float64
    assert batch.tolist() == [[0, 0], [1, 1]]


def test_worker_info_and_init():
    seen = []

    def init(worker_id):
        seen.append(worker_id)

    def item(i):
        info = get_worker_info()
        return info.id, info.num_workers, seen[0], len(info.dataset), info.seed % 2**31

    rows = [
        [int(v) for v in batch]
        for batch in DataLoader(Function(item), 1, num_workers=2, worker_init_fn=init)
    ]
    assert [row[:4] for row in rows] == [[i % 2, 2, i % 2, 8] for i in range(8)]
    assert (rows[1][4] - rows[0][4]) % 2**31 == 1, "seeds are base + id"
    assert get_worker_info() is None
    assert seen == []


def test_workers_have_different_reproducible_random_numbers():
    def item(i):
        return tinynet.rand(1).item(), np.random.rand(), random.random()  # noqa: NPY002

    def draw():
        tinynet.manual_seed(3)
        return [
            tuple(float(v) for v in batch) for batch in DataLoader(Function(item), 1, num_workers=2)
        ]

    first = draw()
    assert first == draw()
    for column in zip(*first, strict=True):
        assert len(set(column)) == 8


def test_a_kernel_in_a_worker():
    x = tinynet.ones(1, 1, 6, 6)
    w = tinynet.ones(1, 1, 3, 3)
    tinynet.nn.functional.conv2d(x, w)

    def item(i):
        return tinynet.nn.functional.conv2d(x * i, w)

    batches = list(DataLoader(Function(item, 4), 2, num_workers=2))
    assert batches[1].shape == (2, 1, 1, 4, 4)
    assert batches[1][1, 0, 0, 0, 0].item() == 27


class Odd(Exception):
    def __init__(self, one, two):
        super().__init__(one, two)


def fail(kind):
    def item(i):
        if i == 3:
            raise {"key": KeyError("colour"), "value": ValueError("bad"), "odd": Odd(1, 2)}[kind]
        return i

    return item


@pytest.mark.parametrize(
    ("kind", "raised"), [("key", KeyError), ("value", ValueError), ("odd", RuntimeError)]
)
def test_exceptions_come_with_the_workers_traceback(kind, raised):
    iterator = iter(DataLoader(Function(fail(kind)), 1, num_workers=2))
    assert [int(next(iterator)) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(raised) as error:
        next(iterator)
    message = str(error.value)
    assert "in DataLoader worker process 1.\nOriginal Traceback (most recent call last):" in message
    assert "in item" in message, "the frame that raised is named"
    assert {"key": "'colour'", "value": "ValueError: bad", "odd": "Odd: (1, 2)"}[kind] in message
    assert [int(batch) for batch in iterator] == [4, 5, 6, 7], "and the others still come"


def test_exception_of_a_local_class():
    class Local(Exception):
        pass

    def item(i):
        raise Local("here")

    with pytest.raises(RuntimeError, match=r"Caught Local in DataLoader worker process 0"):
        list(DataLoader(Function(item), num_workers=1))


def test_exception_in_worker_init():
    def init(worker_id):
        raise ValueError("no start")

    with pytest.raises(ValueError, match="no start"):
        list(DataLoader(Function(int), num_workers=2, worker_init_fn=init))


def test_what_cannot_be_sent_is_said():
    with pytest.raises(Exception, match=r"(?s)in DataLoader worker process 0.*(pickle|lambda)"):
        list(DataLoader(Function(lambda i: lambda: i), batch_size=None, num_workers=1))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_worker_is_reported(number):
    def item(i):
        if i == 2:
            os.kill(os.getpid(), number)
        return i

    iterator = iter(DataLoader(Function(item), 1, num_workers=2))
    pids = pids_of(iterator)
    started = time.monotonic()
    with pytest.raises(RuntimeError, match=rf"worker \(pid {pids[0]}\) is killed by signal: SIG"):
        list(iterator)
    assert time.monotonic() - started < 5
    assert wait_until_gone(pids)


def test_another_worker_that_dies_is_reported_too():
    def item(i):
        time.sleep(60 if get_worker_info().id == 0 else 0)
        return i

    iterator = iter(DataLoader(Function(item), 1, num_workers=2))
    pids = pids_of(iterator)
    os.kill(pids[1], signal.SIGKILL)
    started = time.monotonic()
    with pytest.raises(RuntimeError, match="is killed by signal: SIGKILL"):
        next(iterator)
    assert time.monotonic() - started < 5
    assert wait_until_gone(pids)


def test_a_worker_that_exits_is_reported():
    with pytest.raises(RuntimeError, match="exited unexpectedly with exit code 7"):
        list(DataLoader(Function(lambda i: os._exit(7)), num_workers=1))


def test_timeout():
    loader = DataLoader(Function(lambda i: time.sleep(60)), num_workers=1, timeout=0.2)
    iterator = iter(loader)
    pids = pids_of(iterator)
    started = time.monotonic()
    with pytest.raises(RuntimeError, match=r"DataLoader timed out after 0.2 seconds"):
        next(iterator)
    assert time.monotonic() - started < 5
    assert wait_until_gone(pids)


def test_workers_end_when_the_iterator_is_dropped():
    iterator = iter(DataLoader(Function(int, 1000), num_workers=2))
    pids = pids_of(iterator)
    next(iterator)
    assert all(alive(pid) for pid in pids)
    del iterator
    assert wait_until_gone(pids)


def test_workers_end_after_break():
    loader = DataLoader(Function(lambda i: os.getpid(), 1000), num_workers=2)
    for batch in loader:
        pid = int(batch)
        break
    assert wait_until_gone([pid])


def test_two_loaders_at_once():
    loaders = [DataLoader(Function(int, 20), 3, num_workers=2) for _ in range(2)]
    pairs = [(a.tolist(), b.tolist()) for a, b in zip(*loaders, strict=True)]
    assert all(a == b for a, b in pairs)
    assert len(pairs) == 7


def test_persistent_workers_stay_and_end_with_the_loader():
    loader = DataLoader(Function(lambda i: os.getpid()), 1, num_workers=2, persistent_workers=True)
    first = [int(batch) for batch in loader]
    next(iter(loader))  # an epoch left early must not leak into the next
    second = [int(batch) for batch in loader]
    assert first == second
    assert all(alive(pid) for pid in first)
    del loader
    assert wait_until_gone(first)


class Two(IterableDataset):
    def __iter__(self):
        return iter([1, 2])


def test_persistent_workers_restart_an_iterable():
    loader = DataLoader(Two(), None, num_workers=2, persistent_workers=True)
    assert [list(loader) for _ in range(2)] == [[1, 1, 2, 2]] * 2


def test_ahead_by_the_prefetch_factor(tmp_path):
    def item(i):
        (tmp_path / str(i)).touch()
        return i

    iterator = iter(DataLoader(Function(item, 100), num_workers=2, prefetch_factor=3))
    deadline = time.monotonic() + 5
    while len(list(tmp_path.iterdir())) < 6 and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.1)
    assert len(list(tmp_path.iterdir())) == 6
    del iterator


PROGRAM = """
import os, sys, time
import numpy as np
from tinynet.utils.data import DataLoader, Dataset

class Slow(Dataset):
    def __len__(self):
        return 100
    def __getitem__(self, index):
        return np.full(50_000, index)

if __name__ == "__main__" or {guard}:
    loader = DataLoader(Slow(), 2, num_workers=2, multiprocessing_context={context!r})
    iterator = iter(loader)
    print(int(next(iterator)[1, 0]), *[w.process.pid for w in iterator._workers], flush=True)
    {end}
"""


def run_program(tmp_path, *, guard, context, end):
    path = tmp_path / "program.py"
    path.write_text(textwrap.dedent(PROGRAM.format(guard=guard, context=context, end=end)))
    return subprocess.Popen(
        [sys.executable, path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_a_tutorial_without_main_guard(tmp_path):
    program = run_program(tmp_path, guard="True", context=None, end="print(len(list(iterator)))")
    out, err = program.communicate(timeout=30)
    assert program.returncode == 0, err
    assert out.split()[0] == "1"
    assert out.split()[-1] == "49"
    assert err == ""


def test_spawned_workers(tmp_path):
    program = run_program(tmp_path, guard="False", context="spawn", end="del iterator")
    out, err = program.communicate(timeout=60)
    assert program.returncode == 0, err
    assert out.split()[0] == "1"
    assert wait_until_gone([int(pid) for pid in out.split()[1:]])


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_workers_end_with_their_parent(tmp_path, number):
    program = run_program(tmp_path, guard="True", context=None, end="time.sleep(60)")
    pids = [int(pid) for pid in program.stdout.readline().split()[1:]]
    program.send_signal(number)
    program.wait(timeout=10)
    program.communicate()
    assert wait_until_gone(pids, seconds=8)
