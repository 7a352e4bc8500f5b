"""The profiler on programs whose profile is known."""

import gc
import json
import re
import threading
import time
from pathlib import Path

import pytest

import tinynet as tn
from tinynet import nn
from tinynet.nn import functional as F
from tinynet.profiler import profile, record_function

KILO = 1024
HERE = Path(__file__).name


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.ReLU())
        self.head = nn.Linear(2 * 4 * 4, 3)

    def forward(self, x):
        return self.head(self.features(x).flatten(1) * 2)


@pytest.fixture(scope="module")
def profiled():
    """Two training steps."""
    model = Net()
    optimizer = tn.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    x, y = tn.ones(5, 1, 4, 4), tn.zeros(5, dtype=tn.int64)
    with profile() as p:
        for _ in range(2):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
    return p


def named(p, name, **wanted):
    found = [e for e in p.events() if e.name == name]
    return [e for e in found if all(getattr(e, k) == v for k, v in wanted.items())]


def test_each_operation_with_its_module_and_line(profiled):
    convolution, _ = named(profiled, "conv2d")
    assert convolution.module == "features.0"
    assert convolution.shapes == ((5, 1, 4, 4), (2, 1, 3, 3), (2,))
    assert re.fullmatch(rf"{HERE}:\d+", convolution.source)
    assert named(profiled, "relu")[0].module == "features.1"
    assert named(profiled, "linear")[0].module == "head"
    assert named(profiled, "mul", backward=False)[0].module == ""  # the network's own
    loss = named(profiled, "softmax_cross_entropy")[0]
    assert loss.module is None  # outside of it


def test_backward_belongs_to_what_forward_recorded(profiled):
    node = named(profiled, "Conv2dBackward0")[0]
    forward = named(profiled, "conv2d")[0]
    assert node.forward is forward
    assert (node.module, node.source) == ("features.0", forward.source)
    weight = named(profiled, "conv2d_grad_weight")[0]
    assert weight.backward
    assert weight.module == "features.0"
    assert node.start <= weight.start <= weight.end <= node.end
    assert {e.module for e in named(profiled, "AccumulateGrad")} == {"features.0", "head"}


def test_times_add_up(profiled):
    events = profiled.events()
    assert all(e.time > 0 and e.self_time >= 0 for e in events)
    table = profiled.key_averages()
    outermost = [e for e in events if e.kind in ("walk", "optimizer")]
    outermost += [e for e in events if e.kind == "operation" and not e.backward]
    assert sum(row.self_cpu_time_total for row in table) == pytest.approx(
        sum(e.time for e in outermost) / 1e3
    )
    row = next(row for row in table if row.key == "conv2d")
    assert row.count == 2
    assert row.cpu_time == pytest.approx(row.cpu_time_total / 2)


def test_a_sleeping_operation_is_found():
    class Sleep(tn.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, dy):
            time.sleep(0.02)
            return dy

    x = tn.ones(2, requires_grad=True)
    with profile() as p, record_function("all of it"):
        Sleep.apply(x.exp()).sum().backward()
    rows = sorted(p.key_averages(), key=lambda row: -row.self_cpu_time_total)
    assert rows[0].key == "SleepBackward"
    assert rows[0].self_cpu_time_total >= 20e3
    (whole,) = named(p, "all of it")
    assert whole.time >= 20e6 > whole.self_time
    assert p.table(sort_by="cpu_time_total").splitlines()[3].startswith("all of it")


def test_memory_of_results():
    x = tn.ones(256, KILO, requires_grad=True)  # was there before: not counted
    with profile() as p:
        a = x * 2
        assert p.live_bytes == 1024 * KILO
        b = a.exp()
        assert p.live_bytes == 2048 * KILO
        view = b.t()[3:]
        assert p.live_bytes == 2048 * KILO
        del view, a, b
        assert p.live_bytes == 0
        c = x.sum()
        c.backward()
        del c
        assert p.live_bytes == 1024 * KILO  # x.grad
    assert p.peak_bytes == 2048 * KILO
    multiplied = named(p, "mul")[0]
    assert multiplied.memory == 1024 * KILO
    assert "Peak memory of results: 2.00 Mb, reached in exp; 1.00 Mb are left" in str(p)
    x.grad = None
    gc.collect()
    assert p.live_bytes == 1024 * KILO  # what happens later is not its business


def test_memory_of_gradients_and_optimizer_state():
    w = tn.ones(KILO, requires_grad=True)
    optimizer = tn.optim.Adam([w])
    with profile() as p:
        (w * w).sum().backward()
        assert p.live_bytes == 4 * KILO
        optimizer.step()
        assert 12 * KILO <= p.live_bytes <= 12 * KILO + 64  # two moments, and a step counter
    step = named(p, "Optimizer.step#Adam.step")[0]
    assert step.kind == "optimizer"
    assert step.memory == p.live_bytes - 4 * KILO


def test_by_module(profiled):
    rows = {row.path: row for row in profiled.by_module()}
    assert list(rows) == ["", "features", "features.0", "features.1", "head"]
    assert rows["features.1"].kind == "ReLU"
    assert rows["features.0"].calls == 2
    inner = rows["features.0"], rows["features.1"]
    assert rows["features"].backward == pytest.approx(sum(row.backward for row in inner))
    assert rows["features"].forward >= sum(row.forward for row in inner)
    assert rows[""].total > rows["features"].total + rows["head"].total
    backward = sum(e.time for e in profiled.events() if e.kind == "backward" and e.module == "head")
    assert rows["head"].backward == pytest.approx(backward / 1e3)
    assert rows["features.0"].memory == 2 * 5 * 2 * 4 * 4 * 4
    lines = str(profiled.by_module()).splitlines()
    assert re.match(r"\.\s+Net .*100.0%", lines[3])
    assert re.match(r"features\.0\s+Conv2d ", lines[5])


def test_table_as_pytorch_has_it(profiled):
    averages = profiled.key_averages()
    text = averages.table(sort_by="cpu_time_total", row_limit=3).splitlines()
    assert re.split(r"\s{2,}", text[1].strip()) == [
        *("Name", "Self CPU %", "Self CPU", "CPU total %", "CPU total", "CPU time avg"),
        *("CPU Mem", "Self CPU Mem", "# of Calls"),
    ]
    longest = max(averages, key=lambda row: row.cpu_time_total)
    assert text[3].startswith(f"{longest.key} ")
    assert text[7] == f"... and {len(averages) - 3} rows more"
    totals = [row.cpu_time_total for row in averages]
    assert totals != sorted(totals, reverse=True)  # sorting is for the table only
    assert len(averages.table(row_limit=-1).splitlines()) == len(averages) + 5
    with pytest.raises(ValueError, match=r"sort_by is one of cpu_time_total, .* not 'time'"):
        averages.table(sort_by="time")
    shapes = profiled.key_averages(group_by_input_shape=True).table()
    assert "[5, 1, 4, 4] [2, 1, 3, 3] [2]" in shapes
    assert HERE in profiled.key_averages(group_by_stack_n=1).table()


def test_chrome_trace(profiled, tmp_path):
    profiled.export_chrome_trace(tmp_path / "trace.json")
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    bars = [e for e in events if e["ph"] == "X"]
    assert len(bars) == len(profiled.events())
    convolution = next(e for e in bars if e["name"] == "conv2d")
    assert convolution["cat"] == "operation"
    assert convolution["args"]["module"] == "features.0"
    # bars of one thread are nested or apart, as the format demands
    open_until = []
    for bar in sorted(bars, key=lambda e: (e["ts"], -e["dur"])):
        while open_until and bar["ts"] >= open_until[-1]:
            open_until.pop()
        end = bar["ts"] + bar["dur"]
        assert not open_until or end <= open_until[-1] + 1e-3
        open_until.append(end)
    starts = {e["id"]: e for e in events if e["ph"] == "s"}
    ends = {e["id"]: e for e in events if e["ph"] == "f"}
    assert starts.keys() == ends.keys() != set()
    assert all(starts[i]["ts"] < ends[i]["ts"] for i in starts)
    memory = [e["args"]["bytes"] for e in events if e["ph"] == "C"]
    assert max(memory) == profiled.peak_bytes


def test_threads_have_rows_of_their_own():
    def work():
        tn.ones(3).exp()

    with profile() as p:
        work()
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    first, second = named(p, "exp")
    assert first.thread != second.thread


def test_no_grad_and_start_and_stop():
    p = profile(record_shapes=False, with_stack=False)
    x = tn.ones(3)
    p.start()
    with pytest.raises(RuntimeError, match="already running"):
        p.start()
    with tn.no_grad():
        x.exp()
    p.stop()
    x.sin()
    assert [(e.name, e.shapes, e.source) for e in p.events()] == [("exp", (), "")]


def test_profiling_changes_no_bit():
    def gradients():
        tn.manual_seed(0)
        model = Net()
        F.cross_entropy(model(tn.randn(5, 1, 4, 4)), tn.zeros(5, dtype=tn.int64)).backward()
        return [parameter.grad.numpy() for parameter in model.parameters()]

    plain = gradients()
    with profile():
        watched = gradients()
    assert all((a == b).all() for a, b in zip(plain, watched, strict=True))


def test_a_name_as_a_decorator():
    @record_function("mine")
    def work():
        tn.ones(2).exp()

    work()  # nobody looks
    with profile() as p:
        work()
        work()
    assert len(named(p, "mine")) == 2


def test_the_document_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    text = (Path(__file__).parent.parent / "docs" / "profiler.md").read_text()
    names = {}
    for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(compile(block, "profiler.md", "exec"), names)
    assert json.loads((tmp_path / "trace.json").read_text())
    printed = capsys.readouterr().out
    heading = re.search(r"```text\n(.*)\n", text)[1]
    assert heading.split() == next(
        line.split() for line in printed.splitlines() if line.startswith("Module ")
    )
