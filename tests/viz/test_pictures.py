import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from tinynet import viz

pytest.importorskip("matplotlib")

HISTORY = [
    {"epoch": i, "loss": 1 / i, "train_accuracy": 0.5, "test_loss": 2 / i, "test_accuracy": 0.25}
    for i in (1, 2, 3)
]
CLASSES = ("cat", "dog", "Ångström")


def texts(figure):
    from matplotlib.text import Text

    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


def test_learning_curves_show_the_history():
    figure = viz.learning_curves(HISTORY, "a title")
    loss, accuracy = figure.axes
    lines = {line.get_label(): line for line in loss.lines}
    np.testing.assert_array_equal(lines["training"].get_xdata(), [1, 2, 3])
    np.testing.assert_allclose(lines["training"].get_ydata(), [1, 1 / 2, 1 / 3])
    np.testing.assert_allclose(lines["test"].get_ydata(), [2, 1, 2 / 3])
    assert [line.get_ydata()[0] for line in accuracy.lines] == [0.5, 0.25]
    assert {"a title", "Loss", "Accuracy", "25.0%"} <= set(texts(figure))


def test_learning_curves_without_a_test():
    figure = viz.learning_curves([{"epoch": 1, "loss": 0.5}])
    assert [len(axes.lines) for axes in figure.axes] == [1, 0]
    with pytest.raises(ValueError, match="history is empty"):
        viz.learning_curves([])


def test_confusion_shows_counts_and_classes():
    matrix = np.array([[40, 2, 0], [0, 1234, 7], [1, 0, 30]])
    shown = texts(viz.confusion(matrix, CLASSES))
    assert {"40", "2", "1,234", "7", "cat", "Ångström"} <= set(shown)
    assert "0" not in shown
    assert any("99.2% of 1,314" in text for text in shown)
    with pytest.raises(ValueError, match="C = 3 classes, but it is"):
        viz.confusion(np.eye(2), CLASSES)


def test_confusion_of_a_class_without_images():
    figure = viz.confusion(np.array([[3, 0], [0, 0]]), ("a", "b"))
    assert np.isfinite(figure.axes[0].images[0].get_array()).all()


@pytest.mark.parametrize("shape", [(4, 4), (1, 4, 4), (3, 4, 4)])
def test_mistakes_show_the_wrong_ones_surest_first(shape):
    images = np.random.default_rng(0).normal(size=(4, *shape))
    target = np.array([0, 1, 2, 0])
    probabilities = np.array([[1, 0, 0], [0.7, 0.2, 0.1], [0.1, 0.9, 0], [0, 0, 1.0]])
    figure = viz.mistakes(images, target, probabilities, CLASSES)
    shown = texts(figure)
    assert [text for text in shown if text.endswith("%")] == [
        "Ångström 100%",
        "dog 90%",
        "cat 70%",
    ]
    assert [text for text in shown if text.startswith("is ")] == ["is cat", "is Ångström", "is dog"]
    assert "3 of 4 wrong; the 3 surest mistakes" in shown
    picture = np.asarray(figure.axes[0].images[0].get_array())
    expected = images[3] if len(shape) == 2 else images[3].transpose(1, 2, 0).squeeze()
    np.testing.assert_allclose(picture, (expected - expected.min()) / np.ptp(expected))


def test_no_mistakes():
    figure = viz.mistakes(np.zeros((2, 3, 3)), [0, 1], np.eye(2), ("a", "b"))
    assert texts(figure) == ["None of 2 wrong"]


def test_saved_as_png_of_a_decent_size(tmp_path):
    viz.save(viz.learning_curves(HISTORY), tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        assert image.format == "PNG"
        assert image.width > 800
    viz.save(viz.learning_curves(HISTORY), tmp_path / "a.svg")
    assert b"<svg" in (tmp_path / "a.svg").read_bytes()


def test_matplotlib_is_imported_late_and_pyplot_never():
    code = (
        "import sys, tinynet.viz as v; assert 'matplotlib' not in sys.modules;"
        "v.learning_curves([{'epoch': 1, 'loss': 1.0}]); assert 'matplotlib' in sys.modules;"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_without_matplotlib_the_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert viz.missing() == "Pictures need Matplotlib: pip install 'tinynet[viz]'."
    with pytest.raises(ImportError, match=r"pip install 'tinynet\[viz\]'"):
        viz.confusion(np.eye(2), ("a", "b"))
