"""The pytest plugin: a fixture and a marker that check derivatives.

    def test_by_fixture(gradcheck):
        gradcheck(my_function, (x,))                  # gradcheck.second(...) for the second order

    @pytest.mark.gradcheck(order=2, rtol=1e-5)        # keywords as of tinynet.autograd.gradcheck
    def test_by_marker():
        return my_function, (x,)                      # or: function, inputs, {"vjp": vjp}

A failing check prints its lesson. A marked test that checked nothing fails. tinynet is imported
when the first check runs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line(
        "markers",
        "gradcheck(order=1, **settings): check the derivative of the function and inputs that the "
        "test returns, or set what the gradcheck fixture uses",
    )


class Checker:
    """What the fixture hands out: callable as `gradcheck` is; `second` is `gradgradcheck`."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings = settings
        self.used = 0

    def __call__(self, func: Callable[..., Any], inputs: Any, **settings: Any) -> bool:
        """Fail the test with the lesson unless the derivative is right."""
        __tracebackhide__ = True
        chosen = {"order": 1, **self.settings, **settings}
        order = chosen.pop("order")
        self.used += 1
        from ..autograd.gradcheck import GradcheckError, check

        try:
            report = check(func, inputs, order=order, **chosen)
        except GradcheckError as error:
            lesson = str(error)
        else:
            if report:
                return True
            lesson = report.text()
        pytest.fail(lesson, pytrace=False)

    def second(self, func: Callable[..., Any], inputs: Any, **settings: Any) -> bool:
        """The same for the second derivative."""
        __tracebackhide__ = True
        return self(func, inputs, order=2, **settings)


def _settings(item: pytest.Item) -> dict[str, Any]:
    """The keywords of the markers, the closest last."""
    chosen: dict[str, Any] = {}
    for marker in reversed(list(item.iter_markers("gradcheck"))):
        if marker.args:
            raise pytest.UsageError(
                f"{item.nodeid}: the gradcheck marker takes keywords only, such as order=2"
            )
        chosen.update(marker.kwargs)
    return chosen


@pytest.fixture
def gradcheck(request: pytest.FixtureRequest) -> Checker:
    """Checks derivatives: gradcheck(function, inputs), gradcheck.second(function, inputs)."""
    return Checker(_settings(request.node))


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a marked test and check what it returns."""
    __tracebackhide__ = True
    if pyfuncitem.get_closest_marker("gradcheck") is None:
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    given = pyfuncitem.obj(**arguments)
    checker = arguments.get("gradcheck")
    if given is None:
        if not isinstance(checker, Checker) or not checker.used:
            pytest.fail(
                "gradcheck: nothing was checked: a test marked gradcheck returns (function, "
                "inputs), or calls the gradcheck fixture",
                pytrace=False,
            )
        return True
    if not isinstance(given, tuple) or len(given) not in (2, 3) or not callable(given[0]):
        pytest.fail(
            "gradcheck: a test marked gradcheck returns (function, inputs) or (function, inputs, "
            f"settings), not {type(given).__name__}",
            pytrace=False,
        )
    Checker(_settings(pyfuncitem))(given[0], given[1], **(given[2] if len(given) == 3 else {}))
    return True
