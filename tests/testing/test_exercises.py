"""The notebooks' exercises: right answers pass, likely wrong ones are told where to look."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

import tinynet as tn
from tinynet.testing import check
from tinynet.testing.exercise_table import EXERCISES

ROOT = Path(__file__).parent.parent.parent


def perceptron_step(w, b, x, y):
    return (w + y * x, b + y) if y * (w @ x + b) <= 0 else (w, b)


def logistic_slope(x):
    return np.exp(-x) / (1 + np.exp(-x)) ** 2


def scattered(dy, w, add=True):
    (N, K, P, Q), (_, C, R, S) = dy.shape, w.shape
    dx = np.zeros((N, C, P + R - 1, Q + S - 1))
    for n, k, p, q, c, r, s in np.ndindex(N, K, P, Q, C, R, S):
        part = dy[n, k, p, q] * w[k, c, r, s]
        dx[n, c, p + r, q + s] = dx[n, c, p + r, q + s] * add + part
    return dx


# name: (right answers, wrong answers)
ANSWERS = {
    "01-1": ([(1, 1, -1.5), np.array([0.2, 0.2, -0.3])], [(1, 1, -0.5), (1, 1, -2), (1, 1)]),
    "01-2": (
        [perceptron_step],
        [lambda w, b, x, y: (w + y * x, b + y), lambda w, b, x, y: (w, b), lambda w: w],
    ),
    "01-3": ([1, 1.0], [100, 0]),
    "01-4": ([7850], [7840, 7851]),
    "02-1": (
        [logistic_slope, lambda x: tn.tensor(x).sigmoid() * (1 - tn.tensor(x).sigmoid())],
        [lambda x: 1 / (1 + np.exp(-x)), lambda x: 0.25, lambda x: undefined],  # noqa: F821
    ),
    "02-2": ([-0.467, -0.46679, tn.tensor(-0.4668)], [0.467, 0.587, -0.45]),
    "02-3": ([(3, 1.86), [3.0, 1.8553]], [(2, 1.86), (3, 1.0), 1.86]),
    "02-4": (
        [lambda dy, x: dy * x.sigmoid(), lambda dy, x: dy / (1 + (-x).exp())],
        [lambda dy, x: dy, lambda dy, x: x.sigmoid()],
    ),
    "02-5": ([(100, 10, 64000)], [(10, 100, 64000), (100, 10, 1000)]),
    "04-1": ([940800], [1003520, 313600]),
    "04-2": ([scattered], [lambda dy, w: scattered(dy, w, add=False), lambda dy, w: dy]),
    "04-3": ([14.5, 14.45], [1.6, 12.8]),
    "04-4": ([2.25], [9, 4]),
    "05-1": ([(160, 4640)], [(144, 4608), (160, 528)]),
    "05-2": ([13], [14, 12]),
    "05-3": ([0.006, 0.00607], [0.001, 0.1]),
    "05-4": (
        [lambda m: m.diagonal() / m.sum(axis=1)],
        [lambda m: m.diagonal() / m.sum(axis=0), lambda m: m.diagonal().sum() / m.sum()],
    ),
    "07-1": ([1297], [1296, 17]),
    "07-2": ([1800], [460800, 57600]),
    "07-3": ([4], [8, 2]),
    "07-4": (
        [lambda addresses: len(set(np.asarray(addresses) // 128))],
        [lambda addresses: len(addresses), lambda addresses: 1],
    ),
    "08-1": ([0.0417, 1 / 24], [1 / 12, 24]),
    "08-2": ([10], [0.1, 4000]),
    "08-3": ([52], [53, 90]),
    "08-4": ([(4.71, 10)], [(7.2, 10), (4.71, 8)]),
    "09-1": ([lambda x: np.where(x > 0, 1, np.exp(x))], [lambda x: np.exp(x), lambda x: x > 0]),
    "09-2": ([0.0833, 1 / 12], [0.167, 0.333]),
    "09-3": (
        [lambda dy, x, g: (dy * g, (dy * x).sum(0))],
        [lambda dy, x, g: (dy, (dy * x).sum(0)), lambda dy, x, g: (dy * g, x.sum(0))],
    ),
    "09-4": ([5.5], [5, 2]),
    "06-1": ([102764544], [102760448, 4096]),
    "06-2": ([(9, 14)], [(12, 14), (9, 10)]),
    "06-3": ([105, 105.4], [35.1, 303]),
    "06-4": ([2178], [2048, 1089]),
}


def test_every_exercise_has_answers():
    assert ANSWERS.keys() == EXERCISES.keys()


@pytest.mark.parametrize("name", ANSWERS)
def test_right_answers_are_right(name, capsys):
    for answer in ANSWERS[name][0]:
        assert check(name, answer)
        assert capsys.readouterr().out == f"{name}: right.\n"


@pytest.mark.parametrize("name", ANSWERS)
def test_wrong_answers_get_a_hint(name, capsys):
    for answer in ANSWERS[name][1]:
        assert not check(name, answer)
        assert re.match(rf"{name}: not yet\. \S.{{10,}}", capsys.readouterr().out)


def test_no_answer_and_no_such_exercise(capsys):
    def not_yet(dy, x): ...

    for name, answer in (("02-3", ...), ("02-4", not_yet)):
        assert not check(name, answer)
        assert "not answered yet" in capsys.readouterr().out
    with pytest.raises(KeyError, match="no exercise '99-1'"):
        check("99-1", 1)


def test_the_notebooks_ask_every_exercise():
    asked = set()
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        for cell in json.loads(path.read_text())["cells"]:
            if cell["cell_type"] == "code":
                asked |= set(re.findall(r'check\("(\d\d-\d)"', "".join(cell["source"])))
    assert asked == EXERCISES.keys()
