"""The one gate through which CPU kernels are compiled by Numba, cached, and called.

    @jit.kernel(lambda T: (T[:, ::1], T[:, ::1], int64))
    def scale(x, y, k):
        for i in prange(x.shape[0]): ...

- Types are explicit: the lambda gives them for T = float32 or float64, `::1` means C-contiguous.
  Numba would otherwise compile again for every new combination it meets, a second each time.
  The first argument is an array of T. A version is compiled when it is first called.
- Compiled code is kept on disk, under a name made from every file of this folder, Numba's version
  and the CPU: Numba's own cache does not notice that a function in another file has changed.
  float32 and float64, parallel and serial, have their own directories, so that two processes that
  compile at once write the same files with the same content (each file is replaced atomically).
- `prange` loops run on one pool of threads, one kernel at a time. Work is split by shape, never by
  the number of threads, so results do not depend on it.
- In a forked child `prange` is `range`: GNU OpenMP kills a child of a process that has used it.
- Division by zero and NaN behave as in NumPy. `reorder_sums` lets LLVM add in several lanes at
  once; it assumes nothing about NaN or infinity.
"""

import hashlib
import os
import pickle
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import llvmlite
import llvmlite.binding as llvm
import numba
import numpy as np
from numba.core import event
from numpy import ndarray

_parallel = True
_pool = threading.Lock()
_kernels: list["Kernel"] = []
_listeners: list[Callable[[str, str], None]] = []
_announced = False


def kernel(types: Callable[[Any], tuple], *, reorder_sums: bool = False) -> Callable:
    """Decorator: a function of arrays and numbers, compiled on first use (see above)."""
    return lambda function: Kernel(function, types, reorder_sums=reorder_sums)


def inline(function: Callable | None = None, *, reorder_sums: bool = False) -> Callable:
    """Decorator: a piece of a kernel, compiled with the kernel that calls it."""
    if function is None:
        return lambda function: inline(function, reorder_sums=reorder_sums)
    return numba.njit(function, nogil=True, error_model="numpy", fastmath=_fastmath(reorder_sums))


class Kernel:
    """A compiled function: one version for float32, one for float64, made when needed."""

    def __init__(self, function: Callable, types: Callable, *, reorder_sums: bool) -> None:
        self.name = f"{function.__module__.removeprefix('tinynet.kernels.')}.{function.__name__}"
        self.__doc__ = function.__doc__
        self._function, self._types, self._reorder_sums = function, types, reorder_sums
        self._versions: dict[np.dtype, Callable] = {}
        _kernels.append(self)

    def __call__(self, *arguments: Any) -> None:
        dtype = arguments[0].dtype
        version = self._versions.get(dtype)
        if version is None:
            version = self._versions[dtype] = self._compile(dtype)
        with _pool:
            version(*arguments)

    def _compile(self, dtype: np.dtype) -> Callable:
        signature = self._types(numba.from_dtype(dtype))
        directory = cache_directory()
        if directory is not None:
            directory /= f"{dtype.name}-{'parallel' if _parallel else 'serial'}"
        try:
            return self._compile_in(directory, signature)
        except (OSError, RuntimeError, EOFError, pickle.UnpicklingError):
            # A cache that cannot be read or written must not stop anybody from working.
            return self._compile_in(None, signature)

    def _compile_in(self, directory: Path | None, signature: tuple) -> Callable:
        # A fresh function each time: Numba keeps what it knows of a function on its dispatcher.
        with _numba_cache(directory):
            dispatcher = numba.njit(
                self._function,
                nogil=True,
                parallel=_parallel,
                error_model="numpy",
                fastmath=_fastmath(self._reorder_sums),
                cache=directory is not None,
            )
        with event.install_listener("numba:compile", _Announcer(self.name, dispatcher)):
            dispatcher.compile(signature)
        dispatcher.disable_compile()
        return dispatcher


def dense(*arrays: ndarray | None) -> list:
    """The arrays as kernels want them: C-contiguous, aligned, writable; copied where they are not.

    Raises TypeError unless all are float32 or all are float64. None stays None.
    """
    dtype = next(array.dtype for array in arrays if array is not None)
    if dtype != np.float32 and dtype != np.float64:
        raise TypeError(f"kernels take float32 or float64 arrays, not {dtype}. Convert with .to().")
    result = []
    for array in arrays:
        if array is not None:
            if array.dtype != dtype:
                raise TypeError(
                    f"kernels take arrays of one dtype, but got {dtype} and {array.dtype}. "
                    f"Convert one of them with .to()."
                )
            if not array.flags.carray:
                array = np.array(array, order="C")
        result.append(array)
    return result


def on_compile(callback: Callable[[str, str], None]) -> Callable[[], None]:
    """Call `callback(kernel, why)` before a kernel is compiled; returns what undoes that.

    Compiling the kernels of a network takes seconds, once per machine: say so. Without a callback
    one line is written to stderr, if that is a terminal.
    """
    _listeners.append(callback)
    return lambda: _listeners.remove(callback)


@cache
def cache_directory() -> Path | None:
    """Where compiled kernels of this very source, Numba and CPU are kept; None if nowhere.

    Below $TINYNET_CACHE_DIR, or the user's cache directory.
    """
    directory = _user_cache() / "kernels" / source_key()
    try:
        directory.mkdir(parents=True, exist_ok=True)
        os.utime(directory)  # marks it as used, see _remove_unused
    except OSError:
        return None
    if not os.access(directory, os.W_OK):
        return None
    _remove_unused(directory.parent)
    return directory


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


def _user_cache() -> Path:
    chosen = os.environ.get("TINYNET_CACHE_DIR")
    if chosen:
        return Path(chosen)
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "tinynet"


def _remove_unused(parent: Path, days: float = 30) -> None:
    """Remove the kernels of sources that nobody has run for a month."""
    for directory in parent.iterdir():
        if time.time() - directory.stat().st_mtime > days * 86400:
            shutil.rmtree(directory, ignore_errors=True)


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
        why = "compiled once for this machine" if cache_directory() else "no cache directory"
        for listener in _listeners:
            listener(self._name, why)
        global _announced
        if not _listeners and not _announced and sys.stderr.isatty():
            print("tinynet: compiling CPU kernels, some seconds, " + why, file=sys.stderr)
            _announced = True

    def on_end(self, event: Any) -> None:
        pass


def _fastmath(reorder_sums: bool) -> set[str] | bool:
    return {"reassoc", "nsz"} if reorder_sums else False


def _after_fork() -> None:
    """In a forked child: forget the parallel versions and the pool's lock, held or not."""
    global _parallel, _pool
    _parallel, _pool = False, threading.Lock()
    for each in _kernels:
        each._versions.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
