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
- What all kernels have in common is compiled once (`_run`): taking the arguments out of Python's
  objects (arguments.py) and the loop over the tasks. Of each kernel only the task is compiled, as a
  function that C could call: Numba's own wrappers, and `prange` in each kernel, would take several
  times as long as most tasks.
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
from typing import Any, NamedTuple

import llvmlite
import llvmlite.binding as llvm
import numba
import numpy as np
from llvmlite import ir
from numba import int64, types
from numba.core import cgutils, event
from numba.core.caching import FunctionCache, NullCache
from numba.core.compiler import Compiler
from numba.core.compiler_machinery import register_pass
from numba.core.lowering import Lower
from numba.core.typed_passes import NativeLowering
from numba.extending import intrinsic
from numpy import ndarray

from . import ahead, arguments, user_cache
from .arguments import MOST_WORDS, NO_WRAPPERS
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
    return numba.njit(function, nogil=True, error_model="numpy", **NO_WRAPPERS)


class _Version(NamedTuple):
    """A kernel compiled for one dtype."""

    run: Callable  # what calls it, see _run
    task: int  # the address of the C function int (task, place of the arguments)
    table: int  # the address of what arguments it takes, see arguments.py
    kinds: types.BaseTuple  # the same, for people
    memory: Any  # what must live as long as the addresses


class Kernel:
    """A compiled function: one version for float32, one for float64, made when needed."""

    def __init__(self, function: Callable, types: Callable, allowed: set[str]) -> None:
        self.name = f"{function.__module__.rpartition('kernels.')[2]}.{function.__name__}"
        self.__doc__ = function.__doc__
        self._function, self._types = function, types
        self._fastmath: Any = allowed or False  # what LLVM may do to floating-point arithmetic
        self._versions: dict[np.dtype, _Version] = {}
        self.following: list[str] = []

    def then(self, *others: "Kernel") -> None:
        """Kernels that will be needed soon after this one: compile them meanwhile (ahead.py)."""
        self.following += [other.name for other in others]

    def __call__(self, tasks: int, *values: Any, nanoseconds: float = WORTH_THREADS) -> None:
        """Run tasks 0 ... tasks - 1 with these arguments; they write into arrays among them.

        A single task, or tasks that will take fewer nanoseconds than it is worth (a guess will
        do), run in the calling thread. Raises TypeError for arguments that the kernel does not
        take.
        """
        dtype = values[0].dtype
        version = self._versions.get(dtype)
        if version is None:
            version = self._versions[dtype] = self._version(dtype)
        run, task, table, _, _ = version
        if _parallel and tasks > 1 and nanoseconds >= WORTH_THREADS:
            with _pool:
                wrong = run(1, task, tasks, id(values), table)
        else:
            wrong = run(0, task, tasks, id(values), table)
        if wrong:
            self._not_run(wrong, version, tasks, values)

    def _not_run(self, wrong: int, version: _Version, tasks: int, values: tuple) -> None:
        """Run the tasks after all, with arrays of NumPy's own class and dtypes, or raise."""
        if wrong > 0:
            run, task, table, _, _ = version
            values = arguments.canonical(values)
            wrong = run(0, task, tasks, id(values), table)
        if wrong > len(version.kinds):
            raise TypeError(
                f"{self.name} takes {len(version.kinds)} arguments, but got {len(values)}"
            )
        if wrong > 0:
            raise TypeError(
                f"{self.name}: argument {wrong} is {_described(values[wrong - 1])}, "
                f"but the kernel takes {version.kinds[wrong - 1]}"
            )
        if wrong < 0:
            raise MemoryError(f"{self.name}: there is no memory for what a task needs")

    def _version(self, dtype: np.dtype) -> _Version:
        kinds = types.Tuple(self._types(numba.from_dtype(dtype)))
        size = arguments.words(kinds)
        assert size <= MOST_WORDS, f"the arguments of {self.name} are too many: {size} words"
        compiled = self.compile(dtype)
        task = compiled.library.get_pointer_to_function(compiled.fndesc.llvm_cfunc_wrapper_name)
        table = arguments.described(kinds)
        return _Version(_runner(), task, table.ctypes.data, kinds, (compiled, table))

    def compile(self, dtype: np.dtype) -> Any:
        """Numba's result for float32 or float64, compiled or found in the cache on disk."""
        signature = (int64, *self._types(numba.from_dtype(dtype)))
        dispatcher = numba.njit(
            self._function,
            nogil=True,
            error_model="numpy",
            fastmath=self._fastmath,
            pipeline_class=_TaskCompiler,
            no_cpython_wrapper=True,
        )
        with event.install_listener("numba:compile", _Announcer(self, dtype, dispatcher)):
            return _compiled(dispatcher, signature, f"{self.name}-{dtype.name}")


def _described(value: Any) -> str:
    if not isinstance(value, ndarray):
        return f"{type(value).__name__} {value!r}"
    order = "C-contiguous" if value.flags.c_contiguous else "not C-contiguous"
    return f"an array of {value.dtype}, {value.ndim}-dimensional, {order}"


def _compiled(dispatcher: Any, signature: tuple, name: str) -> Any:
    """What Numba compiles for this signature, or finds in the cache's directory of this name."""
    start_pool()  # compiled code refers to it
    root = cache_directory()
    if root is not None:
        try:
            with _numba_cache(root / name):
                dispatcher._cache = _Cache(dispatcher.py_func)
            dispatcher.compile(signature)
        except (OSError, EOFError, pickle.UnpicklingError):
            # a cache that cannot be read or written must not stop anybody from working
            dispatcher._cache = NullCache()
    dispatcher.compile(signature)
    return dispatcher.overloads[signature]


class _Cache(FunctionCache):
    """Numba's cache of a function, for one signature.

    What the function's closure holds is not part of the key, as it would be for Numba, which
    writes it down differently in each process: the directory is that of one kernel.
    """

    def _index_key(self, sig: Any, codegen: Any) -> Any:
        return sig, codegen.magic_tuple()


class _TaskCompiler(Compiler):
    """Numba's compiler, but the function for C takes its arguments from memory."""

    def define_pipelines(self) -> list:
        (manager,) = super().define_pipelines()
        manager.passes = [
            (_TaskLowering if step is NativeLowering else step, description)
            for step, description in manager.passes
        ]
        manager.finalize()
        return [manager]


class _TaskLower(Lower):
    def create_cfunc_wrapper(self) -> None:
        """int (task, place): whether the task failed, with its arguments at this place."""
        context, described, word = self.context, self.fndesc, ir.IntType(64)
        module = context.create_module("task")
        kind = context.call_conv.get_function_type(described.restype, described.argtypes)
        function = ir.Function(module, kind, described.llvm_func_name)
        kind = ir.FunctionType(word, [word, word])
        caller = ir.Function(module, kind, described.llvm_cfunc_wrapper_name)
        builder = ir.IRBuilder(caller.append_basic_block("entry"))
        task, place = caller.args
        values = arguments.load(context, builder, place, described.argtypes[1:])
        status, _ = context.call_conv.call_function(
            builder,
            function,
            described.restype,
            described.argtypes,
            [task, *values],
            attrs=("noinline",),
        )
        builder.ret(builder.zext(status.is_error, word))
        self.library.add_ir_module(module)


@register_pass(mutates_CFG=True, analysis_only=False)
class _TaskLowering(NativeLowering):
    _name = "task_lowering"
    lowering_class = _TaskLower


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


@numba.njit(nogil=True, parallel=True, **NO_WRAPPERS)
def _tasks_in_pool(function, tasks, arguments):
    """Call the function at this address for every task; how many have failed.

    Every thread has a share of its own, of neighbouring tasks, and then helps with the others':
    nobody waits for a thread that another program keeps from running, or that still wakes up.
    """
    threads = _thread_count()
    failed = 0
    following = np.empty(threads * _APART, np.int64)  # of each share: the task to be done next
    for share in range(threads):
        following[share * _APART] = share * tasks // threads
    for thread in numba.prange(threads):
        errors = 0
        for shift in range(threads):
            share = (thread + shift) % threads
            end = (share + 1) * tasks // threads
            task = _take(following, share * _APART)
            while task < end:
                errors += _call_address(function, task, arguments)
                task = _take(following, share * _APART)
        failed += errors
    return failed


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
    """Call the C function int64 (task, arguments) at an address."""

    def codegen(context, builder, signature, values):
        function, task, arguments = values
        word = ir.IntType(64)
        kind = ir.FunctionType(word, [word, word])
        return builder.call(builder.inttoptr(function, kind.as_pointer()), [task, arguments])

    return int64(int64, int64, int64), codegen


@intrinsic
def _let_other_threads_run(typing):
    """Give Python's lock away; what is needed to take it back."""

    def codegen(context, builder, signature, values):
        state = context.get_python_api(builder).save_thread()
        return builder.ptrtoint(state, ir.IntType(64))

    return int64(), codegen


@intrinsic
def _wait_for_turn(typing, state):
    """Take Python's lock back."""

    def codegen(context, builder, signature, values):
        python = context.get_python_api(builder)
        python.restore_thread(builder.inttoptr(values[0], python.voidptr))
        return context.get_dummy_value()

    return types.void(int64), codegen


def _run(in_pool, function, tasks, packed, table):
    """Call a compiled task for 0 ... tasks - 1, in the pool or one by one.

    packed is the address of a tuple of arguments, table that of what they should be. Gives 0,
    the number (from 1) of an argument that is not, or -1 if a task failed.
    """
    memory = arguments.memory_for_words()
    wrong = arguments.unpack(packed, table, memory)
    if wrong:
        return wrong
    state = _let_other_threads_run()
    failed = 0
    if in_pool:
        failed += _tasks_in_pool(function, tasks, memory)
    else:
        for task in range(tasks):
            failed += _call_address(function, task, memory)
    _wait_for_turn(state)
    return -1 if failed else 0


@cache
def _runner() -> Callable:
    """`_run`, compiled."""
    dispatcher = numba.njit(_run, no_cfunc_wrapper=True)
    _compiled(dispatcher, (int64,) * 5, "run")
    dispatcher.disable_compile()
    return dispatcher


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

    def __init__(self, kernel: Kernel, dtype: np.dtype, dispatcher: Any) -> None:
        self._kernel, self._dtype, self._dispatcher = kernel, dtype, dispatcher

    def on_start(self, event: Any) -> None:
        if event.data["dispatcher"] is not self._dispatcher:
            return  # a function that this one calls
        directory = cache_directory()
        if directory is not None:
            ahead.request(self._kernel.following, self._dtype, directory)
        why = "once for this machine" if directory else "as no cache can be written"
        for listener in _listeners:
            listener(self._kernel.name, why)
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
