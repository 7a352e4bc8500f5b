"""Every selection on the smallest programs there are, and the timing they share."""

import pytest

from tinynet.bench import compilation, imports, kernels, memory, models, ops, timing
from tinynet.bench.report import markdown
from tinynet.bench.result import Result
from tinynet.bench.session import Session
from tinynet.bench.timing import Program, Worker, WorkerError, interleave, summary


def session(**options):
    given = {"threads": (1,), "rounds": (2, 2), "retries": 0, "peers": ("tinynet", "pytorch")}
    return Session(Result("tinynet bench"), **(given | options))


def only(result):
    (row,) = result.rows.values()
    return row


# ------------------------------------------------------------------------------------ timing


class Scripted:
    """A worker whose samples are given."""

    def __init__(self, *samples, log=None, name=""):
        self.samples, self.log, self.name = list(samples), log, name

    def request(self, do, name, calls):
        assert do == "time"
        if self.log is not None:
            self.log.append(self.name)
        seconds, foreign = self.samples.pop(0) if self.samples else (1.0, 0.0)
        return {"seconds": seconds, "wall": seconds * calls, "foreign": foreign}


@pytest.fixture(autouse=True)
def no_sleep(monkeypatch):
    monkeypatch.setattr(timing.time, "sleep", lambda seconds: None)


def test_a_disturbed_sample_is_taken_again():
    program = Program("p", Scripted((1.0, 0.0), (1.4, 0.5), (1.3, 0.2), (1.1, 0.05)), "p")
    program.sample()
    program.sample()
    assert program.samples == [1.0, 1.1]
    assert (program.discarded, program.disturbed) == (2, 0)


def test_the_quietest_is_kept_when_the_others_stay():
    noisy = [(1.5, 0.9), (1.2, 0.2), (1.4, 0.5)]
    program = Program("p", Scripted(*noisy), "p", retries=2)
    program.sample()
    assert program.samples == [1.2]
    assert (program.discarded, program.disturbed) == (2, 1)


def test_programs_take_turns_forwards_and_backwards():
    log = []
    programs = [Program(n, Scripted(log=log, name=n), n) for n in "abc"]
    interleave(programs, seconds=0, rounds=(2, 9), sample_seconds=0.1)
    assert "".join(log) == "abc" + "abc" + "cba"  # calibration, then two rounds
    assert all(program.samples == [1.0, 1.0] for program in programs)
    interleave([], seconds=1)


def test_rounds_fill_the_time_within_limits():
    for seconds, rounds in ((0, 3), (12, 6), (1000, 9)):
        program = Program("p", Scripted(*[(2.0, 0.0)] * 20), "p")
        interleave([program], seconds=seconds, rounds=(3, 9))
        assert len(program.samples) == rounds


def test_quick_programs_run_often_in_a_sample():
    program = Program("p", Scripted((0.5, 0), (0.001, 0)), "p")
    assert program.calibrate(1.0) == pytest.approx(1.0)
    assert program.calls == 1000


def test_summary():
    assert summary([3.0, 1.0, 2.0]) == {
        "median": 2.0,
        "best": 1.0,
        "quartiles": [1.0, 3.0],
        "samples": [3.0, 1.0, 2.0],
    }
    assert summary([2.0])["quartiles"] == [2.0, 2.0]


@pytest.mark.slow
def test_a_worker_is_a_process_with_one_library():
    worker = Worker("numpy", 1)
    try:
        assert worker.versions["numpy"]
        task = {"kind": "training", "model": "tiny_mlp", "batch": 4, "steps": 2}
        answer = worker.request("prepare", name="mlp", task=task)["answers"]
        assert len(answer["losses"]) == 2
        assert worker.request("time", name="mlp", calls=2)["seconds"] > 0
        kernel = worker.request("prepare", name="k", task={"kind": "kernel"})
        assert kernel == {"refused": "its adapter has no kernel"}
        with pytest.raises(WorkerError, match=r"numpy: (.|\n)*KeyError: 'unknown'"):
            worker.request("time", name="unknown", calls=1)
        worker._process.kill()
        with pytest.raises(WorkerError, match="the numpy worker died"):
            worker.request("drop", name="mlp")
    finally:
        worker.close()


def test_a_library_that_is_not_there(inside):
    worker = inside("no_such_library")
    assert worker.absent.startswith("ModuleNotFoundError: No module named")
    one = session()
    assert not one.present(worker)
    assert one.result.absent == {"no_such_library": worker.absent}


# -------------------------------------------------------------------------------- selections


@pytest.mark.slow
def test_models(inside, monkeypatch):
    few = {
        "training": ("fused", "foreach", "channels_last"),
        "inference": ("mkldnn", "inference_mode", "channels_last"),
    }
    monkeypatch.setattr(models, "SETTINGS", few)
    one = session(peers=("tinynet", "pytorch", "numpy"), threads=(2,))
    models.run(one, ["tiny"], compiled=False)
    assert list(one.result.rows) == [
        "models/tiny/training/4/2",
        "models/tiny/inference/1/2",
        "models/tiny/inference/4/2",
    ]
    row = one.result.rows["models/tiny/training/4/2"]
    assert set(row["entries"]) == {"tinynet", "pytorch", "pytorch best", "numpy"}
    assert row["unverified"] == {}
    assert len(row["losses"]) == 3
    assert row["entries"]["pytorch best"]["setting"] in row["tried"]
    assert len(row["tried"]) + len(row["refused"]) == 5
    assert "numpy" not in one.result.rows["models/tiny/inference/1/2"]["entries"]
    assert all(len(entry["samples"]) == 2 for entry in row["entries"].values())
    assert "ConvNet of two filters | training, batch 4 | 2 |" in markdown(one.result)

    # one thread: the setting that won with two is taken
    again = Session(one.result, threads=(1,), rounds=(1, 1), retries=0, peers=one.peers)
    models.run(again, ["tiny"], modes=["training"], compiled=False)
    tried = one.result.rows["models/tiny/training/4/1"]["tried"]
    assert list(tried) == [row["entries"]["pytorch best"]["setting"]]


def test_a_long_step_is_tried_while_it_is_verified(monkeypatch):
    """The best so far is the limit of the others; what is slower is not verified to the end."""

    class Pytorch:
        """Steps of as many seconds as the setting's name has letters."""

        def __init__(self, name):
            self.name, self.peer, self.log = name, "pytorch", []

        def request(self, do, name, task=None):
            if do == "drop":
                self.log.append(f"drop {name}")
                return {}
            seconds, limit = len(task["setting"]), task.get("limit")
            self.log.append((task["setting"], limit and round(limit, 2)))
            if limit and seconds > limit:
                return {"slow": seconds}
            return {"answers": {"seconds": seconds}}

    plain, kept = Pytorch("plain"), Pytorch("kept")
    row = {"mode": "training", "tried": {}}

    def prepare(worker, label, **more):
        answer = worker.request("prepare", name=label, task=more)
        row["tried"][label] = answer.get("slow") or answer["answers"]["seconds"]
        return None if "slow" in answer else Program(label, worker, label)

    monkeypatch.setattr(models, "SETTINGS", {"training": ("four", "five5", "sixsixsix", "abc")})
    setting, program = models._best_setting(row, prepare, plain, kept, False, {})
    assert (setting, program.name) == ("kept heap", "kept heap")
    assert kept.log == [
        ("four", None), ("five5", 4.6), ("sixsixsix", 4.6), ("abc", 4.6), "drop four, kept heap",
        ("", 3.45), "drop abc, kept heap",
    ]  # fmt: skip
    assert plain.log == [("four", None), "drop four"]
    assert row["tried"]["sixsixsix, kept heap"] == 9


def test_a_step_that_is_too_slow_is_given_up(monkeypatch, inside):
    """Twice the limit is allowed to the first step, which has more to do."""
    from tinynet.bench import programs

    now = [0.0]
    took = iter([1.9, 0.9, 1.1])

    def step():
        now[0] += next(took)
        return plain()

    monkeypatch.setattr(programs.time, "perf_counter", lambda: now[0])
    import tinynet

    one = programs.Training(tinynet, programs.layers.network("tiny_mlp"), 4)
    plain, one.step = one.step, step
    with pytest.raises(programs.TooSlow, match=r"a step took 1\.1 s"):
        one.answers(3, limit=1.0)
    assert one.seconds == pytest.approx([1.9, 0.9, 1.1])


@pytest.mark.slow
def test_what_is_wrong_is_not_timed(inside, monkeypatch):
    seen = []

    def difference(got, wanted):
        seen.append(got)
        return "the loss of step 1 is wrong" if len(seen) == 2 else None

    monkeypatch.setattr(models, "difference", difference)
    settings = {"training": ("fused", "foreach", "channels_last")}
    monkeypatch.setattr(models, "SETTINGS", settings)
    one = session(peers=("tinynet", "pytorch", "numpy"), threads=(2,))
    models.run(one, ["tiny_mlp"], modes=["training"], compiled=False)
    row = only(one.result)
    assert row["unverified"] == {"numpy": "the loss of step 1 is wrong"}
    assert "numpy" not in row["entries"]
    assert "training/4/2, numpy: the loss of step 1 is wrong" in markdown(one.result)


@pytest.mark.slow
def test_a_run_is_continued(inside):
    one = session(peers=("tinynet",))
    models.run(one, ["tiny_mlp"], modes=["training"])
    row = only(one.result)
    one.resume = True
    models.run(one, ["tiny_mlp"])
    assert one.result.rows[row["key"]] is row
    assert len(one.result.rows) == 3


@pytest.mark.slow
def test_ops(inside):
    one = session(rounds=(3, 3))
    ops.run(one, ["tanh"], length=5)
    row = one.result.rows["ops/tanh/forward + backward"]
    assert set(row["entries"]) == {"tinynet", "pytorch"}
    assert 0 < row["entries"]["tinynet"]["median"] < 1
    assert "| tanh | forward |" in markdown(one.result)


@pytest.mark.slow
def test_kernels(inside):
    one = session()
    kernels.run(one, ["matmul", "dropout"], size="small")
    row = one.result.rows["kernels/matmul/small/matmul/float32/1"]
    assert row["unverified"] == row["refused"] == {}
    assert {"reference", "auto", "pytorch"} <= set(row["entries"])
    assert row["flops"] == 2 * 2 * 3 * 4
    assert min(row["ceilings"].values()) > 1e8
    found = kernels.measures(row | {"flops": 6e9, "bytes": 3e9}, {"median": 2.0})
    assert (found["gflops"], found["gbytes"]) == (3.0, 1.5)
    assert found["of_gemm"] == pytest.approx(3e9 / row["ceilings"]["gemm"])
    assert row["entries"]["reference"]["workspace"] >= 0
    assert "matmul matmul | small | 1 | auto" in markdown(one.result)


def test_every_family_is_measured():
    from tinynet.kernels import ALGORITHMS
    from tinynet.kernels import FAMILIES as THERE_ARE

    from tinynet.bench.families import FAMILIES, algorithms, cases, functions

    assert set(FAMILIES) == set(THERE_ARE)
    assert set(ALGORITHMS["conv2d"]) < set(algorithms("conv2d"))
    for family in FAMILIES:
        large = [case for case in cases(family) if case.size == "large"]
        assert large
        assert all(functions(family, case.name) for case in large)


@pytest.mark.slow
def test_convolutions_on_every_algorithm(inside):
    from tinynet.kernels import ALGORITHMS

    one = session(rounds=(1, 1))
    kernels.run(one, ["conv2d"], size="small", skipped=())
    for row in one.result.rows.values():
        assert row["unverified"] == {}
        tried = row["entries"].keys() | row["refused"].keys()
        assert {*ALGORITHMS["conv2d"], "reference", "pytorch"} <= tried
        assert {"naive", "im2col", "im2col_tiled"} <= row["entries"].keys()


def test_workspace_is_what_a_kernel_takes_beside_its_result(inside):
    own = inside("tinynet")
    task = {"family": "conv2d", "case": "ConvNet 2, 14x14", "function": "forward"}
    task |= {"dtype": "float32", "algorithm": "im2col"}
    columns = 64 * 14 * 14 * 32 * 9 * 4
    assert own.request("ask", what="workspace", task=task) >= columns


@pytest.mark.slow
def test_memory():
    one = session(peers=("tinynet",))
    memory.run(one, ["tiny_mlp"], modes=["training"])
    entry = only(one.result)["entries"]["tinynet"]
    assert 0 < entry["median"] < 2**30
    assert entry["imported"] > 2**20
    assert "MLP 4-5-3 | training, batch 4" in markdown(one.result)


def test_a_process_that_fails_is_refused(monkeypatch):
    monkeypatch.setattr(memory, "LIBRARIES", {"tinynet": "no_such_library"})
    one = session(peers=("tinynet",))
    memory.run(one, ["tiny"], modes=["training"])
    assert "No module named" in only(one.result)["refused"]["tinynet"]


@pytest.mark.slow
def test_import():
    one = session(peers=("tinynet",))
    imports.run(one, rounds=2)
    entries = only(one.result)["entries"]
    assert set(entries) == {"tinynet", "tinynet.nn"}
    assert 0 < entries["tinynet"]["median"] < entries["tinynet.nn"]["median"] * 2
    assert "| tinynet.nn |" in markdown(one.result)


@pytest.mark.slow
def test_compilation():
    one = session()
    compilation.run(one, "tiny", everything=False)
    cold, cached = one.result.rows.values()
    assert cold["entries"]["tinynet"]["compiled"] > 0
    assert cached["entries"]["tinynet"]["compiled"] == 0
    assert "one step of tiny, cold" in markdown(one.result)
