import numpy as np
import pytest
from tinynet.kernels.errors import ShapeError

import tinynet
from tinynet.metrics import accuracy, confusion_matrix

SCORES = np.array([[0.1, 0.9, 0.0], [2.0, 1.0, 3.0], [5.0, 4.0, 0.0], [0.0, 0.0, 1.0]])


def test_accuracy_by_hand():
    assert accuracy(SCORES, np.array([1, 2, 1, 2])) == 0.75
    assert accuracy([0, 1, 2], [0, 1, 1]) == pytest.approx(2 / 3)
    assert accuracy(tinynet.tensor(SCORES), tinynet.tensor([0, 0, 0, 0])) == 0.25


def test_confusion_matrix_by_hand():
    matrix = confusion_matrix(SCORES, [1, 2, 1, 2])
    np.testing.assert_array_equal(matrix, [[0, 0, 0], [1, 1, 0], [0, 0, 2]])
    assert matrix.trace() / matrix.sum() == accuracy(SCORES, [1, 2, 1, 2])
    np.testing.assert_array_equal(confusion_matrix([0, 0], [0, 1]), [[1, 0], [1, 0]])
    assert confusion_matrix([0], [0], num_classes=4).shape == (4, 4)
    small = np.array([200, 200], np.uint8)
    assert confusion_matrix(small, small)[200, 200] == 2, "the cell's number does not overflow"


def test_confusion_matrix_is_scikit_learns():
    sklearn_metrics = pytest.importorskip("sklearn.metrics")
    random = np.random.default_rng(0)
    target, predicted = random.integers(0, 5, (2, 300))
    np.testing.assert_array_equal(
        confusion_matrix(predicted, target), sklearn_metrics.confusion_matrix(target, predicted)
    )


@pytest.mark.parametrize("function", [accuracy, confusion_matrix])
@pytest.mark.parametrize(
    ("prediction", "target"),
    [(SCORES, [0, 1]), ([0, 1], [0]), ([], []), (SCORES[None], [0]), ([0, 1], [[0, 1]])],
)
def test_what_does_not_fit_is_refused(function, prediction, target):
    with pytest.raises(ShapeError, match=rf"{function.__name__}: prediction is scores \(N, C\)"):
        function(prediction, target)


def test_classes_out_of_range():
    with pytest.raises(IndexError, match="of target must lie in 0 to 2, but go from 0 to 3"):
        confusion_matrix(SCORES[:2], [0, 3])
    with pytest.raises(IndexError, match="classes of prediction"):
        confusion_matrix([-1, 0], [0, 0])
