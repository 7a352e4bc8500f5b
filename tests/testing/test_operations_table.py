"""The table of operations: complete, green, and blind to nothing."""

import pytest

from tinynet import kernels
from tinynet.nn import functional as F
from tinynet.testing.operations import OPERATIONS, covered_by, discover

CHECKS = [
    pytest.param(row, order, backend, id=f"{row.name}-{order}-{backend}")
    for row in OPERATIONS
    for backend in row.backends
    for order in row.orders
]


@pytest.mark.parametrize(("row", "order", "backend"), CHECKS)
def test_derivative(row, order, backend):
    if reason := kernels.unavailable(backend):
        pytest.skip(reason)
    report = row.check(order, backend)
    assert report, report.text()
    assert not report.stepped_away  # the inputs are meant to be away from kinks
    if order == 1:
        assert bool(report.vacuous) == row.flat  # else a deleted derivative would pass


def test_every_differentiable_operation_is_recorded_by_a_row():
    seen = {id(o) for row in OPERATIONS for o in covered_by(row, max(row.orders))}
    operations = discover()
    assert len(operations) > 100
    assert [name for name, o in operations.items() if id(o) not in seen] == []


def test_every_public_function_of_nn_functional_has_a_row():
    elsewhere = {"one_hot", "conv_padding", "sigmoid", "tanh"}  # not theirs
    elsewhere |= {"reduction_of", "reduced", "same_shape"}
    names = {
        name
        for name, value in vars(F).items()
        if callable(value)
        and not name.startswith("_")
        and getattr(value, "__module__", "").startswith("tinynet.nn.function")
        and not isinstance(value, type)
        and not name.endswith("_with_indices")  # the function without it
    }
    titles = [row.name for row in OPERATIONS]
    assert [n for n in sorted(names - elsewhere) if not any(t.startswith(n) for t in titles)] == []


def test_names_are_unique():
    names = [row.name for row in OPERATIONS]
    assert len(names) == len(set(names))
