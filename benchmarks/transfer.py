"""Transfer learning: what frozen features save, and what features from other data are worth.

    python benchmarks/transfer.py [--seeds 3]

First the time of a training step and the bytes that backward remembers, with all of a network
trained and with its features frozen. Then ConvNet on five labelled images per class, after more and
more passes over them: from scratch, and from a network trained on the package's other images
(digits from clothes, clothes from digits), with its features frozen or trained on. The accuracy is
that of all test images, the mean over the seeds.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

import tinynet as tn
from tinynet.models import AlexNet
from tinynet.nn import functional as F
from tinynet.train import (
    Config,
    architecture,
    build_model,
    build_optimizer,
    evaluate_batches,
    freeze,
    load_data,
    start_from,
    train_batches,
)
from tinynet.train.loop import training_mode

SIZE = 28
PER_CLASS = 5
EPOCHS = (2, 4, 8, 16, 32)
SOURCE_EPOCHS = 3


def remembered_bytes(result: tn.Tensor, model: Any) -> int:
    """The memory that backward of `result` keeps, the parameters themselves apart."""
    seen = {id(_owner(p.array)) for p in model.parameters()}
    total, waiting, nodes = 0, [result.grad_fn], set()
    while waiting:
        node = waiting.pop()
        if node is None or node in nodes:
            continue
        nodes.add(node)
        waiting += [before for before, _ in node.next_functions]
        held = [value for _, value in node.remembers()]
        if node.output is not None:
            held.append(node.output[0])
        for value in held:
            memory = _owner(value.array if isinstance(value, tn.Tensor) else value)
            if id(memory) not in seen:
                seen.add(id(memory))
                total += memory.nbytes
    return total


def _owner(array: Any) -> Any:
    while hasattr(array.base, "nbytes") and hasattr(array.base, "dtype"):
        array = array.base
    return array


def step_costs(model: Any, shape: tuple[int, ...]) -> tuple[float, int]:
    """Seconds of a step (median of five) and the bytes that backward remembers."""
    x, y = tn.randn(*shape), tn.zeros(shape[0], dtype=tn.int64)
    training_mode(model)
    seconds = []
    for _ in range(6):
        started = time.perf_counter()
        loss = F.cross_entropy(model(x), y)
        kept = remembered_bytes(loss, model)
        model.zero_grad()
        loss.backward()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds[1:]), kept


def print_savings() -> None:
    """What freezing saves in one step."""
    print(f"{'a training step':<32}{'seconds':>10}{'remembered':>14}")
    for name, make, shape in (
        ("ConvNet, 64 x 1x28x28", lambda: convnet("clothes"), (64, 1, 28, 28)),
        ("AlexNet, 8 x 3x224x224", lambda: AlexNet(10), (8, 3, 224, 224)),
    ):
        for frozen in (False, True):
            model = make()
            if frozen:
                freeze(model, ["features"])
            seconds, kept = step_costs(model, shape)
            label = f"{name}{', frozen' if frozen else ''}"
            print(f"{label:<32}{seconds:>10.4f}{kept / 2**20:>10.2f} MiB")


def convnet(data_name: str) -> Any:
    """ConvNet as `tinynet train` makes it."""
    config = Config(data=data_name)
    return build_model("convnet", architecture(config, load_data(data_name, image_size=SIZE)))


def learn(data: Any, epochs: int, seed: int, state: Any = None, frozen: bool = False) -> Any:
    """A ConvNet trained on the data, and its test accuracy."""
    tn.manual_seed(seed)
    config = Config(epochs=epochs, batch_size=min(64, max(10, data.train_size // 4)))
    model = build_model("convnet", architecture(config, data))
    if state is not None:
        start_from(model, {name: t for name, t in state.items() if name.startswith("features")})
    if frozen:
        freeze(model, ["features"])
    steps = epochs * -(-data.train_size // config.batch_size)
    optimizer, schedule = build_optimizer(config, model, steps)
    for _ in range(epochs):
        train_batches(model, optimizer, schedule, data.train_batches(config.batch_size))
    return model, evaluate_batches(model, data.test_batches(250)).accuracy


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3, help="trainings per figure")
    seeds = parser.parse_args().seeds
    print_savings()
    for source, target in (("clothes", "digits"), ("digits", "clothes")):
        few = load_data(target, image_size=SIZE, per_class=PER_CLASS)
        teacher, _ = learn(load_data(source, image_size=SIZE), SOURCE_EPOCHS, seed=0)
        state = teacher.state_dict()
        print(f"\n{target} from {source}, passes over {PER_CLASS} images a class:", end="")
        print("".join(f"{epochs:>9}" for epochs in EPOCHS))
        for label, kwargs in (
            ("from scratch", {}),
            ("features frozen", {"state": state, "frozen": True}),
            ("features trained on", {"state": state}),
        ):
            cells = []
            for epochs in EPOCHS:
                scores = [learn(few, epochs, seed, **kwargs)[1] for seed in range(seeds)]
                cells.append(f"{statistics.mean(scores):>9.1%}")
            print(f"  {label:<50}" + "".join(cells), flush=True)


if __name__ == "__main__":
    main()
