"""The benchmark of a GPU, on the stand-in for CuPy, with PyTorch on the CPU in the GPU's place."""

import contextlib
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from tinynet.bench import device_clock, gpu
from tinynet.bench.pictures import draw
from tinynet.bench.report import markdown
from tinynet.bench.result import Result
from tinynet.bench.session import Session
from tinynet.bench.timing import WorkerError

sys.path.insert(0, str(Path(__file__).parent.parent / "cuda"))


class Event:
    """Ten milliseconds lie between any two."""

    def __init__(self, enable_timing):
        assert enable_timing

    def record(self):
        pass

    def synchronize(self):
        pass

    def elapsed_time(self, end):
        return 10.0


class Graph:
    """A `torch.cuda.CUDAGraph` that takes the step again."""

    def replay(self):
        self.step()


@pytest.fixture
def machine(monkeypatch, inside):
    """A GPU, as far as it can be had here; what the workers were asked for."""
    import fake_cupy
    import torch
    from tinynet.kernels import reports

    from tinynet.bench.peers import pytorch_cuda, tinynet_cuda

    monkeypatch.setattr(reports, "_boards", {})
    fake_cupy.install(monkeypatch)
    monkeypatch.setitem(sys.modules, "numba", None)  # there may be none
    monkeypatch.setattr(device_clock, "WARM_UP", 0.0)
    monkeypatch.setattr(gpu, "SAMPLE", 1e-6)  # a call each
    for peer in (tinynet_cuda, pytorch_cuda):
        monkeypatch.setattr(peer, "gemm", partial(peer.gemm, size=40))
    monkeypatch.setattr(tinynet_cuda, "copy", partial(tinynet_cuda.copy, size=400))

    none = SimpleNamespace(wait_stream=lambda other: None)
    cuda = {
        "is_available": lambda: True,
        "synchronize": lambda: None,
        "Event": Event,
        "Stream": lambda: none,
        "current_stream": lambda: none,
        "stream": lambda stream: contextlib.nullcontext(),
    }
    for name, value in cuda.items():
        monkeypatch.setattr(torch.cuda, name, value)
    monkeypatch.setattr(pytorch_cuda, "DEVICE", "cpu")
    graphs = {table: setting for table, setting in gpu.PYTORCH.items() if setting != "graph"}
    monkeypatch.setattr(gpu, "PYTORCH", graphs)

    @contextlib.contextmanager
    def workers():
        yield inside

    monkeypatch.setattr(gpu, "workers", workers)
    switches = torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark
    with torch.backends.__allow_nonbracketed_mutation():  # PyTorch's test tools freeze them
        yield
        torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark = switches
    torch.backends.cuda.matmul.allow_tf32 = False


def session(**options):
    return Session(
        Result("tinynet bench"), **{"rounds": (1, 1), "retries": 0, "seconds": 0.01} | options
    )


@pytest.mark.slow
def test_networks(machine):
    one = session()
    gpu.run_models(one, ["tiny"])
    assert list(one.result.rows) == [
        f"cuda-models/tiny/{mode}/{precision}"
        for mode in ("training/4", "inference/1", "inference/4")
        for precision in ("fp32", "tf32")
    ]
    for row in one.result.rows.values():
        assert row["unverified"] == row["refused"] == {}
        wanted = {**gpu.PYTORCH, **gpu.TINYNET}
        if row["mode"] == "inference":
            wanted.pop("tinynet graph")
        assert row["entries"].keys() == wanted.keys()
        for entry in row["entries"].values():
            assert entry["median"] == pytest.approx(1e-3 if entry["library"] == "tinynet" else 1e-2,
                                                    rel=0.99)  # fmt: skip
            assert entry["first"] >= 0
    assert one.result.machine["gpu"] == "a stand-in"
    assert one.result.machine["CUDA"] == "13.0"
    assert one.result.versions["cupy"] == "14.2.0"
    text = markdown(one.result)
    assert "on a stand-in (CUDA 13.0" in text
    assert "| ConvNet of two filters | training, batch 4 | tf32 |" in text


@pytest.mark.slow
def test_kernels_of_every_family(machine, tmp_path):
    from tinynet.bench.families import FAMILIES

    one = session()
    gpu.run_kernels(one, FAMILIES, size="small")
    assert {row["family"] for row in one.result.rows.values()} == set(FAMILIES)
    for row in one.result.rows.values():
        assert row["unverified"] == {}
        assert all("compared" in why for why in row["refused"].values())
    row = one.result.rows["cuda-kernels/conv2d/3x3/grad_weight/fp32"]
    assert {"pytorch", "pytorch channels_last", "naive", "im2col_library", "winograd"} <= set(
        row["entries"]
    )
    assert "implicit_gemm_tf32" not in row["entries"]
    row = one.result.rows["cuda-kernels/conv2d/3x3/forward/tf32"]
    assert set(row["entries"]) == {
        "pytorch", "pytorch channels_last", "auto", "implicit_gemm_tf32"
    }  # fmt: skip
    assert row["ceilings"].keys() == {"gemm", "copy"}
    assert "conv2d forward | 3x3 | tf32 | implicit_gemm_tf32 |" in markdown(one.result)
    draw(one.result, tmp_path / "roofline.svg")
    assert "Convolutions, float32, on the GPU, fp32" in (tmp_path / "roofline.svg").read_text()


def test_the_images_of_a_case_are_repeated(machine):
    """VGG's layers have the batch of the network; the table's arrays are used again and again."""
    from tinynet.bench.families import arrays_of, case_of, cases

    vgg = next(case for case in cases("conv2d") if case.name == "VGG 5")
    assert gpu._times("conv2d", vgg) * vgg.x[0] == 64
    assert case_of("conv2d", "VGG 5", 8).dims.N == 64
    seen = []
    arrays_of("conv2d", "3x3", "float32", lambda a, n: seen.append((a.shape, n)), 3)
    assert seen == [((2, 3, 5, 5), 3), ((4, 3, 3, 3), 1), ((4,), 1), ((2, 4, 5, 5), 3)]
    task = {"kind": "kernel", "family": "conv2d", "case": "3x3", "function": "forward"}
    task |= {"times": 3, "dtype": "float32"}
    digests = []
    for peer, algorithm in (("tinynet_cuda", "tiled"), ("pytorch_cuda", "")):
        from tinynet.bench.worker import Server

        server = Server(peer)
        server.hello(threads=1)
        answer = server.prepare(name="k", task=task | {"algorithm": algorithm})["answers"]
        digests.append(answer["arrays"]["result 1"])
    assert digests[0]["shape"] == digests[1]["shape"] == [6, 4, 5, 5]
    assert digests[0]["norm"] == pytest.approx(digests[1]["norm"], rel=1e-5)


def test_the_gpus_clock(monkeypatch):
    """A warm-up until the clock is up, then events around the calls."""
    now, calls, log = [0.0], [], []
    monkeypatch.setattr(device_clock.time, "perf_counter", lambda: now[0])
    cuda = SimpleNamespace(
        Event=lambda enable_timing: SimpleNamespace(
            record=lambda: log.append(len(calls)),
            synchronize=lambda: None,
            elapsed_time=lambda end: 6.0,
        ),
        synchronize=lambda: None,
    )

    def run():
        calls.append(1)
        now[0] += device_clock.WARM_UP / 3

    assert device_clock.elapsed(cuda, run, 5) == pytest.approx(6e-3)
    assert log == [3, 8]


def row(samples, library):
    return {"library": library, "median": samples, "best": samples, "samples": [samples]}


def test_the_bars_of_a_gpu():
    """Our faster step counts, against PyTorch as installed."""
    from tinynet.bench.bars import judge_cuda

    def judged(ours, graph=9.0, model="vgg16", precision="fp32", mode="training"):
        entries = {"tinynet": row(ours, "tinynet"), "tinynet graph": row(graph, "tinynet")}
        entries |= {"pytorch": row(1.0, "pytorch"), "pytorch tuned": row(0.1, "pytorch")}
        return judge_cuda(
            {"model": model, "precision": precision, "mode": mode, "entries": entries}
        )

    assert judged(1.0) == judged(5.0, 1.0) == judged(1.2, precision="tf32") == "reached"
    assert judged(1.3) == judged(0.9, model="lenet5") == "first bar reached"
    assert judged(1.31) == judged(1.9, precision="tf32") == "missed"
    assert judged(1.0, mode="inference") == ""
    nothing = {"model": "vgg16", "precision": "fp32", "mode": "training", "entries": {}}
    assert judge_cuda(nothing) == "not measured"


def test_the_document_names_what_was_not_measured(tmp_path):
    """Every row with the command that measures it; what is there stands in its place."""
    from tinynet.bench.report import renew

    document = "<!-- cuda-models.json -->\n<!-- end -->\n"
    text = renew(document, tmp_path)
    assert f"bench models --device cuda --output {tmp_path}/cuda-models.json`" in text
    assert text.count("| not measured |") == 18
    line = "| VGG-16, 224x224 | training, batch 64 | tf32 | not measured |"
    assert line in text
    assert "1.2 / 1.8 | `tinynet bench models --device cuda --model vgg16` |" in text

    result = Result("tinynet bench models --device cuda")
    key = gpu.model_key("vgg16", "training", 64, "tf32")
    entries = {"tinynet": row(0.03, "tinynet"), "pytorch": row(0.02, "pytorch")}
    head = {"key": key, "unit": "s", "model": "vgg16", "mode": "training", "batch": 64}
    result.add({**head, "precision": "tf32", "entries": entries, "unverified": {"x": "is wrong"}})
    result.write(tmp_path / "cuda-models.json")
    text = renew(document, tmp_path)
    assert text.count("| not measured |") == 17
    assert line not in text
    assert "| tf32 | 30 (30) |  | 20 (20) |" in text
    assert "| 1.50 | 1.2 / 1.8 | first bar reached |" in text
    assert "x: is wrong" in text
    assert renew(text, tmp_path) == text


def test_without_a_gpu_the_reason_and_the_cure(monkeypatch, inside):
    @contextlib.contextmanager
    def workers():
        yield inside

    monkeypatch.setattr(gpu, "workers", workers)
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(WorkerError, match=r"^CUDA was asked for, but CuPy is not installed; .*pip"):
        gpu.run_models(session())
