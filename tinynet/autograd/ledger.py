"""The ledger of backprop: what each step of a forward and a backward pass did, as data.

`trace.py` writes it; it prints as text, shows as a table in a notebook and saves as a page.
"""

from __future__ import annotations

import difflib
import html
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import numpy as np

from .formula import Formula

PICTURE = 16  # the side of the thumbnail of an array that is too large to be shown


@dataclass(eq=False)
class Numbers:
    """What is kept of an array: all of it where it is small, else its size and a thumbnail."""

    shape: tuple[int, ...]
    dtype: str
    nbytes: int
    norm: float  # sqrt(sum of squares)
    mean: float
    minimum: float
    maximum: float
    values: np.ndarray | None = None  # a copy, if the array is small
    picture: np.ndarray | None = None  # else a few rows and columns of its first plane

    @staticmethod
    def of(array: Any, small: int) -> Numbers:
        """Read an array (NumPy's or CuPy's) now; what happens to it later does not matter."""
        array = array.get() if hasattr(array, "get") else np.asarray(array)
        size = array.size
        summary = Numbers(array.shape, str(array.dtype), array.nbytes, 0.0, 0.0, 0.0, 0.0)
        if size <= small:
            summary.values = array.copy()
        else:
            summary.picture = _thumbnail(array)
        if size:
            with np.errstate(all="ignore"):  # infinities are shown, not warned of
                flat = array.ravel() if array.dtype.kind == "f" else array.ravel().astype(float)
                summary.norm = float(np.einsum("i,i->", flat, flat, dtype=np.float64)) ** 0.5
                summary.mean = float(flat.mean(dtype=np.float64))
                summary.minimum, summary.maximum = float(flat.min()), float(flat.max())
        return summary

    def __str__(self) -> str:
        shape = sizes(self.shape)
        if self.values is not None and self.values.size <= 6:
            text = np.array2string(self.values, precision=4, separator=", ", suppress_small=True)
            return f"{shape} = {' '.join(text.split())}"
        return f"{shape}, norm {self.norm:.4g}"


def sizes(shape: tuple[int, ...]) -> str:
    """(2, 3) as 2x3."""
    return "x".join(map(str, shape)) or "number"


def _thumbnail(array: np.ndarray) -> np.ndarray:
    while array.ndim > 2:
        array = array[0]
    plane = np.atleast_2d(array)
    rows, columns = (np.unique(np.linspace(0, n - 1, PICTURE).astype(int)) for n in plane.shape)
    return plane[np.ix_(rows, columns)].astype(np.float32)


@dataclass(eq=False)
class Leaf:
    """A tensor that no recorded step made: data or a parameter."""

    name: str  # "features.0.weight", or the variable's name in the program
    numbers: Numbers
    requires_grad: bool
    module: str | None = None  # of a parameter
    visits: list[Visit] = field(default_factory=list)

    def __str__(self) -> str:
        return self.name or ("a leaf" if self.requires_grad else "a constant")


@dataclass(eq=False)
class Input:
    """One operand of a step."""

    name: str  # in the operation's own code: x, w, bias
    origin: Step | Leaf | None  # what made it; None for an operand that was left out
    numbers: Numbers | None  # None where the tape alone does not know
    wanted: bool  # True if it gets a gradient
    variable: str = ""  # its name in the program, if it has one


@dataclass(eq=False)
class Remembered:
    """A value that the tape keeps for backward."""

    name: str
    shape: tuple[int, ...]
    nbytes: int


@dataclass(eq=False)
class Contribution:
    """A gradient on its way from a step to the origin of one of its inputs."""

    source: Step | None  # None: where backward was started
    input: str  # the name of the source's input that this is the gradient of
    target: Step | Leaf
    numbers: Numbers  # as it was delivered
    formula: Formula | None = None
    summed: tuple[int, ...] = ()  # axes summed to undo broadcasting
    before: Numbers | None = None  # what it was before that
    output: int = 0  # which output of the target it belongs to


@dataclass(eq=False)
class Visit:
    """Backward at one step (or leaf): what arrived and what was sent on."""

    number: int  # on the tape's clock, as a Step's
    at: Step | Leaf
    walk: int  # which backward pass, counted from 0
    incoming: list[Contribution]  # their sum is what arrived
    arrived: list[Numbers | None] = field(default_factory=list)  # one per output
    hooks: int = 0  # how many hooks saw it
    before_hooks: Numbers | None = None
    outgoing: list[Contribution] = field(default_factory=list)
    operations: list[str] = field(default_factory=list)  # what ran to compute them
    end: str = ""  # at a leaf: what became of the gradient


@dataclass(eq=False)
class Step:
    """One operation of the forward pass, and what backward did with it."""

    number: int  # on the tape's clock, so that events can be put in order
    operation: str
    description: str  # of the operation, from its own docstring
    inputs: list[Input]
    parameters: dict[str, Any]
    outputs: list[Numbers | None]  # None where the tape alone does not know
    module: str | None = None  # the path: "features.3"
    module_kind: str = ""  # its class
    modules: tuple[tuple[str, str], ...] = ()  # (path, class) of it and of those around it
    file: str = ""
    line: int = 0
    text: str = ""  # of that line
    variable: str = ""  # the result's name in the program, if it got one
    recorded: bool = False  # False: nothing on the tape (no_grad, or no input requires grad)
    name: str = ""  # of its node: "MulBackward0"
    formulas: list[Formula | None] = field(default_factory=list)  # one per input, or for all
    remembered: list[Remembered] = field(default_factory=list)
    during: Visit | None = None  # the visit that ran it, in a backward pass that is recorded
    from_tape: bool = False  # it ran before the trace began
    visits: list[Visit] = field(default_factory=list)

    @property
    def source(self) -> str:
        """`train.py:12`, where the program called it."""
        if "ipykernel" in self.file:  # a cell of a notebook has a made-up name
            return f"cell:{self.line}"
        return f"{os.path.basename(self.file)}:{self.line}" if self.file else ""

    @property
    def remembered_bytes(self) -> int:
        return sum(r.nbytes for r in self.remembered)

    def __str__(self) -> str:
        return "\n".join(_step_lines(self))


class Ledger:
    """The steps of a traced computation, oldest first.

    Iterating gives the `Step`s; `ledger.events` has the visits of backward among them, in the
    order they happened. `ledger["conv2d"]` gives the steps of an operation, a module, a variable
    or a line ("train.py:12"); `ledger.find("conv")` those where the text occurs anywhere.
    """

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.leaves: list[Leaf] = []
        self.visits: list[Visit] = []

    def __iter__(self) -> Iterator[Step]:
        return iter(self.steps)

    def __len__(self) -> int:
        return len(self.steps)

    def __getitem__(self, key: int | str) -> Any:
        """Step number `key` as printed (from 0), or the list of steps of that name."""
        if isinstance(key, int):
            return self.steps[key]
        found = [step for step in self.steps if key in _keys(step)]
        if not found:
            known = sorted({k for step in self.steps for k in _keys(step) if k})
            near = difflib.get_close_matches(key, known, 3) or known[:8]
            raise KeyError(
                f"no step has the name {key!r}; there are {', '.join(map(repr, near))}, ..."
            )
        return found

    def find(self, text: str) -> list[Step]:
        """The steps in whose names, source line or description the text occurs."""
        text = text.lower()
        return [
            step
            for step in self.steps
            if any(text in k.lower() for k in (*_keys(step), step.text, step.description))
        ]

    @property
    def events(self) -> list[Step | Visit]:
        """Steps and visits in the order they happened."""
        return sorted([*self.steps, *self.visits], key=lambda event: event.number)

    @property
    def remembered_bytes(self) -> int:
        """What the tape kept for backward; a value that several steps keep counts for each."""
        return sum(step.remembered_bytes for step in self.steps)

    @property
    def missing(self) -> list[str]:
        """What this ledger cannot say, in sentences."""
        blind = sum(step.from_tape for step in self.steps)
        if not blind:
            return []
        return [
            f"{blind} of {len(self.steps)} steps ran before the trace began. The tape alone knows "
            "their operation, their derivative and what is remembered; it does not know the "
            "line that called them, their module, or values that backward does not need.",
            "Operations that the tape did not record are not here at all.",
            "For the whole ledger put `with tinynet.autograd.trace() as ledger:` around the "
            "forward pass too.",
        ]

    def index(self, step: Step) -> int:
        """The number that a step is printed with."""
        return next(i for i, s in enumerate(self.steps) if s is step)

    def __str__(self) -> str:
        lines = [f"{len(self.steps)} steps, {self.remembered_bytes:,} bytes remembered"]
        lines += [f"! {sentence}" for sentence in self.missing]
        numbers = {id(step): i for i, step in enumerate(self.steps)}
        backward = None
        for event in self.events:
            inside = isinstance(event, Visit) or event.during is not None
            if inside != backward:
                lines += ["", "backward" if inside else "forward"]
                backward = inside
            lines += _step_lines(event, numbers) if isinstance(event, Step) else ()
            lines += _visit_lines(event, numbers) if isinstance(event, Visit) else ()
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """A row per step, as notebooks show it."""
        heads = ("", "operation", "where", "output", "derivative", "arrived", "sent", "remembers")
        rows = []
        for i, step in enumerate(self.steps):
            texts = [str(f) for f in step.formulas if f is not None]
            arrived = [str(n) for v in step.visits for n in v.arrived if n is not None]
            sent = [f"d{c.input}: {c.numbers}" for v in step.visits for c in v.outgoing]
            cells = (
                [str(i)],
                [step.operation, step.module or ""],
                [step.source, step.text],
                [str(n) for n in step.outputs if n is not None],
                texts,
                arrived,
                sent,
                [f"{r.name} {sizes(r.shape)}" for r in step.remembered],
            )
            rows.append("".join(f"<td>{'<br>'.join(map(html.escape, c))}</td>" for c in cells))
        head = "".join(f"<th>{h}</th>" for h in heads)
        body = "".join(f"<tr>{row}</tr>" for row in rows)
        notes = "".join(f"<p>{html.escape(sentence)}</p>" for sentence in self.missing)
        return f"{notes}<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write one HTML page that replays the passes; it needs no network and no server."""
        # Pages are drawn two floors above the tape, which therefore cannot import them by name.
        import_module("tinynet.viz.pages.ledger").save(self, path)


def _keys(step: Step) -> tuple[str, ...]:
    names = (i.variable for i in step.inputs)
    return step.operation, step.name, step.module or "", step.variable, step.source, *names


def _step_lines(step: Step, numbers: dict[int, int] | None = None) -> list[str]:
    numbers = numbers or {}
    where = [w for w in (step.module, step.source, step.text) if w]
    head = f"{numbers.get(id(step), ''):>4}  {step.operation}"
    lines = [f"{head:<22}  {'  |  '.join(where)}".rstrip()]
    for given in step.inputs:
        if given.numbers is not None or given.origin is not None:
            origin = given.variable or _origin(given.origin, numbers)
            lines.append(f"        {given.name:<8} {given.numbers or '?'}  ({origin})")
    for output in step.outputs:
        made = f" = {step.variable}" if step.variable else ""
        lines.append(f"        -> {output or '?'}{made}")
    if not step.recorded:
        lines.append("        not on the tape: no gradient is wanted here")
    if step.remembered:
        kept = ", ".join(f"{r.name} ({sizes(r.shape)})" for r in step.remembered)
        lines.append(f"        remembers {kept}: {step.remembered_bytes:,} bytes")
    return lines


def _visit_lines(visit: Visit, numbers: dict[int, int]) -> list[str]:
    at = visit.at
    if isinstance(at, Leaf):
        head = f"      {at}.grad"
    else:
        head = f"{numbers.get(id(at), ''):>4}  {at.operation} backward"
    lines = [head + (f"  |  {at.module}" if isinstance(at, Step) and at.module else "")]
    given = isinstance(at, Step) and next((f for f in at.formulas if f is not None), None)
    name = given.arrives if given else "gradient"
    for i, arrived in enumerate(visit.arrived):
        if arrived is None:
            continue
        parts = [c for c in visit.incoming if c.output == i]
        start = all(c.source is None for c in parts)
        sums = "where backward starts" if start else _sum_of(parts, numbers)
        which = f"[{i}]" if len(visit.arrived) > 1 else ""
        lines.append(f"        {name + which:<8} {arrived}  ({sums})")
    if visit.hooks:
        before = f"; before them it was {visit.before_hooks}" if visit.before_hooks else ""
        lines.append(f"        {visit.hooks} hook(s) saw it{before}")
    shown: list[Formula] = []
    for sent in visit.outgoing:
        if sent.formula is not None and sent.formula not in shown:
            shown.append(sent.formula)
            lines += [f"        {line}" for line in sent.formula.lines]
            lines += [f"            {n}: {text}" for n, text in sent.formula.where.items()]
        lines.append(f"        d{sent.input:<7} {sent.numbers}  -> {_origin(sent.target, numbers)}")
        if sent.summed:
            axes = ", ".join(map(str, sent.summed))
            was = sizes(sent.before.shape) if sent.before else "?"
            lines.append(f"                 summed over axes {axes} of {was}, to undo broadcasting")
    if visit.end:
        lines.append(f"        {visit.end}")
    return lines


def _sum_of(parts: list[Contribution], numbers: dict[int, int]) -> str:
    names = [
        f"{_origin(c.source, numbers)} ({c.input})" if c.source else "the start" for c in parts
    ]
    return f"from {names[0]}" if len(names) == 1 else f"sum of {len(names)}: {' + '.join(names)}"


def _origin(origin: Step | Leaf | None, numbers: dict[int, int]) -> str:
    if isinstance(origin, Step):
        return f"step {numbers.get(id(origin), '?')}, {origin.operation}"
    return "not known" if origin is None else str(origin)
