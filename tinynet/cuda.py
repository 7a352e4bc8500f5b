"""GPUs: which there are, their memory, streams and events, with the names of `torch.cuda`.

Nothing here imports CuPy before it is needed, so that `is_available()` can be asked anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from . import kernels, random
from .device import check_device, device, why_no_cuda
from .kernels import capture, reports
from .kernels.conv2d.dims import Conv2dDims

if TYPE_CHECKING:
    from .kernels.cuda_host.trace import Trace


def is_available() -> bool:
    """True if there is a GPU that can be used; `tinynet.device.why_no_cuda()` says why not."""
    return why_no_cuda() is None


def device_count() -> int:
    """How many GPUs there are, 0 if none can be used."""
    return int(_cupy().cuda.runtime.getDeviceCount()) if is_available() else 0


def init() -> None:
    """Raise RuntimeError with the reason and the cure if no GPU can be used."""
    check_device("cuda")


def _cupy() -> Any:
    init()
    import cupy

    return cupy


def _index(target: Any = None) -> int:
    """A GPU's number: of a device, its name or its number; of the current one for None."""
    if target is None:
        return current_device()
    target = check_device(target)
    if target.type != "cuda":
        raise ValueError(f"cuda: expected a CUDA device, but got {target}.")
    return current_device() if target.index is None else target.index


def current_device() -> int:
    """The number of the GPU in use."""
    return int(_cupy().cuda.Device().id)


def set_device(target: Any) -> None:
    """Use this GPU from now on, in this thread."""
    _cupy().cuda.Device(_index(target)).use()


@contextmanager
def use_device(target: Any) -> Iterator[None]:
    """Within the `with` block this GPU is the current one."""
    with _cupy().cuda.Device(_index(target)):
        yield


class DeviceProperties(NamedTuple):
    """What a GPU is."""

    name: str
    major: int
    minor: int
    total_memory: int
    multi_processor_count: int


def get_device_properties(target: Any = None) -> DeviceProperties:
    """Name, compute capability, memory in bytes and multiprocessors of a GPU."""
    found = _cupy().cuda.runtime.getDeviceProperties(_index(target))
    return DeviceProperties(
        found["name"].decode(),
        int(found["major"]),
        int(found["minor"]),
        int(found["totalGlobalMem"]),
        int(found["multiProcessorCount"]),
    )


def get_device_name(target: Any = None) -> str:
    """A GPU's name."""
    return get_device_properties(target).name


def get_device_capability(target: Any = None) -> tuple[int, int]:
    """A GPU's compute capability, (9, 0) for an H200."""
    found = get_device_properties(target)
    return found.major, found.minor


def synchronize(target: Any = None) -> None:
    """Wait until the GPU has done everything it was given; raises what a kernel found wrong."""
    capture.refuse("it cannot wait for itself", "Call synchronize() outside of the graph.")
    _cupy().cuda.Device(_index(target)).synchronize()
    reports.check()


# ------------------------------------------------------------------------------------------ memory


def memory_allocated(target: Any = None) -> int:
    """Bytes of GPU memory that arrays hold."""
    with use_device(target):
        return int(_cupy().get_default_memory_pool().used_bytes())


def memory_reserved(target: Any = None) -> int:
    """Bytes of GPU memory that the pool has taken, held by arrays or kept for the next ones."""
    with use_device(target):
        return int(_cupy().get_default_memory_pool().total_bytes())


def empty_cache() -> None:
    """Give the memory that the pool keeps for later back to the GPU."""
    if is_available():
        cupy = _cupy()
        cupy.get_default_memory_pool().free_all_blocks()
        cupy.get_default_pinned_memory_pool().free_all_blocks()


def mem_get_info(target: Any = None) -> tuple[int, int]:
    """(free, total) bytes of the GPU's memory, whoever uses it."""
    free, total = _cupy().cuda.Device(_index(target)).mem_info
    return int(free), int(total)


_peaks: dict[int, int] = {}  # by GPU, from when it was first asked for
_hook: Any = None


def _watch_memory() -> None:
    """Have CuPy's pool report every allocation, from now on: it does not keep its peak itself."""
    global _hook
    if _hook is not None:
        return
    cupy = _cupy()

    def after_allocation(self: Any, *, device_id: int, **_: Any) -> None:
        used = int(cupy.get_default_memory_pool().used_bytes())
        _peaks[device_id] = max(_peaks.get(device_id, 0), used)

    methods = {"name": "tinynet: peak memory", "malloc_postprocess": after_allocation}
    _hook = type("Peak", (cupy.cuda.MemoryHook,), methods)()
    _hook.__enter__()  # and stays


def reset_peak_memory_stats(target: Any = None) -> None:
    """Let `max_memory_allocated` begin again from what is allocated now."""
    _watch_memory()
    _peaks[_index(target)] = memory_allocated(target)


def max_memory_allocated(target: Any = None) -> int:
    """The most bytes that arrays have held at once since the last `reset_peak_memory_stats`.

    Without one, since this was first called: to watch costs a little at every allocation.
    """
    _watch_memory()
    index = _index(target)
    return max(_peaks.get(index, 0), memory_allocated(index))


# -------------------------------------------------------------------------------- random numbers


def manual_seed(seed: int) -> None:
    """Seed tinynet's generator: its numbers are the same on every device."""
    random.manual_seed(seed)


manual_seed_all = manual_seed


# ---------------------------------------------------------------------------- streams and events


class Stream:
    """A queue of work for the GPU; queues run beside one another.

    Within `with stream(s):` work goes to s. A new stream does not wait for the default one.
    """

    def __init__(self, device: Any = None, priority: int = 0, *, stream: Any = None) -> None:
        self._stream = stream or _cupy().cuda.Stream(non_blocking=True)

    def synchronize(self) -> None:
        """Wait until everything given to it so far is done."""
        self._stream.synchronize()
        reports.check()

    def query(self) -> bool:
        """True if everything given to it so far is done."""
        return bool(self._stream.done)

    def record_event(self, event: Event | None = None) -> Event:
        """An event that is reached when what was given so far is done."""
        event = event or Event()
        event.record(self)
        return event

    def wait_event(self, event: Event) -> None:
        """Do nothing given from now on before the event is reached."""
        self._stream.wait_event(event._event)

    def wait_stream(self, stream: Stream) -> None:
        """Do nothing given from now on before what the other stream has now is done."""
        self.wait_event(stream.record_event())


class Event:
    """A point in a stream's work: to wait for, and to measure time between."""

    def __init__(self, enable_timing: bool = False, blocking: bool = False) -> None:
        self._event = _cupy().cuda.Event(block=blocking, disable_timing=not enable_timing)
        self._timing = enable_timing

    def record(self, stream: Stream | None = None) -> None:
        """Put the event behind what the stream (the current one) has been given so far."""
        self._event.record(None if stream is None else stream._stream)

    def synchronize(self) -> None:
        """Wait until the event is reached."""
        self._event.synchronize()

    def query(self) -> bool:
        """True if the event has been reached."""
        return bool(self._event.done)

    def elapsed_time(self, end: Event) -> float:
        """Milliseconds from this event to another; both with enable_timing=True, both reached."""
        if not (self._timing and end._timing):
            raise ValueError("elapsed_time: both events must be created with enable_timing=True.")
        return float(_cupy().cuda.get_elapsed_time(self._event, end._event))


def current_stream(device: Any = None) -> Stream:
    """The stream that work goes to."""
    return Stream(stream=_cupy().cuda.get_current_stream())


@contextmanager
def stream(queue: Stream) -> Iterator[None]:
    """Within the `with` block work goes to this stream."""
    with queue._stream:
        yield


# ------------------------------------------------------------------------------------------ graphs


class CUDAGraph:
    """Kernels that are captured once and launched again by one call: for small networks, whose
    launches take longer than their work.

        static_x, static_y = next(batches)                  # the graph reads these, always
        step(static_x, static_y)                            # once before: compiles, starts momentum
        g = tinynet.cuda.CUDAGraph()
        with tinynet.cuda.graph(g):
            loss = step(static_x, static_y)                 # captured, not computed
        for x, y in batches:
            static_x.copy_(x), static_y.copy_(y)
            g.replay()                                      # `loss` and the weights are new

    What the CPU decides is decided when it is captured: shapes, the learning rate, which layers
    there are. Dropout draws new numbers in every replay. Reading a result, copies from the CPU,
    cuBLAS, and optimisers that count their steps are refused with a sentence. What the graph
    allocates comes from a memory pool of its own, which nobody else gets memory from.
    """

    def __init__(self, keep_graph: bool = False) -> None:
        self._graph: Any = None
        self._pool: Any = None
        self._undo: ExitStack | None = None

    def capture_begin(self, pool: Any = None, capture_error_mode: str = "global") -> None:
        """Capture what the current stream is given from now on; `graph` is the simpler way."""
        cupy = _cupy()
        if self._graph is not None or self._undo is not None:
            raise RuntimeError("This CUDAGraph has a captured graph already; reset() drops it.")
        queue = cupy.cuda.get_current_stream()
        if queue.ptr in (0, 1):  # the default ones
            raise RuntimeError(
                "CUDA graphs must be captured on a non-default stream; "
                "`with tinynet.cuda.graph(g):` makes one."
            )
        self._stream, self._pool = queue, pool or graph_pool_handle()
        self._replays = cupy.zeros((), np.uint64)
        self._board = reports.Board(cupy)
        queue.synchronize()
        with ExitStack() as undo:
            undo.callback(capture.end, capture.begin(capture.Capture(self._replays, self._board)))
            undo.enter_context(cupy.cuda.using_allocator(self._pool.malloc))
            # CuPy's own copies from the CPU start from such memory.
            cupy.cuda.set_pinned_memory_allocator(_no_copies)
            kept = cupy.get_default_pinned_memory_pool().malloc
            undo.callback(cupy.cuda.set_pinned_memory_allocator, kept)
            queue.begin_capture()
            self._replays += 1
            self._undo = undo.pop_all()

    def capture_end(self) -> None:
        """What was captured can be replayed from now on."""
        if self._undo is None:
            raise RuntimeError("capture_end: call capture_begin first.")
        try:
            self._graph = self._stream.end_capture()
        finally:
            self._undo.close()
            self._undo = None
        self._reports, self._board.launches = self._board.launches, 0
        reports.watch(self._board)

    def replay(self) -> None:
        """Launch everything that was captured, on the current stream."""
        if self._graph is None:
            raise RuntimeError("replay: nothing was captured. Use `with tinynet.cuda.graph(g):`.")
        self._graph.launch()
        self._board.launches = self._reports

    def reset(self) -> None:
        """Forget the graph; its memory goes when no tensor is left in it."""
        if self._graph is not None:
            reports.forget(self._board)
        self._graph = self._pool = None

    def pool(self) -> Any:
        """Where the graph's memory comes from: for another graph that is never replayed beside
        this one."""
        return self._pool

    def __del__(self) -> None:
        self.reset()


def _no_copies(size: int) -> Any:
    capture.refuse("it cannot hold a copy from the CPU", "Make constants before the capture.")


def graph_pool_handle() -> Any:
    """A memory pool for graphs that share their memory: they must not be replayed side by side."""
    return _cupy().cuda.MemoryPool()


def is_current_stream_capturing() -> bool:
    """True while a graph is being captured."""
    return capture.current() is not None


@contextmanager
def graph(
    cuda_graph: CUDAGraph,
    pool: Any = None,
    stream: Stream | None = None,
    capture_error_mode: str = "global",
) -> Iterator[None]:
    """Within the `with` block work is captured in the graph instead of being done."""
    synchronize()
    with (stream or Stream())._stream:
        cuda_graph.capture_begin(pool, capture_error_mode)
        try:
            yield
        except BaseException:
            with suppress(Exception):  # the first error says more
                cuda_graph.capture_end()
            cuda_graph.reset()
            raise
        cuda_graph.capture_end()


def trace(
    kernel: str,
    block: int | Sequence[int] = 0,
    thread: int | Sequence[int] = 0,
    run: Callable[[], Any] | None = None,
) -> Trace:
    """What one thread of a CUDA kernel reads and writes, step by step, as a table; needs no GPU.

    The kernel runs on the CPU, in the first launch that `run` makes; without `run`, in a
    convolution of x (1, 2, 4, 4) with w (3, 2, 3, 3) and padding 1.

        tinynet.cuda.trace("tiled_forward", block=0, thread=(6, 1))

    Raises ValueError if `run` does not launch this kernel, or not with such a block and thread;
    RuntimeError if there is no C++ compiler.
    """
    from .kernels.cuda_host import trace as recorder

    names = kernels.algorithms("conv2d", "cuda-host")
    step = max((name for name in names if kernel.startswith(name)), key=len, default="auto")

    def launch() -> None:
        with kernels.use("cuda-host", conv2d=step) as backend:
            if run is not None:
                run()
            else:
                _small_convolution(backend.conv2d)

    return recorder.trace(kernel, launch, block=block, thread=thread)


def _small_convolution(conv2d: Any) -> None:
    x, w = np.arange(32, dtype=np.float32).reshape(1, 2, 4, 4), np.full((3, 2, 3, 3), 0.5, "f")
    dims = Conv2dDims.of(x.shape, w.shape, padding=1)
    y = conv2d.forward(x, w, None, dims=dims)
    conv2d.grad_input(y, w, dims=dims)
    conv2d.grad_weight(y, x, dims=dims)


__all__ = [
    "CUDAGraph",
    "DeviceProperties",
    "Event",
    "Stream",
    "current_device",
    "current_stream",
    "device",
    "device_count",
    "empty_cache",
    "get_device_capability",
    "get_device_name",
    "get_device_properties",
    "graph",
    "graph_pool_handle",
    "init",
    "is_available",
    "is_current_stream_capturing",
    "manual_seed",
    "manual_seed_all",
    "max_memory_allocated",
    "mem_get_info",
    "memory_allocated",
    "memory_reserved",
    "reset_peak_memory_stats",
    "set_device",
    "stream",
    "synchronize",
    "trace",
    "use_device",
]
