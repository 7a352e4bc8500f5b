"""Whether operations are recorded: `no_grad`, `enable_grad`, `set_grad_enabled`."""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


class _Mode(threading.local):
    """Each thread records, or does not, on its own (a loader thread never disturbs training)."""

    enabled = True


mode = _Mode()


def is_grad_enabled() -> bool:
    """True where operations on tensors that require a gradient are recorded."""
    return mode.enabled


class _GradMode:
    """A context manager and a decorator that sets recording and puts it back as it was."""

    def __init__(self, enabled: bool) -> None:
        self.enabled = enabled
        self._before: list[bool] = []

    def __enter__(self) -> None:
        self._before.append(mode.enabled)
        mode.enabled = self.enabled

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        mode.enabled = self._before.pop()

    def __call__(self, function: F) -> F:
        if inspect.isgeneratorfunction(function):
            # The mode must hold while the generator runs, not while its caller does.
            @functools.wraps(function)
            def generate(*args: Any, **kwargs: Any) -> Any:
                generator = function(*args, **kwargs)
                answer = None
                while True:
                    with _GradMode(self.enabled):
                        try:
                            item = generator.send(answer)
                        except StopIteration as stop:
                            return stop.value
                    answer = yield item

            return generate  # type: ignore[return-value]

        @functools.wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:
            with _GradMode(self.enabled):
                return function(*args, **kwargs)

        return run  # type: ignore[return-value]


class no_grad(_GradMode):
    """Operations inside are not recorded; also a decorator, with or without parentheses."""

    def __new__(cls, function: F | None = None) -> Any:
        return super().__new__(cls) if function is None else cls()(function)

    def __init__(self) -> None:
        super().__init__(False)


class enable_grad(_GradMode):
    """Operations inside are recorded, even within `no_grad`."""

    def __new__(cls, function: F | None = None) -> Any:
        return super().__new__(cls) if function is None else cls()(function)

    def __init__(self) -> None:
        super().__init__(True)


class set_grad_enabled(_GradMode):
    """Switch recording on or off: at once as a plain call, or for a `with` block."""

    def __init__(self, mode_: bool) -> None:
        super().__init__(bool(mode_))
        self._at_call = mode.enabled
        mode.enabled = self.enabled

    def __enter__(self) -> None:
        self._before.append(self._at_call)
        mode.enabled = self.enabled

    def __call__(self, function: F) -> F:
        mode.enabled = self._at_call  # used as a decorator: only the function's calls are meant
        return super().__call__(function)


class inference_mode(_GradMode):
    """As `no_grad` (tinynet keeps no bookkeeping that inference could save further)."""

    def __new__(cls, mode: Any = True) -> Any:
        return super().__new__(cls) if isinstance(mode, bool) else cls()(mode)

    def __init__(self, mode: bool = True) -> None:
        super().__init__(not mode)
