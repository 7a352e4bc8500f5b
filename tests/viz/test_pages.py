"""The pages as files: what is in them, and that they need nothing else."""

import base64
import json
import re

import numpy as np
import pytest
from click.testing import CliRunner

import tinynet as tn
from tinynet import nn
from tinynet.autograd.ledger import Numbers
from tinynet.cli import main
from tinynet.viz.pages import shell, windows
from tinynet.viz.pages.ledger import page_data


def embedded(path):
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', path.read_text())
    return json.loads(found[1])


def ledger_of(compute):
    with tn.autograd.trace() as ledger:
        compute()
    return ledger


def test_the_page_has_what_the_ledger_has(tmp_path):
    net = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
    x = tn.ones(2, 2)
    ledger = ledger_of(lambda: net(x).sum().backward())
    ledger.save(tmp_path / "page.html")
    data = embedded(tmp_path / "page.html")
    assert data == json.loads(json.dumps(page_data(ledger)))
    assert [e["kind"] for e in data["events"]] == ["forward"] * 3 + ["backward"] * 5
    for shown, step in zip(data["steps"], ledger, strict=True):
        assert shown["operation"] == step.operation
        output = data["arrays"][shown["outputs"][0]]
        np.testing.assert_array_equal(
            np.array(output["values"], np.float32), step.outputs[0].values.ravel()
        )
    ids = {item["id"] for item in (*data["steps"], *data["leaves"])}
    for event in data["events"]:
        for sent in (*event.get("incoming", ()), *event.get("outgoing", ())):
            assert {sent["target"], sent["source"]} - {None} <= ids


def test_pages_are_complete_and_closed(tmp_path):
    ledger_of(lambda: tn.ones(1, requires_grad=True).sum().backward()).save(tmp_path / "a.html")
    text = (tmp_path / "a.html").read_text()
    assert "default-src 'none'" in text
    assert "sourceMappingURL" not in text
    assert not re.search(r"<(link|img|iframe)\b|<script[^>]*\bsrc=", text)
    for holder in ("Mike Bostock", "Chris Pettitt"):  # the licences of what is copied
        assert re.search(rf"Copyright .*{holder}", text)


def test_text_cannot_end_the_data(tmp_path):
    def compute():
        # the line itself is data of the page: </script><b>
        return tn.ones(1, requires_grad=True) * 2  # </script><b>

    ledger = ledger_of(compute)
    ledger.save(tmp_path / "a.html")
    assert embedded(tmp_path / "a.html")["steps"][0]["text"].endswith("# </script><b>")


def test_not_a_number(tmp_path):
    x = tn.tensor([float("nan"), float("inf"), -1.0], requires_grad=True)
    ledger = ledger_of(lambda: x.exp().sum().backward())
    ledger.save(tmp_path / "a.html")
    given = embedded(tmp_path / "a.html")["arrays"][0]
    assert given["values"] == ["nan", "inf", -1.0]
    assert given["norm"] == "nan"


def test_thumbnails():
    plane = np.array([[1.0, -0.5], [np.nan, 0.0]], np.float32)
    shown = shell.picture(plane)
    steps = np.frombuffer(base64.b64decode(shown["steps"]), np.uint8)
    assert steps.tolist() == [255, 64, 0, 128]
    assert Numbers.of(np.zeros((0, 3)), 8).norm == 0


def test_images_keep_their_brightness():
    pixels = windows.Clothes().pixels[0] / 255
    for size in (7, 12, 28):
        assert windows.image(size).shape == (size, size)
        assert windows.image(size).mean() == pytest.approx(pixels.mean(), abs=1e-3)


@pytest.mark.parametrize("kernel", [1, 2, 3, 5])
def test_filters(kernel):
    names, weights = windows.filters(4, kernel)
    assert len(names) == 4
    assert weights.shape == (4, 1, kernel, kernel)
    assert np.abs(weights).sum((1, 2, 3)) == pytest.approx(1, abs=0.03)


def test_max_pool2d_command(tmp_path):
    out = tmp_path / "pool.html"
    arguments = ["explain", "max_pool2d", "--kernel", "3", "--stride", "2", "--out", str(out)]
    with tn.kernels.use("reference"):
        done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    data = embedded(out)
    dx = np.zeros(12 * 12)
    np.add.at(dx, data["winners"], data["dy"])  # each window's gradient goes to its winner
    np.testing.assert_allclose(data["dx"], dx, rtol=1e-6)
    np.testing.assert_allclose(np.array(data["x"])[data["winners"]], data["y"])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["max_pool2d", "--size", "2", "--kernel", "5"], "the window is"),
        (["conv2d", "--size", "64", "--kernel", "9"], "choose a smaller --size"),
        (["conv2d", "--size", "3", "--kernel", "5"], "the kernel spans"),
        (["batch_norm", "--batch", "40", "--channels", "20"], "too large to be read"),
        (["broadcasting", "--x", "3x1x2"], "at most two dimensions"),
        (["broadcasting", "--x", "3", "--y", "4"], "must match the size"),
        (["broadcasting", "--x", "three"], "such as 3x1, not 'three'"),
    ],
)
def test_what_cannot_be_drawn_is_said(arguments, sentence, tmp_path):
    done = CliRunner().invoke(main, ["explain", *arguments, "--out", str(tmp_path / "a.html")])
    assert done.exit_code == 2
    assert sentence.lower() in done.output.lower()
    assert not (tmp_path / "a.html").exists()
