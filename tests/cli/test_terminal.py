"""The commands as a person meets them: a process of their own, on a terminal, with Ctrl-C."""

import contextlib
import json
import os
import re
import select
import signal
import subprocess
import sys
import time

import pytest

from tinynet.datasets import Digits

pty = pytest.importorskip("pty", reason="needs a Unix terminal")

COMMAND = [sys.executable, "-c", "from tinynet.cli import main; main(prog_name='tinynet')"]


class Terminal:
    """A command on a pseudo-terminal, and what it has printed so far."""

    def __init__(self, *arguments, columns=100):
        self.master, slave = pty.openpty()
        environment = os.environ | {"TERM": "xterm-256color", "COLUMNS": str(columns)}
        environment.pop("NO_COLOR", None)
        self.process = subprocess.Popen(
            [*COMMAND, *map(str, arguments)],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=environment,
            start_new_session=True,
        )
        os.close(slave)
        self.text = ""

    def read(self, until=None, seconds=60.0):
        """Read until the pattern appears, or to the end."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if until is not None and re.search(until, self.text):
                return self.text
            if select.select([self.master], [], [], 0.1)[0]:
                try:
                    chunk = os.read(self.master, 65536)
                except OSError:  # how Linux says that the other end is closed
                    chunk = b""
                if not chunk:
                    break
                self.text += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", chunk.decode(errors="replace"))
        assert until is None or re.search(until, self.text), self.text
        return self.text

    def end(self):
        code = self.process.wait(timeout=30)
        with contextlib.suppress(OSError):
            os.close(self.master)
        return code


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("terminal") / "run"
    terminal = Terminal(
        "train", "--data", "digits", "--epochs", 2, "--batch-size", 100, "--out", folder
    )
    text = terminal.read()
    assert terminal.end() == 0, text
    return folder, text


def test_train_tells_what_it_does_shows_a_bar_and_a_table(run):
    folder, text = run
    for fact in (
        r"model +convnet, [\d,]+ parameters",
        r"data +digits: 1,500 images to train on, 297 to test, 8x8x1, 10 classes",
        r"training +2 epochs, batches of 100, adamw, learning rate up to 0.002",
        r"device +cpu, \d+ threads?, seed 0",
        r"epoch +loss +accuracy +test loss +test accuracy +seconds",
        r"[\r\n] +1 +\d\.\d{3} +\d+\.\d% +\d\.\d{3} +\d+\.\d% +\d+\.\d\r?\n",
        r"epoch 2/2.*loss \d\.\d{3}  accuracy \d+\.\d%.*images/s.*left",
        r"\d+\.\d% of the test images are recognised",
        r"saved +",
    ):
        assert re.search(fact, text), (fact, text)
    assert "weights.safetensors" in text
    assert str(folder) in re.sub(r"\s", "", text)


def test_evaluate_and_predict_draw_bars(run, tmp_path):
    image, label = Digits(train=False)[0]
    image.save(tmp_path / "digit.png")
    terminal = Terminal("evaluate", run[0])
    text = terminal.read()
    assert terminal.end() == 0, text
    assert re.search(r"convnet on digits: \d+\.\d% of 297 test images right, loss \d", text)
    assert len(re.findall(r"\n  \d  █+.* \d+\.\d%", text)) == 10
    terminal = Terminal("predict", run[0], tmp_path / "digit.png")
    text = terminal.read()
    assert terminal.end() == 0, text
    assert re.search(rf"digit.png\r\n  {label}  █.* \d+\.\d%", text)


@pytest.mark.parametrize("terminal", [True, False])
def test_ctrl_c_keeps_what_was_finished(tmp_path, terminal):
    folder = tmp_path / "run"
    arguments = ["train", "--data", "digits", "--epochs", "2000", "--out", str(folder)]
    if terminal:
        program = Terminal(*arguments)
        program.read(until=r"[\r\n] +2 +\d\.\d{3} ")
        os.killpg(program.process.pid, signal.SIGINT)
        said = program.read()
        code = program.end()
    else:
        process = subprocess.Popen(
            [*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for line in process.stdout:
            if line.startswith("epoch 2 "):
                break
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
        code = process.returncode
    assert code == 130, said
    assert "Traceback" not in said
    finished = len((folder / "metrics.jsonl").read_text().splitlines())
    assert finished >= 2
    assert f"tinynet: interrupted; epochs 1 to {finished} are saved in" in said
    names = {path.name for path in folder.iterdir()}
    assert {"weights.safetensors", "curves.png", "confusion.png", "mistakes.png"} <= names
    assert json.loads((folder / "config.json").read_text())["epochs"] == 2000


def test_bad_input_as_a_process_sees_it():
    result = subprocess.run(
        [*COMMAND, "evaluate", "nowhere"], capture_output=True, text=True, timeout=60
    )
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr == "tinynet: There is no run nowhere: no such folder.\n"


def test_a_reader_that_leaves_early(run):
    process = subprocess.Popen(
        [*COMMAND, "evaluate", run[0]], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    process.stdout.close()
    assert "Traceback" not in process.stderr.read()
    process.stderr.close()
    assert process.wait(timeout=60) == 1


def test_help_imports_nothing_that_takes_long():
    code = (
        "import sys\n"
        "from tinynet.cli import main\n"
        "try: main(['train', '--help'])\n"
        "except SystemExit as end: assert not end.code\n"
        "slow = {'numba', 'matplotlib', 'PIL', 'rich', 'tinynet.nn', 'tinynet.datasets'}\n"
        "sys.exit(str(slow & set(sys.modules)) if slow & set(sys.modules) else 0)\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
