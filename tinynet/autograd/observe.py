"""Watching the calculus at work: operations, the backward walk, modules, optimiser steps.

    class Count(Observer):
        number = 0

        def operation_begins(self, operation, inputs, parameters):
            self.number += 1

    with observing(Count()) as count:
        loss = model(x)

Nobody pays for this while nobody watches: nothing asks whether there is an observer. Instead other
functions stand in for the plain ones as long as there is one: each operation's own function (see
`differentiable`), and whatever a module has put under `stand_in`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

from . import engine, function, tape

observers: list[Observer] = []
O = TypeVar("O", bound="Observer")


class Observer:
    """Is told of what happens in any thread; each `begins` is followed by its `ends`.

    Calls are nested as the computation is: a pullback's operations come between the `node_begins`
    and the `node_ends` of their node. Where something fails, its `ends` gets None.
    """

    # Whether it wants to see the computation in the order in which it is written down, where
    # another gives the same results sooner (see nn.Sequential).
    as_written = True

    def operation_begins(self, operation: Any, inputs: tuple, parameters: dict[str, Any]) -> None:
        """An operation (or a Function, with its class) is about to compute its value."""

    def operation_ends(self, operation: Any, inputs: tuple, value: Any) -> None:
        """It has: `value` is an array or a tuple of them (a Function's: tensors).

        If it is recorded then its node is the first that this thread makes from now on, so a
        number drawn here from the tape's clock tells which one it is.
        """

    def recorded(self, node: tape.Node, result: Any) -> None:
        """The operation that ended just now was recorded: `result`, a tensor or a tuple, has it."""

    def walk_begins(self, roots: list[Any]) -> None:
        """Backward starts, from these (node, gradient)."""

    def walk_ends(self) -> None:
        """It has arrived everywhere."""

    def node_begins(self, node: tape.Node) -> None:
        """All contributions to this node's gradient have arrived; its pullbacks are called."""

    def node_ends(self, node: tape.Node) -> None:
        """Its inputs' gradients are on their way."""

    def fitted(self, node: tape.Node, edge: tape.Node, before: Any, after: Any) -> None:
        """What this node sends along the edge was summed to undo broadcasting, before -> after."""

    def module_begins(self, module: Any, args: tuple) -> None:
        """A module is called."""

    def module_ends(self, module: Any, result: Any) -> None:
        """It returns."""

    def step_begins(self, optimizer: Any) -> None:
        """An optimiser's `step` is called."""

    def step_ends(self, optimizer: Any) -> None:
        """It returns."""


@contextmanager
def observing(observer: O) -> Iterator[O]:
    """Tell the observer of everything that happens inside the block."""
    watch(observer)
    try:
        yield observer
    finally:
        unwatch(observer)


def watch(observer: Observer) -> None:
    """Tell the observer of everything from now on."""
    observers.append(observer)
    if len(observers) == 1:
        _install()


def unwatch(observer: Observer) -> None:
    """Tell it nothing more."""
    observers.remove(observer)
    if not observers:
        _remove()


# ------------------------------------------------------------------------------------- stand-ins

_stand_ins: list[tuple[Any, str, Callable[[Any], Any]]] = []
_undo: list[Callable[[], Any]] = []


def stand_in(owner: Any, name: str) -> Callable[[Callable[[Any], Any]], Callable[[Any], Any]]:
    """Decorator of a function that makes the observed `owner.name` out of the plain one."""

    def register(make: Callable[[Any], Any]) -> Callable[[Any], Any]:
        _stand_ins.append((owner, name, make))
        return make

    return register


def _install() -> None:
    for operation in list(tape.operations):
        plain = operation.exchange(None)
        operation.exchange(_observed(operation, plain))
        _undo.append(partial(operation.exchange, plain))
    for owner, name, make in _stand_ins:
        plain = vars(owner)[name]
        setattr(owner, name, make(plain))
        _undo.append(partial(setattr, owner, name, plain))


def _remove() -> None:
    while _undo:
        _undo.pop()()


def _observed(operation: Any, plain: Callable[..., Any]) -> Callable[..., Any]:
    """An operation's function that tells the observers."""

    def run(*inputs: Any, **parameters: Any) -> Any:
        watching = tuple(observers)
        for observer in watching:
            observer.operation_begins(operation, inputs, parameters)
        value = None
        try:
            value, pullbacks = plain(*inputs, **parameters)
            return value, pullbacks
        finally:
            for observer in reversed(watching):
                observer.operation_ends(operation, inputs, value)

    return run


class _Visit:
    """Which node a walk is at."""

    def __init__(self, watching: tuple[Observer, ...], outer: _Visit | None) -> None:
        self.watching, self.outer = watching, outer
        self.node: tape.Node | None = None

    def enter(self, node: tape.Node) -> None:
        self.node = node
        for observer in self.watching:
            observer.node_begins(node)

    def leave(self) -> None:
        if self.node is not None:
            for observer in reversed(self.watching):
                observer.node_ends(self.node)


class _Walks(threading.local):
    """The innermost walk of each thread: a pullback may walk a graph of its own."""

    current: _Visit | None = None


_walks = _Walks()


@stand_in(function, "run_forward")
def _observed_function(plain: Callable[..., Any]) -> Callable[..., Any]:
    def run(cls: Any, ctx: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
        watching = tuple(observers)
        for observer in watching:
            observer.operation_begins(cls, args, kwargs)
        result = None
        try:
            result = plain(cls, ctx, args, kwargs)
            return result
        finally:
            for observer in reversed(watching):
                observer.operation_ends(cls, args, result)

    return run


@stand_in(tape, "tie")
def _observed_tie(plain: Callable[..., Any]) -> Callable[..., Any]:
    def tie(node: tape.Node, result: Any) -> None:
        plain(node, result)
        for observer in tuple(observers):
            observer.recorded(node, result)

    return tie


@stand_in(engine, "_fitted")
def _observed_fitted(plain: Callable[..., Any]) -> Callable[..., Any]:
    def fitted(gradient: Any, edge: Any, node: tape.Node) -> Any:
        result = plain(gradient, edge, node)
        if result is not gradient:
            for observer in tuple(observers):
                observer.fitted(node, edge, gradient, result)
        return result

    return fitted


@stand_in(engine, "walk")
def _observed_walk(plain: Callable[..., Any]) -> Callable[..., Any]:
    """A node is visited from the `heappop` that took it to the next one, or the walk's end."""

    def walk(roots: Any, **options: Any) -> Any:
        watching = tuple(observers)
        for observer in watching:
            observer.walk_begins(roots)
        visit = _Visit(watching, _walks.current)
        _walks.current = visit
        try:
            return plain(roots, **options)
        finally:
            visit.leave()
            _walks.current = visit.outer
            for observer in reversed(watching):
                observer.walk_ends()

    return walk


@stand_in(engine, "heappop")
def _observed_heappop(plain: Callable[..., Any]) -> Callable[..., Any]:
    def pop(waiting: Any) -> Any:
        item = plain(waiting)
        visit = _walks.current
        if visit is not None:  # else the walk began before there was an observer
            visit.leave()
            visit.enter(item[1])
        return item

    return pop
