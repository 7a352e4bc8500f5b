"""What runs public programs: import lines, small data, comparison; with two programs of our own."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import run  # noqa: E402
from rewriting import rewritten  # noqa: E402
from small_data import MAKERS  # noqa: E402

from tinynet import datasets  # noqa: E402

IMPORTS = {
    "import torch": "import tinynet as torch",
    "import torch as th": "import tinynet as th",
    "import torch.nn as nn": "import tinynet.nn as nn",
    "import torch.optim": "import tinynet.optim; import tinynet as torch",
    "import torch, numpy as np": "import tinynet as torch; import numpy as np",
    "import torchvision": "import tinynet as torchvision",
    "from torch import nn, optim": "from tinynet import nn, optim",
    "from torchvision.utils import save_image": "from tinynet.utils import save_image",
    "import torchtext": "import torchtext",
    "from . import torch": "from . import torch",
    "x = 1; import torch  # for tensors": "x = 1; import tinynet as torch  # for tensors",
    "from torch.nn import (Linear,\n    ReLU)": "from tinynet.nn import Linear, ReLU",
    "def f():\n    import torch\n    return 'import torch'": (
        "def f():\n    import tinynet as torch\n    return 'import torch'"
    ),
}


@pytest.mark.parametrize("line", IMPORTS)
def test_import_lines(line):
    assert rewritten(line) == IMPORTS[line]


def test_rewritten_programs_compile():
    compile(rewritten(PROGRAM), "program", "exec")


def test_small_data_is_read(tmp_path, monkeypatch):
    for name, make in MAKERS.items():
        for attribute, value in make(tmp_path, name)[name].items():
            kept = (
                {k: tuple(v) if isinstance(v, list) else v for k, v in value.items()}
                if (isinstance(value, dict))
                else value
            )
            monkeypatch.setattr(getattr(datasets, name), attribute, kept)
        train, test = (getattr(datasets, name)(tmp_path, train=t) for t in (True, False))
        assert len(train) > len(test) > 0
        assert train.pixels.shape[1:3] in ((28, 28), (32, 32))


def test_the_manifest_can_be_read():
    programs = run.manifest()
    assert len({p.author for p in programs}) >= 30
    for p in programs:
        assert len(p.commit) == 40
        assert len(p.hash) == 64
        assert p.kind == "program" or (p.make and p.input)
    assert tomllib.loads((HERE / "manifest.toml").read_text()).keys() == {p.name for p in programs}


def program(**facts):
    return run.Program("ours", "us/ours", "0" * 40, "ours.py", **facts)


def answer(printed="", losses=(), error=None, **measured):
    return {"printed": printed, "losses": list(losses), "error": error, "measured": measured}


def test_comparison():
    def status(theirs, mine):
        return run.compared(program(), theirs, mine).status

    assert status(answer("loss 1.0000\n"), answer("loss 1.0001\n")) == "same"
    assert status(answer("loss 1.0000\n"), answer("loss 1.1\n")) == "differs"
    assert status(answer("torch.Size([2])"), answer("tinynet.Size([2])")) == "same"
    assert status(answer("a\n"), answer("a\nb\n")) == "differs"
    assert status(answer("loss 1"), answer("cost 1")) == "differs"
    assert status(answer(losses=[1, 2]), answer(losses=[1])) == "differs"
    assert status(answer(losses=[1, float("nan")]), answer(losses=[1, float("nan")])) == "same"
    assert status(answer(losses=[1]), answer(losses=[float("inf")])) == "differs"
    assert status(answer(keys=["a"]), answer(keys=["b"])) == "differs"
    assert status(answer(eval=[1.0, 2.0]), answer(eval=[1.0, 2.0])) == "same"
    assert status(answer(error="x"), answer()) == "fails on PyTorch"
    assert status(answer(), answer(error="x")) == "fails"


def test_hashes_are_of_statements():
    assert run.text_hash("x = 1  # one\n\n'text'\n") == run.text_hash("x = 1\n")
    assert run.text_hash("x = 1\n") != run.text_hash("x = 2\n")


def test_another_text_is_not_run(tmp_path):
    (tmp_path / "us/ours").mkdir(parents=True)
    (tmp_path / "us/ours/ours.py").write_text("x = 1\n")
    assert run.run(program(hash=run.text_hash("x = 2")), tmp_path).status == "another text"
    assert run.run(program(), tmp_path / "elsewhere").status == "not there"


PROGRAM = """
import torch, torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(3)
x = torch.randn(40, 4)
y = (x.sum(1) > 0).long()
loader = DataLoader(TensorDataset(x, y), batch_size=8, shuffle=True)
net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.25), nn.Linear(8, 2))
optimizer = torch.optim.Adam(net.parameters(), lr=EPOCHS * 0.01)
for epoch in range(EPOCHS):
    for a, b in loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(net(a), b)
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch} loss {loss.item():.4f}")
print(net)
"""
MODEL = """
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)

    def forward(self, x):
        return self.norm(self.conv(x)).relu().flatten(1)
"""


@pytest.mark.slow
def test_our_own_programs(tmp_path):
    pytest.importorskip("torch")
    (tmp_path / "us/ours").mkdir(parents=True)
    (tmp_path / "us/ours/ours.py").write_text(PROGRAM)
    result = run.run(program(edits={"EPOCHS": "2"}), tmp_path)
    assert (result.status, result.compared) == ("same", 10 + 4 + 9), result.detail
    stopped = run.run(program(edits={"EPOCHS": "2"}, steps=3), tmp_path)
    assert (stopped.status, stopped.compared) == ("same", 3)
    (tmp_path / "us/ours/ours.py").write_text(MODEL)
    result = run.run(program(kind="model", make="Net()", input=[2, 3, 6, 6]), tmp_path)
    assert (result.status, result.compared) == ("same", 2 * (2 * 4 * 16 + 4 + 1)), result.detail
    assert "same numbers" in run.page([result])
