"""The one gate through which CPU kernels are compiled by Numba, cached, and called.

A kernel is a function that does one *task* of many; the call says how many there are.

    @jit.kernel(lambda T: (T[:, ::1], T[:, ::1], T))
    def scale(task, x, y, factor):              # one row
        for j in range(x.shape[1]): ...

    scale(len(x), x, y, 2.0)                    # tasks, then the arguments

- Types are explicit: the lambda gives them for T = float32 or float64, `::1` means C-contiguous.
  Numba would otherwise compile again for every new combination it meets, seconds each time. The
  first argument is an array of T. A version is compiled when it is first called.
- Tasks run on Numba's pool of threads, one kernel at a time. Kernels are cut into tasks by shape,
  never by the number of threads, so results do not depend on it.
- The loop over the tasks is compiled once, for all kernels (`_tasks_in_pool`): Numba would compile
  a kernel that contains `prange` four times over.
- In a forked child the tasks run one by one: GNU OpenMP kills a child whose parent has used it.
- Compiled code is kept on disk, under a name made from every file of this folder, Numba's version
  and the CPU: Numba's own cache does not notice that a function in another file has changed. Every
  version of a kernel has its own directory, so that processes that compile at once write the same
  files with the same content; each file is replaced atomically.
- Division by zero and NaN behave as in NumPy. `reorder_sums` lets LLVM add in several lanes at
  once, `contract` multiply and add with one rounding; they assume nothing about NaN or infinity.
"""

import hashlib
import os
import pickle
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import llvmlite
import llvmlite.binding as llvm
import numba
import numpy as np
from llvmlite import ir
from numba import int64, types
from numba.core import cgutils, event
from numba.extending import intrinsic
from numpy import ndarray

from . import user_cache
from .dtypes import check_dtypes

# Nanoseconds of work from which tasks are shared out. Waking a sleeping thread takes 15 to 100
# microseconds (a virtual machine's idle core must be woken too); the caller works meanwhile.
WORTH_THREADS = 60_000

_parallel = True
_pool = threading.Lock()
_listeners: list[Callable[[str, str], None]] = []
_announced = False


def kernel(
    types: Callable[[Any], tuple], *, reorder_sums: bool = False, contract: bool = False
) -> Callable:
    """Decorator: a task function (task, *arrays and numbers), compiled on first use (see above)."""
    allowed = {"reassoc", "nsz"} if reorder_sums else set()
    return lambda function: Kernel(function, types, allowed | ({"contract"} if contract else set()))


def inline(function: Callable) -> Callable:
    """Decorator: a piece of a kernel, compiled with the kernel that calls it."""
    return numba.njit(function, nogil=True, error_model="numpy", **_NO_WRAPPERS)


# What makes a function callable from Python and C takes as long to compile as the function.
_NO_WRAPPERS = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}


class Kernel:
    """A compiled function: one version for float32, one for float64, made when needed."""

    def __init__(self, function: Callable, types: Callable, allowed: set[str]) -> None:
        self.name = f"{function.__module__.rpartition('kernels.')[2]}.{function.__name__}"
        self.__doc__ = function.__doc__
        self._types = types
        # Numba writes the task's code into `run`, so that it is compiled once and not twice.
        self._task = numba.njit(function, inline="always")
        self._fastmath: Any = allowed or False  # what LLVM may do to floating-point arithmetic
        self._versions: dict[np.dtype, Callable] = {}

    def __call__(self, tasks: int, *arguments: Any, nanoseconds: float = WORTH_THREADS) -> None:
        """Run tasks 0 ... tasks - 1; they write into arrays among the arguments.

        A single task, or tasks that will take fewer nanoseconds than it is worth (a guess will
        do), run in the calling thread.
        """
        dtype = arguments[0].dtype
        version = self._versions.get(dtype)
        if version is None:
            version = self._versions[dtype] = self._compile(dtype)
        if _parallel and tasks > 1 and nanoseconds >= WORTH_THREADS:
            with _pool:
                version(_IN_POOL, tasks, arguments)
        else:
            version(_ONE_BY_ONE, tasks, arguments)

    def _compile(self, dtype: np.dtype) -> Callable:
        start_pool()  # compiled code refers to it
        signature = (int64, int64, types.Tuple(self._types(numba.from_dtype(dtype))))
        directory = cache_directory()
        if directory is not None:
            try:
                return self._compile_in(directory / f"{self.name}-{dtype.name}", signature)
            except (OSError, EOFError, pickle.UnpicklingError):
                pass  # a cache that cannot be read or written must not stop anybody from working
        return self._compile_in(None, signature)

    def _compile_in(self, directory: Path | None, signature: tuple) -> Callable:
        run = _run_with(len(signature[2]))
        # A copy in which task_function is this kernel's; Numba can store no closure.
        names = {**globals(), "task_function": self._task}
        with _numba_cache(directory):
            dispatcher = numba.njit(
                FunctionType(run, names),
                nogil=True,
                error_model="numpy",
                fastmath=self._fastmath,
                cache=directory is not None,
                no_cfunc_wrapper=True,
            )
        with event.install_listener("numba:compile", _Announcer(self.name, dispatcher)):
            dispatcher.compile(signature)
        dispatcher.disable_compile()
        return dispatcher


# How a thread waits for the next kernel, unless the user says otherwise: it spins for some 50
# microseconds (GNU OpenMP counts), which covers what Python does between two kernels, and sleeps.
# Threads that spin for longer take the cores from those that work as soon as another program runs
# beside this one: training was then five times slower. Threads that always sleep have to queue for
# a core at every kernel: as slow.
_WAITING = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "2000"}


@cache
def start_pool() -> None:
    """Start Numba's threads; how they wait, OpenMP reads from the environment when it is loaded.

    Other libraries' pools in this process shall not find these settings.
    """
    ours = {} if any(name in os.environ for name in _WAITING) else _WAITING
    os.environ.update(ours)
    try:
        numba.get_num_threads()
    finally:
        for name in ours:
            del os.environ[name]


# How a kernel runs: all tasks one by one, all of them in the pool, or, as the pool calls it, one.
_ONE_BY_ONE, _IN_POOL, _ONE = range(3)


@cache
def _run_with(count: int) -> CodeType:
    """The code of a kernel's `run`, for a task that takes so many arguments.

    It is written out, as Numba inlines no call f(*arguments).
    """
    names = ", ".join(f"a{i}" for i in range(count))
    source = f"""
def run(how, task, arguments):
    {names}, = arguments
    if how == _IN_POOL:
        _for_each_task(task, arguments)
    else:
        first, last = (task, task + 1) if how == _ONE else (0, task)
        for each in range(first, last):
            task_function(each, {names})
"""
    namespace: dict[str, Any] = {}
    exec(compile(source, __file__, "exec"), namespace)
    return namespace["run"].__code__


@numba.njit(nogil=True, parallel=True, **_NO_WRAPPERS)
def _tasks_in_pool(function, tasks, arguments):
    """Call the C function void (task, arguments) at this address for every task.

    Every thread has a share of its own, of neighbouring tasks, and then helps with the others':
    nobody waits for a thread that another program keeps from running, or that still wakes up.
    """
    threads = _thread_count()
    following = np.empty(threads * _APART, np.int64)  # of each share: the task to be done next
    for share in range(threads):
        following[share * _APART] = share * tasks // threads
    for thread in numba.prange(threads):
        for shift in range(threads):
            share = (thread + shift) % threads
            end = (share + 1) * tasks // threads
            task = _take(following, share * _APART)
            while task < end:
                _call_address(function, task, arguments)
                task = _take(following, share * _APART)


# Counters are so many apart that no two are in one cache line.
_APART = 16


@intrinsic
def _thread_count(typing):
    """numba.get_num_threads(), which Numba's cache cannot hold: it is compiled as an address."""

    def codegen(context, builder, signature, values):
        kind = ir.FunctionType(ir.IntType(64), [])
        function = cgutils.get_or_insert_function(builder.module, kind, "get_num_threads")
        return builder.call(function, [])

    return int64(), codegen


@intrinsic
def _take(typing, counters, index):
    """counters[index] += 1 in one piece, whichever threads do it at once; the value before."""

    def codegen(context, builder, signature, values):
        counters, index = values
        array = context.make_array(signature.args[0])(context, builder, counters)
        place = cgutils.get_item_pointer(
            context, builder, signature.args[0], array, [index], wraparound=False
        )
        return builder.atomic_rmw("add", place, ir.Constant(ir.IntType(64), 1), "monotonic")

    return int64(counters, int64), codegen


@intrinsic
def _call_address(typing, function, task, arguments):
    def codegen(context, builder, signature, values):
        function, task, arguments = values
        kind = ir.FunctionType(ir.VoidType(), [ir.IntType(64), ir.IntType(64)])
        builder.call(builder.inttoptr(function, kind.as_pointer()), [task, arguments])
        return context.get_dummy_value()

    return types.void(int64, int64, int64), codegen


@intrinsic
def _for_each_task(typing, tasks, arguments):
    """run(_ONE, task, arguments) for every task, in the pool, where `run` is what calls this.

    Writes what Numba has no words for: a C function that takes the arguments from memory and calls
    the kernel, so that one compiled loop can run all kernels by their address.
    """
    pool = typing.resolve_value_type(_tasks_in_pool)
    pool_signature = pool.get_call_type(typing, (int64, int64, int64), {})

    def codegen(context, builder, signature, values):
        tasks, packed = values
        integer = ir.IntType(64)
        kind = ir.FunctionType(ir.VoidType(), [integer, integer])
        unpack = ir.Function(builder.module, kind, "tinynet_unpack_and_call")
        unpack.linkage = "internal"
        inner = ir.IRBuilder(unpack.append_basic_block("entry"))
        task, place = unpack.args
        unpacked = inner.load(inner.inttoptr(place, packed.type.as_pointer()))
        # Kernels raise nothing; there would be nobody to raise it to.
        context.call_conv.call_function(
            inner,
            builder.function,
            types.none,
            (int64, int64, arguments),
            [ir.Constant(integer, _ONE), task, unpacked],
        )
        inner.ret_void()

        place = builder.ptrtoint(cgutils.alloca_once_value(builder, packed), integer)
        run = context.get_function(pool, pool_signature)
        run(builder, [builder.ptrtoint(unpack, integer), tasks, place])
        return context.get_dummy_value()

    return types.void(int64, arguments), codegen


def dense(first: ndarray, *others: ndarray | None) -> list:
    """The arrays as kernels want them: C-contiguous, aligned, writable; copied where they are not.

    Raises TypeError unless all are float32 or all are float64. None stays None.
    """
    check_dtypes(first, *others)
    return [
        array if array is None or array.flags.carray else np.array(array, order="C")
        for array in (first, *others)
    ]


def read_only(array: types.Array) -> types.Array:
    """The type of an argument that may be read-only, as broadcast views are."""
    return array.copy(readonly=True)


def on_compile(callback: Callable[[str, str], None]) -> Callable[[], None]:
    """Call `callback(kernel, why)` before a kernel is compiled; returns what undoes that.

    Compiling the kernels of a network takes seconds, once per machine: say so. Without a callback
    one line is written to stderr, if that is a terminal. `why` reads "once for this machine".
    """
    _listeners.append(callback)
    return lambda: _listeners.remove(callback)


@cache
def cache_directory() -> Path | None:
    """Where compiled kernels of this very source, Numba and CPU are kept; None if nowhere.

    See user_cache.py.
    """
    return user_cache.directory("kernels", source_key())


def source_key() -> str:
    """A hash of all that compiled code depends on: the kernels folder, the compilers, the CPU."""
    root = Path(__file__).parent
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(f"{path.relative_to(root)}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    compilers = (sys.version, numba.__version__, llvmlite.__version__, np.__version__)
    cpu = (llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten())
    digest.update(repr((compilers, cpu)).encode())
    return digest.hexdigest()[:20]


@contextmanager
def _numba_cache(directory: Path | None) -> Iterator[None]:
    """Numba reads its cache directory when a function is decorated: set it for that moment."""
    before = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = str(directory or before)
    try:
        yield
    finally:
        numba.config.CACHE_DIR = before


class _Announcer(event.Listener):
    """Tells that a kernel is being compiled; Numba is silent when it finds it on disk."""

    def __init__(self, name: str, dispatcher: Any) -> None:
        self._name, self._dispatcher = name, dispatcher

    def on_start(self, event: Any) -> None:
        if event.data["dispatcher"] is not self._dispatcher:
            return  # a function that this one calls
        why = "once for this machine" if cache_directory() else "as no cache can be written"
        for listener in _listeners:
            listener(self._name, why)
        global _announced
        if not _listeners and not _announced and sys.stderr.isatty():
            print(f"tinynet: compiling CPU kernels, {why} (seconds) ...", file=sys.stderr)
            _announced = True

    def on_end(self, event: Any) -> None:
        pass


def _after_fork() -> None:
    """In a forked child: no pool, and its lock is free, whoever held it in the parent."""
    global _parallel, _pool
    _parallel, _pool = False, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
