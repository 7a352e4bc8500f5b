"""A stand-in for CuPy on machines without a GPU: as strict as CuPy, on NumPy's memory.

What it refuses, CuPy refuses, so that a program which runs on it has no hidden transfers:

- to become a NumPy array without being asked (`__array__` raises; `.get()` is the way)
- NumPy arrays beside its own, in operators, functions and assignments
- NumPy's names that CuPy 14 does not have, and keywords that its reductions do not take

Reductions and single elements are arrays of no dimension, as in CuPy; everything that makes the CPU
wait for the GPU (`get`, `item`, `bool`, ...) is counted in `waits`. Kernels run through cuda-host.
"""

import sys
import types
import weakref

import numpy as np

# Names of NumPy's namespace, of ndarray and of linalg that CuPy 14.2 lacks (those that matter).
LACKING = frozenset(
    [
        "block",
        "einsum_path",
        "errstate",
        "geomspace",
        "histogram_bin_edges",
        "insert",
        "ma",
        "matvec",
        "ndenumerate",
        "nditer",
        "object_",
        "polyder",
        "polyint",
        "spacing",
        "unstack",
        "vecdot",
        "vecmat",
        "matrix",
        "longdouble",
        "frompyfunc",
        "emath",
        "lib",
        "char",
    ]
)
LACKING_METHODS = frozenset(["ctypes", "getfield", "resize", "setfield", "setflags", "to_device"])
NOT_KEYWORDS = frozenset(("initial", "where"))  # of reductions

waits = 0


def wait() -> None:
    global waits
    waits += 1


class _Flags:
    def __init__(self, flags):
        self.c_contiguous, self.f_contiguous = flags.c_contiguous, flags.f_contiguous
        self.owndata = flags.owndata


class _Memory:
    def __init__(self, ptr):
        self.ptr = ptr


class ndarray:
    """cupy.ndarray."""

    __slots__ = ("__weakref__", "_host", "base")
    __array_priority__ = 100

    def __array__(self, *_, **__):
        raise TypeError(
            "Implicit conversion to a NumPy array is not allowed. Please use `.get()` to construct "
            "a NumPy array explicitly."
        )

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        if ufunc.__name__ in LACKING:
            return NotImplemented
        if "out" in kwargs:
            (kwargs["out"],) = kwargs["out"]
        return _call(getattr(ufunc, method), ufunc.__name__, inputs, kwargs)

    def __array_function__(self, function, types, args, kwargs):
        name = function.__name__
        if name in LACKING:
            return NotImplemented
        result = _call(function, name, args, kwargs)
        if name == "diagonal":  # CuPy's can be written
            result._host.flags.writeable = True
        return result

    @property
    def dtype(self):
        return self._host.dtype

    @property
    def shape(self):
        return self._host.shape

    @shape.setter
    def shape(self, shape):
        self._host.shape = shape

    @property
    def flags(self):
        return _Flags(self._host.flags)

    @property
    def data(self):
        return _Memory(self._host.ctypes.data)

    @property
    def device(self):
        return cuda.Device(0)

    def __getattr__(self, name):
        if name.startswith("__") or name in LACKING_METHODS:
            raise AttributeError(f"'cupy.ndarray' object has no attribute {name!r}")
        value = getattr(self._host, name)
        if callable(value):
            return lambda *args, **kwargs: _call(value, name, args, kwargs)
        return _wrapped(value)

    def get(self, *_, **__):
        wait()
        return self._host.copy()

    def set(self, values, *_):
        assert type(values) is np.ndarray
        self._host[...] = values

    def item(self, *args):
        wait()
        return self._host.item(*args)

    def tolist(self):
        wait()
        return self._host.tolist()

    def __bool__(self):
        wait()
        return bool(self._host)

    def __int__(self):
        wait()
        return int(self._host)

    def __float__(self):
        wait()
        return float(self._host)

    def __len__(self):
        return len(self._host)

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def __getitem__(self, key):
        return _wrapped(self._host[_unwrapped(key, index=True)])

    def __setitem__(self, key, value):
        self._host[_unwrapped(key, index=True)] = _unwrapped(value)

    def __copy__(self):
        return self.copy()

    def __deepcopy__(self, memo):
        return self.copy()

    def __reduce__(self):
        return array, (self.get(),)

    def __repr__(self):
        return repr(self._host)

    __hash__ = None


def _operator(name):
    def method(self, *others):
        others = [_unwrapped(other) for other in others]
        value = getattr(self._host, name)(*others)
        if name.startswith("__i") and name != "__invert__":
            return self
        return value if value is NotImplemented else _wrapped(value)

    return method


for _name in (
    *[
        "add",
        "sub",
        "mul",
        "truediv",
        "floordiv",
        "mod",
        "pow",
        "matmul",
        "and",
        "or",
        "xor",
        "lshift",
        "rshift",
    ],
    *[
        "radd",
        "rsub",
        "rmul",
        "rtruediv",
        "rfloordiv",
        "rmod",
        "rpow",
        "rmatmul",
        "rand",
        "ror",
        "rxor",
    ],
    *["iadd", "isub", "imul", "itruediv", "ifloordiv", "imod", "ipow", "iand", "ior", "ixor"],
    *["eq", "ne", "lt", "le", "gt", "ge", "neg", "pos", "abs", "invert", "divmod"],
):
    setattr(ndarray, f"__{_name}__", _operator(f"__{_name}__"))


def _unwrapped(value, index=False):
    if type(value) is ndarray:
        return value._host
    if isinstance(value, np.ndarray) and not index:  # CuPy copies index arrays by itself
        raise TypeError("Unsupported type <class 'numpy.ndarray'>")
    if isinstance(value, tuple | list):
        return type(value)(_unwrapped(v, index) for v in value)
    return value


_owners = weakref.WeakValueDictionary()  # NumPy array with memory of its own -> array here


def _wrapped(value):
    if isinstance(value, tuple | list):
        return tuple(_wrapped(v) for v in value)
    if not isinstance(value, np.ndarray | np.generic):
        return value
    result = object.__new__(ndarray)
    result._host = root = np.asarray(value)
    while isinstance(root.base, np.ndarray):
        root = root.base
    result.base = None
    if root is result._host:
        _owners[id(root)] = result
    else:  # as CuPy's, a view's base is the array that has the memory
        owner = _owners.get(id(root))
        result.base = _wrapped(root) if owner is None else owner
    return result


REDUCTIONS = frozenset(
    ["sum", "prod", "max", "min", "amax", "amin", "mean", "any", "all", "std", "var"]
)


def _call(function, name, args, kwargs):
    if name in REDUCTIONS and NOT_KEYWORDS & kwargs.keys():
        raise TypeError(f"{name}() got an unexpected keyword argument")
    out = kwargs.get("out")
    kwargs = {key: _unwrapped(value) for key, value in kwargs.items()}
    result = function(*(_unwrapped(a) for a in args), **kwargs)
    return out if type(out) is ndarray else _wrapped(result)


def array(object, dtype=None, copy=True, order="K", subok=False, ndmin=0):
    """From a NumPy array, lists or numbers: the way to the GPU."""
    if type(object) is ndarray:
        object = object._host
    elif isinstance(object, list | tuple):
        object = _unwrapped(object)
    return _wrapped(np.array(object, dtype, copy=True, order=order, ndmin=ndmin))


def asarray(a, dtype=None, order=None):
    """The array itself if it is one of this dtype and order; else a copy on the GPU."""
    if type(a) is not ndarray:
        return array(a, dtype, order=order or "K")
    host = np.asarray(a._host, dtype, order=order)
    return a if host is a._host else _wrapped(host)


def ascontiguousarray(a, dtype=None):
    return asarray(a, dtype, order="C")


def asnumpy(a):
    return a.get() if type(a) is ndarray else np.asarray(a)


class _Function:
    """A function or ufunc of NumPy's, called with this module's arrays."""

    def __init__(self, function, name):
        self._function, self.__name__ = function, name

    def __call__(self, *args, **kwargs):
        return _call(self._function, self.__name__, args, kwargs)

    def __getattr__(self, method):
        return _Function(getattr(self._function, method), self.__name__)


class _Module(types.ModuleType):
    def __init__(self, name, numpy):
        super().__init__(name)
        self._numpy = numpy

    def __getattr__(self, name):
        if name in LACKING or name.startswith("__"):
            raise AttributeError(f"module 'cupy' has no attribute {name!r}")
        value = getattr(self._numpy, name)
        if isinstance(value, type) or not callable(value):
            return value
        if name == "diagonal":
            return lambda array, *args: array.__array_function__(value, (), (array, *args), {})
        return _Function(value, name)


# ------------------------------------------------------------------------------------ cupy.cuda


class CUDARuntimeError(RuntimeError):
    pass


class Device:
    def __init__(self, device=0):
        self.id = int(device)
        self.compute_capability = "90"
        self.attributes = {"MaxSharedMemoryPerBlockOptin": 232448}
        self.mem_info = (2**33, 2**34)

    def use(self):
        pass

    def synchronize(self):
        wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


class Stream:
    null = None

    def __init__(self, null=False, non_blocking=False, ptds=False):
        self.ptr = 0

    def synchronize(self):
        wait()

    def record(self, event=None):
        event = event or Event()
        event.recorded = True
        return event

    def wait_event(self, event):
        pass

    @property
    def done(self):
        return True

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


class Event:
    def __init__(self, block=False, disable_timing=False, interprocess=False):
        self.recorded = False

    def record(self, stream=None):
        self.recorded = True

    def synchronize(self):
        wait()

    @property
    def done(self):
        return True


class MemoryHook:
    name = "MemoryHook"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


class _Pool:
    def used_bytes(self):
        return 512

    def total_bytes(self):
        return 1024

    def free_all_blocks(self):
        pass


def module():
    """The module `cupy`."""
    cupy = _Module("cupy", np)
    for thing in (ndarray, array, asarray, ascontiguousarray, asnumpy):
        setattr(cupy, thing.__name__, thing)
    cupy.asanyarray = asarray
    cupy.linalg = _Module("cupy.linalg", np.linalg)
    cupy.cuda = cuda
    pool = _Pool()
    cupy.get_default_memory_pool = lambda: pool
    cupy.get_default_pinned_memory_pool = lambda: pool
    cupy.__version__ = "14.2.0"
    return cupy


cuda = types.ModuleType("cupy.cuda")
cuda.runtime = types.SimpleNamespace(
    CUDARuntimeError=CUDARuntimeError,
    getDeviceCount=lambda: 1,
    getDeviceProperties=lambda i: {
        "name": b"a stand-in", "major": 9, "minor": 0, "totalGlobalMem": 2**34,
        "multiProcessorCount": 132,
    },
    deviceSynchronize=wait,
    runtimeGetVersion=lambda: 13000,
)  # fmt: skip
cuda.Device, cuda.Stream, cuda.Event, cuda.MemoryHook = Device, Stream, Event, MemoryHook
cuda.get_current_stream = lambda: Stream()
cuda.get_elapsed_time = lambda start, end: 1.0


class _Runner:
    """A kernel that takes this module's arrays and runs on the CPU."""

    def __init__(self, run):
        self._run = run

    def __call__(self, grid, block, args, *rest):
        args = tuple(_host_of(a) for a in args)
        rest = tuple([_host_of(a) for a in r] if isinstance(r, list | tuple) else r for r in rest)
        return self._run(grid, block, args, *rest)


def _host_of(a):
    return a._host if type(a) is ndarray else a


def install(monkeypatch) -> types.ModuleType:
    """Makes this the `cupy` that tinynet finds."""
    from tinynet.kernels import cuda_source, launch

    cupy = module()
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    monkeypatch.setitem(sys.modules, "cupy.cuda", cuda)

    def on_gpu(file, names):
        signatures = [cuda_source.signature(file, name) for name in names]
        return {name: _Runner(run) for name, run in launch._on_cpu(file, signatures).items()}

    monkeypatch.setattr(launch, "_on_gpu", on_gpu)
    launch.load.cache_clear()
    return cupy
