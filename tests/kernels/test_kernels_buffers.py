"""Large arrays on used memory: never shared by two arrays, never more than was once needed."""

import gc
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tinynet.kernels.buffers import ROOM, SMALLEST, Pool

MB = 2**20


@pytest.fixture
def pool():
    return Pool()


def floats(megabytes):
    return (megabytes * MB // 4,)


def test_memory_comes_back_and_is_lent_again(pool):
    a = pool.empty(floats(4), np.float32)
    address = a.ctypes.data
    view = a[10:].reshape(-1, 2)
    del a
    b = pool.empty(floats(4), np.float32)
    assert b.ctypes.data != address  # the view still holds it
    del view
    c = pool.empty((2, MB // 4), np.float64)
    assert c.ctypes.data == address
    assert c.dtype == np.float64
    assert c.shape == (2, MB // 4)
    assert c.flags.c_contiguous
    assert c.flags.writeable
    assert address % 64 == 0


def test_small_arrays_are_numpys_own(pool):
    assert pool.empty((SMALLEST // 4 - 1,), np.float32).base is None
    assert pool.held == 0


def test_larger_memory_is_lent_in_pieces_that_grow_together_again(pool):
    whole = pool.empty(floats(12), np.float32)
    address = whole.ctypes.data
    del whole
    parts = [pool.empty(floats(4), np.float32) for _ in range(3)]
    assert pool.lent == pool.held == 12 * MB
    assert [part.ctypes.data - address for part in parts] == [0, 4 * MB, 8 * MB]
    del parts[1]
    other = pool.empty(floats(6), np.float32)  # larger than the gap
    assert pool.held == 18 * MB
    del parts, other
    whole = pool.empty(floats(12), np.float32)
    assert whole.ctypes.data == address


def test_the_smallest_piece_that_will_do_is_taken(pool):
    arrays = {size: pool.empty(floats(size), np.float32) for size in (9, 3, 6)}
    addresses = {size: array.ctypes.data for size, array in arrays.items()}
    arrays.clear()
    assert pool.empty(floats(5), np.float32).ctypes.data == addresses[6]


def test_a_block_of_which_a_part_is_lent_stays(pool):
    a = pool.empty(floats(10), np.float32)
    del a
    part = pool.empty(floats(2), np.float32)
    pool.clear()
    assert pool.held == 10 * MB
    large = pool.empty(floats(9), np.float32)
    assert pool.held == 19 * MB
    del part, large
    pool.clear()
    assert pool.held == 0


def test_hardly_more_is_held_than_was_once_lent_at_the_same_time(pool):
    a, b = pool.empty(floats(10), np.float32), pool.empty(floats(10), np.float32)
    del a, b
    c = pool.empty(floats(12), np.float32)  # larger than either waiting memory: one must go
    assert pool.held == 12 * MB == pool.lent
    d = pool.empty(floats(7), np.float32)
    assert pool.held == 19 * MB == c.nbytes + d.nbytes


def test_switched_off_and_cleared(pool):
    a = pool.empty(floats(4), np.float32)
    pool.enabled = False
    assert pool.empty(floats(4), np.float32).base is None
    del a
    pool.enabled = True
    pool.clear()
    assert pool.held == 0


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(1, 12)), max_size=40))
def test_random_lives(steps):
    """Arrays come and go; each keeps what was written into it, and the accounts are right."""
    pool = Pool()
    living, most = [], 0
    for number, (which, megabytes) in enumerate(steps):
        if which < len(living):
            array, value = living.pop(which)
            assert (array[:: MB // 8] == value).all()
            del array
        held = pool.held
        array = pool.empty(floats(megabytes), np.float32)
        array[:: MB // 8] = number
        living.append((array, number))
        most = max(most, pool.lent)
        if pool.held > max(held, ROOM * most):  # for want of a piece that is large enough
            held = pool.held
            pool.clear()
            assert pool.held == held  # no whole block was waiting
            most = pool.most_lent
        assert pool.lent >= sum(a.nbytes for a, _ in living)
    for array, value in living:
        assert (array[:: MB // 8] == value).all()


def test_threads_get_memory_of_their_own(pool):
    wrong = []

    def work(value):
        for _ in range(50):
            array = pool.empty(floats(2), np.float32)
            array[:] = value
            if not (array == value).all():
                wrong.append(value)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    gc.collect()
    pool.clear()
    assert pool.held == pool.lent == 0
