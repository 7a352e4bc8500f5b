"""Folders of images: how they are split, changed and trained on."""

import json
import shlex

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import tinynet
from tinynet import models, nn, optim
from tinynet.cli import main
from tinynet.datasets import Clothes
from tinynet.train import (
    Config,
    FolderData,
    UserError,
    configure,
    evaluation_loss,
    fit_epoch,
    load_data,
    train,
)
from tinynet.train.recipe import architecture, build_optimizer, image_size
from tinynet.utils.data import DataLoader, TensorDataset


def fill(folder, count, seed=0):
    """Noise around red and around blue, of sizes that all differ."""
    random = np.random.default_rng(seed)
    for name, colour in (("red", (200, 60, 60)), ("blue", (60, 60, 200))):
        (folder / name).mkdir(parents=True)
        for i in range(count):
            size = (random.integers(20, 60), random.integers(20, 60), 3)
            pixels = np.clip(random.normal(colour, 30, size), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{i}.png")


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    folder = tmp_path_factory.mktemp("one")
    fill(folder, 20)
    return folder


@pytest.fixture(scope="module", params=["val", "test"])
def two(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    fill(folder / "train", 8)
    fill(folder / request.param, 3, seed=1)
    return folder


def data_of(folder, **kwargs):
    return FolderData(f"folder:{folder}", folder, 16, **kwargs)


def test_two_folders_are_taken_as_they_are(two):
    data = data_of(two)
    assert data.classes == ("blue", "red")
    assert (data.train_size, data.test_labels.tolist()) == (16, [0, 0, 0, 1, 1, 1])
    x, y = next(iter(data.train_batches(16)))
    assert x.shape == (16, 3, 16, 16)
    assert sorted(y.tolist()) == [0] * 8 + [1] * 8
    # red minus blue tells the classes apart, whatever the augmentation does
    assert ((x[:, 0].mean(dim=(1, 2)) > x[:, 2].mean(dim=(1, 2))) == (y == 1)).all().item()
    ((x_test, _),) = data.test_batches(99)
    np.testing.assert_array_equal(data.test_images[4], x_test.numpy()[4])
    with pytest.raises(UserError, match=r"has its own (val|test)/, so it cannot be split anew"):
        data_of(two, resplit=True)


def test_one_folder_is_split_four_to_one_by_the_seed(one):
    first, again, other = (data_of(one, seed=seed) for seed in (0, 0, 1))
    assert (first.train_size, len(first.test_labels)) == (32, 8)
    assert first._test.indices == again._test.indices != other._test.indices
    assert not set(first._test.indices) & set(first._train.indices)
    for _ in range(2):
        list(first.train_batches(32))
        assert first._test.indices == again._test.indices


def test_the_split_is_drawn_anew_each_epoch_where_asked(one):
    data = data_of(one, resplit=True)
    tests = []
    for _ in range(3):
        list(data.train_batches(32))
        tests.append(tuple(data._test.indices))
        assert sorted([*data._train.indices, *data._test.indices]) == list(range(40))
    assert len(set(tests)) == 3
    assert tests[0] == tuple(data_of(one)._test.indices)


def test_training_images_are_parts_of_the_square_and_mirrored(tmp_path):
    # of a picture without noise, 36 x 18, the shorter side becomes 16 * 8 / 7 = 18
    (tmp_path / "a").mkdir()
    row = np.arange(36, dtype=np.uint8) * 7
    picture = np.stack([np.tile(row, (18, 1))] * 3, axis=-1)
    for name in ("1", "2"):
        Image.fromarray(picture).save(tmp_path / "a" / f"{name}.png")
    data = FolderData("folder", tmp_path, 16, (0.0, 1.0))
    seen = set()
    tinynet.manual_seed(0)
    for _ in range(60):
        ((x, _),) = data.train_batches(1)
        steps = (x.numpy()[0, 0, 0, [0, -1]] * 255 / 7).round(2)
        seen.add((round(float(steps[1] - steps[0])), round(float(x[0, 0].mean().item() * 255 / 7))))
    directions = {step for step, _ in seen}
    assert directions == {15, -15}
    ((x, _),) = data.test_batches(1)
    np.testing.assert_allclose(x.numpy()[0, 0, 3] * 255 / 7, np.arange(10, 26), atol=1e-4)


def test_what_is_wrong_with_a_folder_is_said(tmp_path, one):
    with pytest.raises(UserError, match="There is no folder"):
        data_of(tmp_path / "nowhere")
    fill(tmp_path / "train", 1)
    (tmp_path / "val" / "green").mkdir(parents=True)
    Image.new("RGB", (9, 9)).save(tmp_path / "val" / "green" / "x.png")
    with pytest.raises(UserError, match="do not have the same classes"):
        data_of(tmp_path)
    (tmp_path / "alone" / "a").mkdir(parents=True)
    Image.new("RGB", (9, 9)).save(tmp_path / "alone" / "a" / "x.png")
    with pytest.raises(UserError, match="single image cannot be split"):
        data_of(tmp_path / "alone")
    with pytest.raises(UserError, match="Only data in memory can be reduced"):
        train(Config(data=f"folder:{one}", per_class=3), tmp_path / "run")


def test_a_folder_from_the_command_line(one, tmp_path):
    run = tmp_path / "run"

    def call(*arguments):
        result = CliRunner().invoke(main, [str(a) for a in arguments])
        assert result.exit_code == 0, result.output
        lines = [shlex.split(line) for line in result.stdout.splitlines()]
        return [dict(zip(words[::2], words[1::2], strict=True)) for words in lines]

    lines = call(
        *("train", "--data", f"folder:{one}", "--epochs", 3, "--batch-size", 16),
        *("--micro-batch", 6, "--image-size", 16, "--workers", 1, "--out", run),
    )
    assert lines[1]["image"] == "3x16x16"
    assert lines[2]["micro_batch"] == "6"
    losses = [float(line["loss"]) for line in lines if "loss" in line]
    assert losses[-1] < losses[0]
    assert float(lines[-2]["test_accuracy"]) == 1.0
    assert json.loads((run / "config.json").read_text())["image"]["mean"] == [0.485, 0.456, 0.406]
    assert (run / "mistakes.png").is_file()
    assert call("evaluate", run)[0] == {
        "test_accuracy": "1.0000",
        "test_loss": next(line["test_loss"] for line in reversed(lines) if "test_loss" in line),
        "images": "8",
    }
    said = call("predict", run, one / "red" / "0.png", one / "blue" / "1.png", "--top", 1)
    assert [line["name"] for line in said] == ["red", "blue"]
    again = call(
        *("train", "--data", f"folder:{one}", "--epochs", 1, "--image-size", 16),
        *("--from", run, "--freeze", "features", "--out", tmp_path / "second"),
    )
    assert again[3]["start"] == str(run)
    assert int(again[3]["frozen"]) > 10_000
    assert float(again[-2]["test_accuracy"]) == 1.0


def test_published_recipes():
    alexnet = configure({"model": "AlexNet", "lr": 0.02})
    assert (alexnet.batch_size, alexnet.micro_batch, alexnet.lr) == (128, 32, 0.02)
    assert configure({"model": "vgg16_bn", "batch_size": 7}).batch_size == 7
    assert configure({"model": "vgg16"}).batch_size == 256
    assert configure({}) == Config()
    for name, data in (("AlexNet", "digits"), ("alexnet_owt", "clothes")):
        sizes = architecture(Config(model=name), load_data(data))
        assert sizes.get("start") == ("he" if name == "AlexNet" else None)
    optimizer, _ = build_optimizer(alexnet, tinynet.nn.Linear(1, 1), 10)
    (group,) = optimizer.param_groups
    assert (group["momentum"], group["weight_decay"], group["nesterov"]) == (0.9, 5e-4, False)
    assert group["lr"] == 0.02
    sizes = {name: image_size(Config(model=name, data="folder:x")) for name in ("vgg11", "convnet")}
    assert sizes == {"vgg11": 224, "convnet": 32}
    assert image_size(Config(model="inception_v3", data="folder:x")) == 299
    assert image_size(Config()) is None


# ------------------------------------------------------------------------- full size, real images

KINDS = {"Trouser": 1, "Bag": 8, "Ankle boot": 9}


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Twenty real images each of three kinds of clothes, as files whose sizes all differ."""
    folder = tmp_path_factory.mktemp("photos")
    data = Clothes(train=True)
    random = np.random.default_rng(0)
    for kind, label in KINDS.items():
        (folder / kind).mkdir()
        for i, row in enumerate(np.flatnonzero(np.asarray(data.targets) == label)[:20]):
            size = tuple(int(n) for n in random.integers(180, 330, 2))
            picture = Image.fromarray(np.asarray(data.pixels[row])).convert("RGB")
            picture.resize(size, Image.Resampling.BICUBIC).save(folder / kind / f"{i}.jpg")
    return folder


def published(photos, folder, model, seed, **choices):
    """The losses of each epoch of a training by the published recipe, in small batches."""
    choices = {"model": model, "data": f"folder:{photos}", "seed": seed, "workers": 1, **choices}
    config = configure(choices)
    assert (config.optimizer, config.schedule) == ("momentum", "plateau")
    run, history = train(config, folder)
    assert run.shape == (3, 224, 224)
    # what is saved is the full-size network
    assert run.architecture["num_classes"] == 3
    return [epoch.loss for epoch in history], [epoch.test_loss for epoch in history]


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_alexnets_loss_falls_at_224(photos, tmp_path, seed):
    """The published recipe but batches of 16, and a rate for them; ln 3 = 1.10 at first."""
    choices = {"epochs": 8, "batch_size": 16, "lr": 0.003}
    losses, _ = published(photos, tmp_path / "run", "alexnet", seed, **choices)
    assert losses[0] == pytest.approx(np.log(3), abs=0.15)
    assert losses[-1] < 0.8


@pytest.mark.slow
def test_vggs_loss_falls_at_224(photos, tmp_path):
    """The published recipe with batches of 8: from ln 3 in 18 steps."""
    choices = {"epochs": 3, "batch_size": 8}
    losses, _ = published(photos, tmp_path / "run", "vgg11", 0, **choices)
    assert losses[-1] < losses[0] - 0.2


@pytest.mark.slow
def test_inceptions_regression_falls_at_299():
    """Where is the middle of what is on the image?  Full size, mean squared error, Adam."""
    tinynet.manual_seed(0)
    random = np.random.default_rng(0)
    images, middles = [], []
    for _ in range(16):  # a bright square on noise
        x = random.normal(0, 0.2, (3, 299, 299)).astype("float32")
        top, left = random.integers(0, 200, 2)
        x[:, top : top + 100, left : left + 100] += 2
        images.append(tinynet.tensor(x))
        middles.append(tinynet.tensor([top / 100 - 1, left / 100 - 1]).float())
    data = TensorDataset(tinynet.stack(images), tinynet.stack(middles))
    model = models.Inception3(num_outputs=2)
    criterion, optimizer = nn.MSELoss(), optim.Adam(model.parameters(), lr=1e-3)
    losses = [
        fit_epoch(model, criterion, optimizer, DataLoader(data, batch_size=4, shuffle=True))
        for _ in range(3)
    ]
    assert losses[-1] < 0.6 * losses[0]
    assert np.isfinite(evaluation_loss(model, criterion, DataLoader(data, batch_size=4)))
