"""A stand-in for CuPy on machines without a GPU: as strict as CuPy, on NumPy's memory.

What it refuses, CuPy refuses, so that a program which runs on it has no hidden transfers:

- to become a NumPy array without being asked (`__array__` raises; `.get()` is the way)
- NumPy arrays beside its own, in operators, functions and assignments
- NumPy's names that CuPy 14 does not have, and keywords that its reductions do not take

Reductions and single elements are arrays of no dimension, as in CuPy; everything that makes the CPU
wait for the GPU (`get`, `item`, `bool`, ...) is counted in `waits`. Kernels run through cuda-host.

Graphs: between `begin_capture` and `end_capture` every operation is recorded, and afterwards all
memory is as it was before; `launch` does the operations again, in the same memory. What cannot be
captured raises, as in CuPy: waiting, cuBLAS, copies from the CPU where memory for them is refused.
"""

import contextlib
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
    if recording is not None:
        raise CUDARuntimeError("cudaErrorStreamCaptureUnsupported")
    waits += 1


recording = None  # the Graph that is being captured
CUBLAS = frozenset(["dot", "matmul", "__matmul__", "__rmatmul__", "tensordot", "einsum", "inner"])


class Graph:
    """What was captured: (operation, the array it makes or None), in order."""

    def __init__(self):
        self.operations, self.before, self.made = [], {}, {}

    def reads(self, operands):
        """Keep what the operands hold now, for they may be written."""
        for array in operands:
            root = _root(array)
            if id(root) not in self.before and id(root) not in self.made:
                self.before[id(root)] = root, root.copy()

    def records(self, operation, results):
        for made in results:
            if made is _root(made) and id(made) not in self.before:
                self.made.setdefault(id(made), made)
        self.operations.append((operation, results))

    def ends(self):
        """Nothing has been computed: what was there is as before, what is new holds anything."""
        for root, held in self.before.values():
            if root.flags.writeable:
                root[...] = held
        for root in self.made.values():
            root.fill(np.frombuffer(b"\xa5" * root.itemsize, root.dtype)[0])

    def launch(self, stream=None):
        for operation, results in self.operations:
            for held, new in zip(results, _arrays(operation()), strict=True):
                if not np.shares_memory(held, new):
                    held[...] = new


def _root(array):
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def _arrays(value):
    """NumPy arrays (and numbers, as such) in an operation's operands or result."""
    if isinstance(value, tuple | list):
        return [a for v in value for a in _arrays(v)]
    if isinstance(value, slice):
        return _arrays((value.start, value.stop, value.step))
    return [np.asarray(value)] if isinstance(value, np.ndarray | np.generic) else []


def _done(operation, *operands):
    """The operation's result, wrapped; it is recorded if a graph is being captured."""
    if recording is None:
        return _wrapped(operation())
    recording.reads(_arrays(operands))
    wrapped = _wrapped(operation())
    held = wrapped if isinstance(wrapped, tuple) else (wrapped,)
    recording.records(operation, [w._host for w in held if type(w) is ndarray])
    return wrapped


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
        key = _unwrapped(key, index=True)
        return _done(lambda: self._host[key], self._host, key)

    def __setitem__(self, key, value):
        key, value = _unwrapped(key, index=True), _unwrapped(value)
        _done(lambda: self._host.__setitem__(key, value), self._host, key, value)

    def fill(self, value):
        if type(value) is ndarray:
            bool(value == 0)  # CuPy asks, and so waits
        value = _unwrapped(value)
        _done(lambda: self._host.fill(value), self._host, value)

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
        _check_cublas(name)
        others = [_unwrapped(other) for other in others]
        value = _done(lambda: getattr(self._host, name)(*others), self._host, others)
        return self if name.startswith("__i") and name != "__invert__" else value

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
    known = _owners.get(id(value))
    if known is not None and known._host is value:  # in place: no new array
        return known
    result = object.__new__(ndarray)
    result._host = root = np.asarray(value)
    while isinstance(base := getattr(root, "base", None), np.ndarray) or hasattr(base, "base"):
        root = base  # as_strided puts a holder without elements between an array and its base
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
    _check_cublas(name)
    out = kwargs.get("out")
    kwargs = {key: _unwrapped(value) for key, value in kwargs.items()}
    args = [_unwrapped(a) for a in args]
    if name in ("full", "full_like") and type(args[1]) is np.ndarray:
        wait()  # see fill
    owner = getattr(function, "__self__", None)
    operands = args, list(kwargs.values()), owner if isinstance(owner, np.ndarray) else None
    result = _done(lambda: function(*args, **kwargs), *operands)
    return out if type(out) is ndarray else result


def _check_cublas(name):
    if recording is not None and name in CUBLAS:
        raise NotImplementedError(
            "calling cuBLAS API during stream capture is currently unsupported"
        )


def array(object, dtype=None, copy=True, order="K", subok=False, ndmin=0):
    """From a NumPy array, lists or numbers: the way to the GPU."""
    if type(object) is ndarray:
        object = object._host
    else:
        object = _unwrapped(object) if isinstance(object, list | tuple) else object
        cuda.pinned(np.asarray(object).nbytes)  # where copies from the CPU start
    return _done(lambda: np.array(object, dtype, copy=True, order=order, ndmin=ndmin), object)


def asarray(a, dtype=None, order=None):
    """The array itself if it is one of this dtype and order; else a copy on the GPU."""
    if type(a) is not ndarray:
        return array(a, dtype, order=order or "K")
    if np.asarray(a._host, dtype, order=order) is a._host:
        return a
    return _done(lambda: np.asarray(a._host, dtype, order=order), a._host)


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
        self.ptr = 0 if null else id(self)

    def begin_capture(self, mode=None):
        global recording
        if self.ptr == 0:
            raise RuntimeError("cannot capture on the default (legacy) stream")
        recording = Graph()

    def end_capture(self):
        global recording
        graph, recording = recording, None
        graph.ends()
        return graph

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
        _streams.append(self)
        return self

    def __exit__(self, *_):
        _streams.pop()


_streams = [Stream(null=True)]


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

    def malloc(self, size):
        pass


class MemoryPool(_Pool):
    pass


def module():
    """The module `cupy`."""
    cupy = _Module("cupy", np)
    for thing in (ndarray, array, asarray, ascontiguousarray, asnumpy):
        setattr(cupy, thing.__name__, thing)
    cupy.asanyarray = asarray
    cupy.linalg = _Module("cupy.linalg", np.linalg)
    tricks = _Module("cupy.lib.stride_tricks", np.lib.stride_tricks)
    cupy.lib = types.SimpleNamespace(stride_tricks=tricks)
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
    driverGetVersion=lambda: 13010,
)  # fmt: skip
cuda.Device, cuda.Stream, cuda.Event, cuda.MemoryHook = Device, Stream, Event, MemoryHook
cuda.get_current_stream = lambda: _streams[-1]
cuda.nvrtc = types.SimpleNamespace(getVersion=lambda: (13, 0))
cuda.MemoryPool = MemoryPool
cuda.using_allocator = lambda allocator: contextlib.nullcontext()
cuda.pinned = _Pool().malloc


def _set_pinned_memory_allocator(allocator):
    cuda.pinned = allocator


cuda.set_pinned_memory_allocator = _set_pinned_memory_allocator
cuda.get_elapsed_time = lambda start, end: 1.0


class _Runner:
    """A kernel that takes this module's arrays and runs on the CPU."""

    def __init__(self, run):
        self._run = run

    def __call__(self, grid, block, args, *rest):
        args = tuple(_host_of(a) for a in args)
        rest = tuple([_host_of(a) for a in r] if isinstance(r, list | tuple) else r for r in rest)
        _done(lambda: self._run(grid, block, args, *rest), args, rest)


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
