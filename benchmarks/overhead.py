"""What one small operation costs: a chain of 8x8 operations, forward and backward, beside PyTorch.

    python benchmarks/overhead.py [--json FILE]

Both libraries run in this process, alternating round by round, on one thread, after their answers
have been compared. A row is microseconds per operation (median of the rounds, best in brackets);
the ratio is tinynet / PyTorch of the medians.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import time

import numpy as np

import tinynet as tn

CHAIN = 1000
ROUNDS = 15
OPERATIONS = {
    "add": lambda y, w: y + w,
    "mul": lambda y, w: y * w,
    "tanh": lambda y, w: y.tanh(),
    "relu": lambda y, w: y.relu(),
    "mul by a number": lambda y, w: y * 0.999,
    "matmul": lambda y, w: y @ w,
    "sum, broadcast": lambda y, w: w * y.sum(0),
    "reshape": lambda y, w: y.reshape(64).reshape(8, 8),
}


def chain(lib, step, backward):
    """A function that runs the chain once and gives the last value and the gradient of x."""
    kind = lib.float32
    x = lib.ones(8, 8, dtype=kind, requires_grad=True)
    w = (lib.eye(8, dtype=kind) * 0.9 + 0.01).requires_grad_()
    cotangent = lib.ones(8, 8, dtype=kind)

    def run():
        x.grad = w.grad = None
        y = x
        for _ in range(CHAIN):
            y = step(y, w)
        if backward:
            y.backward(cotangent)
        return y, x.grad

    return run


def microseconds(run):
    start = time.perf_counter()
    run()
    return (time.perf_counter() - start) / CHAIN * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--json", help="write the results to this file")
    arguments = parser.parse_args()
    try:
        import torch
    except ImportError:
        sys.exit("overhead: PyTorch is not installed, and the point is to compare with it")
    torch.set_num_threads(1)

    rows = []
    for name, step in OPERATIONS.items():
        for backward in (False, True):
            ours, theirs = (chain(lib, step, backward) for lib in (tn, torch))
            (y, dx), (ty, tdx) = ours(), theirs()
            np.testing.assert_allclose(y.detach().numpy(), ty.detach().numpy(), rtol=1e-3)
            if backward:
                np.testing.assert_allclose(dx.numpy(), tdx.numpy(), rtol=1e-3)
            del y, dx, ty, tdx
            times = [(microseconds(ours), microseconds(theirs)) for _ in range(ROUNDS)]
            mine, other = (list(t) for t in zip(*times, strict=True))
            rows.append(
                {
                    "operation": name,
                    "pass": "forward + backward" if backward else "forward",
                    "tinynet_us": statistics.median(mine),
                    "tinynet_best_us": min(mine),
                    "pytorch_us": statistics.median(other),
                    "pytorch_best_us": min(other),
                    "ratio": statistics.median(mine) / statistics.median(other),
                }
            )
    versions = {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "torch": torch.__version__,
        "machine": platform.processor() or platform.machine(),
        "threads": 1,
        "dtype": "float32",
        "shape": [8, 8],
        "chain": CHAIN,
    }
    print(", ".join(f"{k} {v}" for k, v in versions.items()))
    print(
        "\n| operation | pass | tinynet us | PyTorch us | ratio |\n| --- | --- | --- | --- | --- |"
    )
    for r in rows:
        print(
            f"| {r['operation']} | {r['pass']} | {r['tinynet_us']:.2f} ({r['tinynet_best_us']:.2f})"
            f" | {r['pytorch_us']:.2f} ({r['pytorch_best_us']:.2f}) | {r['ratio']:.2f} |"
        )
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump({"versions": versions, "rows": rows}, file, indent=1)


if __name__ == "__main__":
    main()
