"""The ledger of backprop as a page: the graph in layers, and both passes step by step."""

from __future__ import annotations

import os
from typing import Any

from ...autograd.formula import Formula
from ...autograd.ledger import Contribution, Leaf, Ledger, Numbers, Step, Visit
from .shell import summary, write_page


def save(ledger: Ledger, path: str | os.PathLike[str]) -> None:
    """Write the page."""
    write_page(
        path,
        title="The ledger of backprop",
        body="ledger.html",
        data=page_data(ledger),
        styles=("shell.css", "ledger.css"),
        scripts=("vendor/dagre.min.js", "vendor/d3.min.js", "shell.js", "ledger.js"),
    )


def page_data(ledger: Ledger) -> dict[str, Any]:
    """What the page shows; arrays are listed once and referred to by their place in the list."""
    return _Writer(ledger).data


class _Writer:
    def __init__(self, ledger: Ledger) -> None:
        self.arrays: list[dict[str, Any]] = []
        self.places: dict[Numbers, int] = {}
        self.ids: dict[Any, str] = {}
        self.ids.update((leaf, f"leaf{i}") for i, leaf in enumerate(ledger.leaves))
        self.ids.update((step, f"step{i}") for i, step in enumerate(ledger.steps))
        events = ledger.events
        self.event_numbers = {event: i for i, event in enumerate(events)}
        self.data = {
            "missing": ledger.missing,
            "remembered": ledger.remembered_bytes,
            "steps": [self.step(step) for step in ledger.steps],
            "leaves": [self.leaf(leaf) for leaf in ledger.leaves],
            "events": [
                self.visit(event)
                if isinstance(event, Visit)
                else {"kind": "forward", "at": self.ids[event]}
                for event in events
            ],
            "arrays": self.arrays,
        }

    def array(self, given: Numbers | None) -> int | None:
        if given is None:
            return None
        if given not in self.places:
            self.places[given] = len(self.arrays)
            self.arrays.append(summary(given))
        return self.places[given]

    def leaf(self, leaf: Leaf) -> dict[str, Any]:
        return {
            "id": self.ids[leaf],
            "name": leaf.name,
            "array": self.array(leaf.numbers),
            "wanted": leaf.requires_grad,
            "module": leaf.module,
        }

    def step(self, step: Step) -> dict[str, Any]:
        return {
            "id": self.ids[step],
            "operation": step.operation,
            "description": step.description,
            "node": step.name,
            "module": step.module,
            "kind": step.module_kind,
            "modules": step.modules,
            "source": step.source,
            "text": step.text,
            "variable": step.variable,
            "recorded": step.recorded,
            "early": step.from_tape,
            "parameters": {name: str(value) for name, value in step.parameters.items()},
            "inputs": [
                {
                    "name": given.name,
                    "origin": None if given.origin is None else self.ids[given.origin],
                    "array": self.array(given.numbers),
                    "wanted": given.wanted,
                    "variable": given.variable,
                }
                for given in step.inputs
                if given.numbers is not None or given.origin is not None
            ],
            "outputs": [self.array(output) for output in step.outputs],
            "formulas": [self.formula(f) for f in step.formulas if f is not None],
            "remembered": [
                {"name": r.name, "shape": r.shape, "bytes": r.nbytes} for r in step.remembered
            ],
            "during": None if step.during is None else self.event_numbers[step.during],
        }

    def formula(self, formula: Formula) -> dict[str, Any]:
        return {"arrives": formula.arrives, "lines": formula.lines, "where": formula.where}

    def contribution(self, sent: Contribution) -> dict[str, Any]:
        return {
            "source": None if sent.source is None else self.ids[sent.source],
            "input": sent.input,
            "target": self.ids[sent.target],
            "array": self.array(sent.numbers),
            "summed": sent.summed,
            "before": self.array(sent.before),
            "output": sent.output,
        }

    def visit(self, visit: Visit) -> dict[str, Any]:
        return {
            "kind": "backward",
            "at": self.ids[visit.at],
            "walk": visit.walk,
            "arrived": [self.array(given) for given in visit.arrived],
            "incoming": [self.contribution(sent) for sent in visit.incoming],
            "outgoing": [self.contribution(sent) for sent in visit.outgoing],
            "hooks": visit.hooks,
            "beforeHooks": self.array(visit.before_hooks),
            "operations": visit.operations,
            "end": visit.end,
        }
