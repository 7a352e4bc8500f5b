import numpy as np
import pytest
from tinynet.kernels.errors import ShapeError

import tinynet
from tinynet.metrics import (
    accuracy,
    average_precision,
    confusion_matrix,
    f1_score,
    mean_average_precision,
    precision,
    recall,
    top_k_accuracy,
)

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


def test_top_k_by_hand():
    assert [top_k_accuracy(SCORES, [2, 1, 1, 2], k) for k in (1, 2, 3)] == [0.25, 0.5, 1.0]
    assert top_k_accuracy([[1.0, 1, 1]], [1], 2) == 1
    assert top_k_accuracy([[1.0, 1, 1]], [2], 2) == 0
    with pytest.raises(ShapeError, match="k is 4"):
        top_k_accuracy(SCORES, [0] * 4, 4)


def test_precision_recall_f1_by_hand():
    predicted, target = [0, 0, 1, 1, 1, 4], [0, 1, 1, 1, 2, 2]
    np.testing.assert_allclose(precision(predicted, target, None), [1 / 2, 2 / 3, 0, 0, 0])
    np.testing.assert_allclose(recall(predicted, target, None), [1, 2 / 3, 0, 0, 0])
    np.testing.assert_allclose(f1_score(predicted, target, None), [2 / 3, 2 / 3, 0, 0, 0])
    assert precision(predicted, target) == pytest.approx((1 / 2 + 2 / 3) / 4)
    assert recall(predicted, target, "micro") == accuracy(predicted, target) == 0.5
    with pytest.raises(ValueError, match="not 'weighted'"):
        f1_score(predicted, target, "weighted")


@pytest.mark.parametrize("average", ["macro", "micro", None])
def test_precision_recall_f1_are_scikit_learns(average):
    sklearn = pytest.importorskip("sklearn.metrics")
    random = np.random.default_rng(1)
    target, predicted = random.integers(0, 5, (2, 200))
    predicted[target == 3] = 0
    for ours, theirs in (
        (precision, sklearn.precision_score),
        (recall, sklearn.recall_score),
        (f1_score, sklearn.f1_score),
    ):
        expected = theirs(target, predicted, average=average, zero_division=0)
        np.testing.assert_allclose(ours(predicted, target, average), expected, rtol=1e-12)


def test_average_precision_by_hand():
    # positives at ranks 1, 3 and 4: precisions 1/1, 2/3, 3/4 at a third of recall each
    assert average_precision([4, 3, 2, 1, 0], [1, 0, 1, 1, 0]) == pytest.approx(
        (1 + 2 / 3 + 3 / 4) / 3
    )
    # equal scores are taken together, in whatever order they come
    assert average_precision([1, 1], [1, 0]) == average_precision([1, 1], [0, 1]) == 0.5
    for scores, targets in (([1, 2], [0, 0]), ([1, 2], [0, 2]), ([1, np.nan], [0, 1])):
        with pytest.raises(ValueError, match="average_precision"):
            average_precision(scores, targets)
    with pytest.raises(ShapeError, match=r"\(2,\) and \(1,\)"):
        average_precision([1, 2], [1])


def test_average_precision_is_scikit_learns():
    sklearn = pytest.importorskip("sklearn.metrics")
    random = np.random.default_rng(2)
    for digits in (0, 1, 8):
        scores = random.random((60, 4)).round(digits)
        several = random.integers(0, 2, (60, 4))
        for c in range(4):
            assert average_precision(scores[:, c], several[:, c]) == pytest.approx(
                sklearn.average_precision_score(several[:, c], scores[:, c])
            )
        assert mean_average_precision(scores, several) == pytest.approx(
            sklearn.average_precision_score(several, scores)
        )
        labels = random.integers(0, 4, 60)
        assert mean_average_precision(tinynet.tensor(scores), labels) == pytest.approx(
            sklearn.average_precision_score(np.eye(4)[labels], scores)
        )


def test_mean_average_precision_leaves_out_classes_that_do_not_occur():
    assert mean_average_precision([[0.9, 0.1, 0], [0.2, 0.8, 0]], [0, 1]) == 1
    with pytest.raises(IndexError, match="must lie in 0 to 2"):
        mean_average_precision(np.ones((1, 3)), [3])
    with pytest.raises(ValueError, match="no class has a positive row"):
        mean_average_precision(np.ones((1, 3)), [[0, 0, 0]])
    with pytest.raises(ShapeError, match=r"scores are \(N, C\)"):
        mean_average_precision(np.ones(3), [0])
