"""Micro-batches, frozen parts, starting from another run, regression."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

import tinynet
from tinynet import nn, optim
from tinynet.nn import functional as F
from tinynet.train import (
    Config,
    UserError,
    evaluation_loss,
    fit_epoch,
    freeze,
    load_data,
    peak_memory,
    start_from,
    train,
    train_batches,
)
from tinynet.train.loop import training_mode
from tinynet.train.recipe import Constant


def network(classes=3):
    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, classes))


def same_start():
    tinynet.manual_seed(0)
    return network()


@pytest.mark.parametrize("micro_batch", [1, 3, 4, 11, 50])
def test_micro_batches_give_the_batchs_gradient(micro_batch):
    x, y = tinynet.randn(11, 4), tinynet.arange(11) % 3
    whole, parts = same_start(), same_start()
    F.cross_entropy(whole(x), y).backward()
    sizes = []
    parts.register_forward_pre_hook(lambda module, inputs: sizes.append(len(inputs[0])))
    optimizer = optim.SGD(parts.parameters(), lr=0.0)
    loss, accuracy = train_batches(parts, optimizer, Constant(), [(x, y)], micro_batch=micro_batch)
    assert sum(sizes) == 11
    assert max(sizes) <= micro_batch
    assert max(sizes) - min(sizes) <= 1
    for a, b in zip(whole.parameters(), parts.parameters(), strict=True):
        np.testing.assert_allclose(b.grad.numpy(), a.grad.numpy(), rtol=1e-4, atol=1e-6)
    assert loss == pytest.approx(F.cross_entropy(whole(x), y).item(), rel=1e-5)
    assert accuracy == pytest.approx((whole(x).argmax(dim=1) == y).float().mean().item())


def test_frozen_parts_get_no_gradient_and_stay_as_they_are():
    tinynet.manual_seed(0)
    model = nn.Sequential()
    model.add_module("features", nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Dropout(0.5)))
    model.add_module("head", nn.Linear(5, 3))
    assert freeze(model, ["features"]) == 4 * 5 + 5 + 5 + 5
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    training_mode(model)
    assert model.training
    assert not model.features[1].training
    x, y = tinynet.randn(8, 4), tinynet.arange(8) % 3
    hidden = model.features(x)
    assert hidden.grad_fn is None
    optimizer = optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.5)
    train_batches(model, optimizer, Constant(), [(x, y)] * 3)
    assert all(p.grad is None for p in model.features.parameters())
    for name, tensor in model.state_dict().items():
        assert (tensor.numpy() == before[name].numpy()).all() == name.startswith("features")


def test_freeze_refuses():
    with pytest.raises(UserError, match=r"no part 'head' that could be frozen; it has 0, 2"):
        freeze(network(), ["head"])
    with pytest.raises(UserError, match="nothing left to train"):
        freeze(network(), ["0", "2"])


def test_start_takes_what_fits():
    source, model = network(7), network(3)
    assert start_from(model, source.state_dict()) == ["2.weight", "2.bias"]
    np.testing.assert_array_equal(
        model[0].weight.detach().numpy(), source[0].weight.detach().numpy()
    )
    with pytest.raises(UserError, match="None of the weights"):
        start_from(model, {"x": tinynet.ones(1)})


def test_few_images_per_class_and_another_size():
    data = load_data("digits", image_size=28, per_class=3)
    assert data.shape == (1, 28, 28)
    assert data.train_size == 30
    assert np.bincount(data.y_train.numpy()).tolist() == [3] * 10
    assert len(data.x_test) == 297
    whole = load_data("digits")
    rows = np.flatnonzero(whole.y_train.numpy() == 7)[:3]
    small = whole.first_of_each_class(3)
    chosen = small.x_train.numpy()[small.y_train.numpy() == 7]
    np.testing.assert_array_equal(chosen, whole.x_train.numpy()[rows])
    with pytest.raises(UserError, match="image_size must be at least 1"):
        Config(image_size=0)


@pytest.mark.slow
def test_a_head_learns_on_frozen_features_of_other_data(tmp_path):
    """A few digits are learnt on features from clothes, which stay as they were."""
    run, _ = train(Config(epochs=2), tmp_path / "clothes")
    few = {"data": "digits", "image_size": 28, "per_class": 5, "epochs": 3, "batch_size": 12}
    transfer = Config(**few, start=str(run.folder), freeze="features")
    second, transferred = train(transfer, tmp_path / "transfer")
    assert transferred[-1].loss < transferred[0].loss
    assert transferred[-1].test_accuracy > 0.3
    old, new = run.model().state_dict(), second.model().state_dict()
    for name, tensor in old.items():
        unchanged = tensor.shape == new[name].shape and (tensor.numpy() == new[name].numpy()).all()
        assert unchanged == name.startswith("features"), name


@pytest.fixture(scope="module")
def transfer():
    """benchmarks/transfer.py as a module."""
    path = Path(__file__).parents[2] / "benchmarks" / "transfer.py"
    spec = importlib.util.spec_from_file_location("transfer", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_features_from_other_classes_are_worth_more_than_the_spread(transfer):
    """Two labelled images each of three kinds of clothes, on features learnt from the others."""
    data = load_data("clothes", image_size=32)
    target = transfer.TARGETS[1]
    features = transfer.features_of(data, [c for c in range(10) if c not in target], 1)

    def accuracies(passes, start, frozen):
        return [
            transfer.learn(transfer.some_of(data, target, 2, seed), passes, seed, start, frozen)[1]
            for seed in range(3)
        ]

    for frozen in (True, False):
        # after few passes the worst with transfer is better than the best without
        assert min(accuracies(4, features, frozen)) > max(accuracies(4, None, False)) + 0.05
        # and after many it is still better by far
        gain = np.mean(accuracies(16, features, frozen)) - np.mean(accuracies(16, None, False))
        assert gain > 0.1


def test_what_the_benchmark_trains_on_is_what_it_says(transfer):
    data = load_data("clothes")
    some = transfer.some_of(data, (1, 4, 7), 2, seed=3)
    assert some.classes == ("Trouser", "Coat", "Sneaker")
    assert sorted(some.y_train.tolist()) == [0, 0, 1, 1, 2, 2]
    for image, label in zip(some.x_train.numpy(), some.y_train.tolist(), strict=True):
        (row,) = np.flatnonzero((data.x_train.numpy() == image).all(axis=(1, 2, 3)))
        assert data.y_train[int(row)].item() == (1, 4, 7)[label]
    assert len(some.x_test) == np.isin(data.y_test.numpy(), (1, 4, 7)).sum()
    other = transfer.some_of(data, (1, 4, 7), 2, seed=4)
    assert (other.x_train.numpy() != some.x_train.numpy()).any()


def test_regression_learns_and_is_tested_without_a_tape():
    tinynet.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Dropout(0.1), nn.Linear(4 * 16, 2)
    )
    images = tinynet.rand(64, 1, 6, 6)
    values = tinynet.stack([images.mean(dim=(1, 2, 3)), images[:, 0, 0, 0]], dim=1)
    batches = [(images[i : i + 16], values[i : i + 16]) for i in range(0, 64, 16)]
    criterion, optimizer = nn.MSELoss(), optim.Adam(model.parameters(), lr=0.01)
    before = evaluation_loss(model, criterion, batches)
    model.eval()
    expected = ((model(images) - values) ** 2).mean().item()
    assert before == pytest.approx(expected, rel=1e-5)
    losses = [fit_epoch(model, criterion, optimizer, batches) for _ in range(15)]
    assert model.training
    recorded = []
    handle = model.register_forward_hook(lambda m, i, y: recorded.append(y.requires_grad))
    after = evaluation_loss(model, criterion, batches)
    handle.remove()
    assert recorded == [False] * 4
    assert losses[-1] < losses[0] / 3
    assert after < before / 3


def test_peak_memory_grows_with_what_is_held():
    before = peak_memory()
    held = np.ones(before + 64 * 2**20, np.uint8)
    assert peak_memory() - before > 32 * 2**20
    assert held[-1] == 1
