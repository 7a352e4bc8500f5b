"""The layer table: figures that can be worked out by hand, and what it must not change."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinynet
from tinynet import models, nn
from tinynet.models import summarize

FLOAT = 4


def test_a_small_network_by_hand() -> None:
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(4 * 4 * 4, 5),
    )
    table = summarize(net, (3, 8, 8), batch_size=2)
    assert [(row.name, row.kind, row.output_shape) for row in table.rows] == [
        ("0", "Conv2d", (2, 4, 8, 8)),
        ("1", "ReLU", (2, 4, 8, 8)),
        ("2", "MaxPool2d", (2, 4, 4, 4)),
        ("3", "Flatten", (2, 64)),
        ("4", "Dropout", (2, 64)),
        ("5", "Linear", (2, 5)),
    ]
    plane = 2 * 4 * 64 * FLOAT
    assert [row.parameters for row in table.rows] == [4 * 27 + 4, 0, 0, 0, 0, 64 * 5 + 5]
    assert [row.multiply_adds for row in table.rows] == [2 * 4 * 64 * 27, 0, 0, 0, 0, 2 * 5 * 64]
    assert [row.forward_bytes for row in table.rows] == [
        plane,
        plane,
        plane // 4,
        0,  # a view
        plane // 4,
        2 * 5 * FLOAT,
    ]
    assert [row.backward_bytes for row in table.rows] == [
        2 * 3 * 64 * FLOAT,  # its input, the images
        plane,  # its output
        plane // 4 // FLOAT,  # which element of its window: one byte each
        0,
        0,  # the mask is drawn again
        plane // 4,  # its input
    ]
    assert table.parameters == table.trainable == 112 + 325
    assert table.parameter_bytes == 437 * FLOAT
    assert table.multiply_adds == 2 * 4 * 64 * 27 + 640
    assert table.forward_bytes == sum(row.forward_bytes for row in table.rows)
    assert table.backward_bytes == sum(row.backward_bytes for row in table.rows)


def test_frozen_layers_remember_nothing() -> None:
    net = models.ConvNet(3, 16, 4)
    whole = summarize(net, (3, 16, 16))
    net.features.requires_grad_(False)
    table = summarize(net, (3, 16, 16))
    assert table.parameters == whole.parameters > table.trainable
    assert all(row.backward_bytes == 0 for row in table.rows if row.name.startswith("features"))
    assert 0 < table.backward_bytes < 0.2 * whole.backward_bytes
    assert table.forward_bytes == whole.forward_bytes


def test_the_own_work_of_a_module_is_a_row() -> None:
    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(tinynet.ones(1))
            self.inner = nn.Linear(6, 6)

        def forward(self, x: Any) -> Any:
            return (self.inner(x) * self.scale).tanh()

    layer = Residual()
    net = nn.Sequential(layer, nn.ReLU(inplace=True), layer)
    table = summarize(net, (6,), 3)
    assert [(row.name, row.parameters) for row in table.rows] == [
        ("0.inner", 42),
        ("0", 1),  # multiplication and tanh
        ("1", 0),
        ("0.inner", 0),  # the second call: counted already
        ("0", 0),
    ]
    size = 3 * 6 * FLOAT
    assert [row.forward_bytes for row in table.rows] == [size, size, 0, size, size]
    # the input; the product's factor and tanh's output; relu's output, written into the same memory
    assert [row.backward_bytes for row in table.rows][:2] == [size, 2 * size]
    assert table.parameters == 43


def test_nothing_is_changed() -> None:
    net = models.ConvNet(3, 16, 4, batch_norm=True, dropout=0.3)
    before = {k: v.numpy().copy() for k, v in net.state_dict().items()}
    tinynet.manual_seed(3)
    expected = tinynet.rand(3).tolist()
    tinynet.manual_seed(3)
    with tinynet.no_grad():
        first = summarize(net, (3, 16, 16), 2)
    assert tinynet.rand(3).tolist() == expected
    for name, value in net.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[name])
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())
    assert all(p.grad is None for p in net.parameters())
    assert summarize(net, (3, 16, 16), 2) == first
    assert summarize(net.eval(), (3, 16, 16), 2).backward_bytes < first.backward_bytes
    with pytest.raises(RuntimeError, match="linear"):
        summarize(net, (3, 20, 20))
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())


def test_branches_and_several_outputs() -> None:
    net = models.Inception3(3, aux_logits=True, width=1 / 64)
    table = summarize(net, (3, 299, 299), 2)
    rows = {row.name: row for row in table.rows}
    assert table.rows[-1].name == "fc"  # the network itself adds nothing to its layers
    assert rows["AuxLogits.fc"].output_shape == (2, 3)
    assert rows["Mixed_6e"].output_shape[2:] == (17, 17)
    assert rows["Mixed_6e"].kind == "InceptionC"
    assert table.parameters == sum(p.numel() for p in net.parameters())
    assert sum(row.parameters for row in table.rows) == table.parameters


def test_multiply_adds_of_published_networks() -> None:
    """Worked out from the papers' layer sizes, at reduced widths where that changes nothing."""
    table = summarize(models.AlexNet(hidden=8), (3, 224, 224))
    assert [row.multiply_adds for row in table.rows if row.kind == "Conv2d"] == [
        96 * 55 * 55 * 3 * 11 * 11,
        256 * 27 * 27 * 96 * 5 * 5,
        384 * 13 * 13 * 256 * 3 * 3,
        384 * 13 * 13 * 384 * 3 * 3,
        256 * 13 * 13 * 384 * 3 * 3,
    ]
    grouped = nn.Sequential(nn.Conv2d(4, 8, 3, groups=2))
    assert summarize(grouped, (4, 6, 6)).multiply_adds == 8 * 4 * 4 * 2 * 9
