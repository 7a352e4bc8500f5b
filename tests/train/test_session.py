import gzip
import json
import struct

import numpy as np
import pytest

import tinynet
from tinynet.datasets import DatasetError
from tinynet.io import load_safetensors
from tinynet.train import (
    Config,
    Report,
    Run,
    UserError,
    architecture,
    build_model,
    build_optimizer,
    evaluate,
    load_data,
    resolve_device,
    train,
)

SMALL = {"data": "digits", "epochs": 2, "batch_size": 100}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "deep" / "run"
    return train(Config(**SMALL), folder)


def test_data_is_normalised_by_the_training_images():
    data = load_data("digits")
    assert data.shape == (1, 8, 8)
    assert (len(data.x_train), len(data.x_test)) == (1500, 297)
    x = data.x_train.numpy().astype(np.float64)
    assert abs(x.mean()) < 1e-4
    assert abs(x.std() - 1) < 1e-4
    back = (data.x_test.numpy() * data.std + data.mean) * 255
    original = tinynet.datasets.Digits(train=False).data.numpy()[:, None]
    np.testing.assert_allclose(back, original, atol=1e-3)
    other = load_data("digits", (0.0, 1.0))
    np.testing.assert_allclose(other.x_test.numpy() * 255, original, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cats", "There is no data called 'cats'; there are clothes, digits, mnist:FOLDER"),
        ("mnist", "mnist is not in this package: say where its files are, as in mnist:FOLDER"),
        ("clothes:here", "There is no data called 'clothes:here'"),
        ("", "There is no data called ''"),
    ],
)
def test_unknown_data(name, message):
    with pytest.raises(UserError, match=message):
        load_data(name)


def test_data_from_files_that_are_not_there(tmp_path):
    with pytest.raises(DatasetError, match=r"train-images-idx3-ubyte.gz is neither"):
        load_data(f"mnist:{tmp_path}")


def test_data_from_files(tmp_path, monkeypatch):
    random = np.random.default_rng(0)
    for part, n in (("train", 6), ("t10k", 4)):
        images = struct.pack(">HBB3I", 0, 8, 3, n, 28, 28) + random.bytes(n * 784)
        labels = struct.pack(">HBBI", 0, 8, 1, n) + bytes(range(n))
        (tmp_path / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(images))
        (tmp_path / f"{part}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(labels))
    mnist = tinynet.datasets.MNIST
    monkeypatch.setattr(mnist, "MD5", dict.fromkeys(mnist.MD5))
    data = load_data(f"mnist:{tmp_path}")
    assert data.x_train.shape == (6, 1, 28, 28)
    assert data.y_test.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"model": "alexnet"}, "AlexNet takes images of at least 63x63, not 8x8"),
        ({"model": "lexnet"}, "Unknown model lexnet; there are: alexnet, "),
        ({"schedule": "fast"}, "no schedule called 'fast'; there are one-cycle, plateau, const"),
        ({"micro_batch": 0}, "micro_batch must be at least 1, not 0"),
        ({"resplit": True}, "Only a folder of images without train/ and test/ can be split anew"),
        ({"freeze": "head"}, "no part 'head' that could be frozen; it has features, classifier"),
        ({"freeze": "features,classifier"}, "nothing left to train"),
        ({"start": "nowhere"}, "There is no run nowhere"),
        ({"optimizer": "magic"}, "no optimizer called 'magic'; there are adamw, adam, sgd"),
        ({"device": "abacus"}, "expected cpu or cuda"),
        ({"lr": -1.0}, "learning rate must be positive and finite, not -1"),
        ({"lr": float("nan")}, "learning rate must be positive and finite"),
        ({"epochs": 0}, "epochs must be at least 1, not 0"),
        ({"batch_size": 0}, "batch size must be at least 1, not 0"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_written(tmp_path, choices, message):
    with pytest.raises(UserError, match=message):
        train(Config(**(SMALL | choices)), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_there_is_no_cuda_yet_with_or_without_a_gpu():
    assert resolve_device("cpu").type == "cpu"
    with pytest.raises(UserError, match=r"CUDA.*use device cpu"):
        resolve_device("cuda")


@pytest.mark.parametrize("name", ["adamw", "adam", "sgd", "momentum"])
def test_optimizers_follow_the_one_cycle_schedule(name):
    config = Config(optimizer=name, lr=0.5)
    model = tinynet.nn.Linear(2, 2)
    optimizer, schedule = build_optimizer(config, model, 100)
    rates = []
    for _ in range(100):
        rates.append(optimizer.param_groups[0]["lr"])
        model(tinynet.ones(1, 2)).sum().backward()
        optimizer.step()
        schedule.step()
    top = int(np.argmax(rates))
    assert max(rates) == pytest.approx(0.5)
    assert 20 < top < 40
    assert rates[0] == pytest.approx(0.5 / 25)
    assert rates[-1] < 1e-4


def test_a_run_has_everything(trained):
    run, history = trained
    names = {path.name for path in run.folder.iterdir()}
    assert names == {
        "config.json",
        "metrics.jsonl",
        "weights.safetensors",
        "curves.png",
        "confusion.png",
        "mistakes.png",
    }
    lines = [json.loads(line) for line in (run.folder / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2]
    assert lines[1]["test_accuracy"] == history[1].test_accuracy > 0.85
    assert lines[1]["loss"] < lines[0]["loss"]
    described = json.loads((run.folder / "config.json").read_text())
    assert described["data"] == "digits"
    assert described["seed"] == 0
    assert described["image"]["shape"] == [1, 8, 8]
    assert described["classes"] == list("0123456789")


def test_a_run_can_be_opened_and_does_what_was_measured(trained):
    run, history = trained
    opened = Run.open(run.folder)
    assert opened == run
    data = load_data("digits")
    result = evaluate(opened.model(), data.x_test, data.y_test)
    assert result.accuracy == history[-1].test_accuracy
    assert result.loss == pytest.approx(history[-1].test_loss, rel=1e-6)


def test_the_same_seed_gives_the_same_weights(trained, tmp_path):
    run, history = trained
    again, history_again = train(Config(**SMALL), tmp_path / "again")
    other, _ = train(Config(**SMALL, seed=1), tmp_path / "other")
    first, second, third = (
        load_safetensors(r.folder / "weights.safetensors") for r in (run, again, other)
    )
    assert [h.loss for h in history] == [h.loss for h in history_again]
    assert all((first[name].numpy() == second[name].numpy()).all() for name in first)
    assert any((first[name].numpy() != third[name].numpy()).any() for name in first)


def test_a_used_folder_is_not_written_to(trained, tmp_path):
    run, _ = trained
    before = {path: path.read_bytes() for path in run.folder.iterdir()}
    with pytest.raises(UserError, match="is not empty; choose another folder"):
        train(Config(**SMALL), run.folder)
    assert {path: path.read_bytes() for path in run.folder.iterdir()} == before
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="is a file; choose a folder"):
        train(Config(**SMALL), tmp_path / "file")
    with pytest.raises(UserError, match="cannot be written to"):
        train(Config(**SMALL), tmp_path / "file" / "run")


class Interrupt(Report):
    def __init__(self, epoch):
        self.at = epoch

    def batch(self, epoch, images, loss, accuracy):
        if epoch == self.at and images > 500:
            raise KeyboardInterrupt


def test_an_interrupted_run_keeps_what_was_finished(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train(Config(**SMALL), tmp_path / "run", Interrupt(2))
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert {"weights.safetensors", "curves.png", "confusion.png"} <= names
    assert len((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()) == 1
    data = load_data("digits")
    result = evaluate(Run.open(tmp_path / "run").model(), data.x_test, data.y_test)
    line = json.loads((tmp_path / "run" / "metrics.jsonl").read_text())
    assert result.accuracy == line["test_accuracy"]


def test_interrupted_before_the_first_epoch_is_done(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train(Config(**SMALL), tmp_path / "run", Interrupt(1))
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["config.json"]
    with pytest.raises(UserError, match=r"has no weights.safetensors: no epoch of it was finished"):
        Run.open(tmp_path / "run").model()


def test_a_diverged_training_is_said(tmp_path):
    with (
        np.errstate(all="ignore"),
        pytest.raises(UserError, match=r"The loss is (nan|inf) in epoch 1: .* than 1e\+30"),
    ):
        train(Config(**SMALL, optimizer="sgd", lr=1e30), tmp_path / "run")


def test_without_matplotlib_there_are_no_pictures_and_a_reason(tmp_path, monkeypatch):
    class Listen(Report):
        def no_pictures(self, reason):
            self.reason = reason

    monkeypatch.setattr("tinynet.viz.missing", lambda: "no pictures today")
    report = Listen()
    train(Config(**(SMALL | {"epochs": 1})), tmp_path / "run", report)
    assert report.reason == "no pictures today"
    assert not list((tmp_path / "run").glob("*.png"))


def test_what_is_not_a_run(tmp_path):
    with pytest.raises(UserError, match=r"There is no run .*nowhere: no such folder"):
        Run.open(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"is not a run: it has no config.json"):
        Run.open(tmp_path)
    for text in ("", "{", "[]", "{}", '{"image": {"shape": [1, 2]}}', '{"image": 3}', "\0\xff"):
        (tmp_path / "config.json").write_text(text, encoding="latin-1")
        with pytest.raises(UserError, match=r"config.json is damaged or not from tinynet"):
            Run.open(tmp_path)


def test_weights_of_another_network_are_refused(trained, tmp_path):
    run, _ = trained
    for name in ("config.json", "weights.safetensors"):
        (tmp_path / name).write_bytes((run.folder / name).read_bytes())
    description = json.loads((tmp_path / "config.json").read_text())
    description["architecture"]["num_classes"] = 7
    (tmp_path / "config.json").write_text(json.dumps(description))
    with pytest.raises(UserError, match=r"does not hold the weights of convnet"):
        Run.open(tmp_path).model()


def test_models_for_small_images_can_be_built_for_the_clothes():
    config, data = Config(), load_data("clothes")
    for name in ("convnet", "lenet5", "mlp", "perceptron", "resnet18"):
        model = build_model(name, architecture(Config(model=name), data))
        assert model(data.x_test[:2]).shape == (2, 10)
    assert config == Config.from_dict(config.to_dict() | {"unknown": 1})


def test_one_batch_is_learnt_by_heart():
    data = load_data("clothes")
    tinynet.manual_seed(0)
    config = Config()
    model = build_model("convnet", architecture(config, data) | {"dropout": 0.0})
    optimizer, schedule = build_optimizer(config, model, 40)
    x, y = data.x_train[:32], data.y_train[:32]
    for _ in range(40):
        loss, accuracy = tinynet.train.train_epoch(model, optimizer, schedule, x, y, 32)
    assert accuracy == 1.0
    assert loss < 0.05


@pytest.mark.slow
def test_the_main_job_reaches_89_percent(tmp_path):
    accuracies = [
        train(Config(seed=seed), tmp_path / str(seed))[1][-1].test_accuracy for seed in range(5)
    ]
    assert np.mean(accuracies) >= 0.89, accuracies
    assert min(accuracies) >= 0.88, accuracies
