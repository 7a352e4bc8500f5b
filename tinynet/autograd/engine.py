"""Backward: walk the tape from the newest node to the oldest, carrying gradients along its edges.

A node's number says when it was made, and an operation is always made after its inputs, so taking
the newest waiting node first guarantees that every contribution to a node's gradient has arrived
before the node itself is visited. A heap does that without recursion and without a sort.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush
from typing import Any

from ..device import xp_of
from . import layout
from .mode import _GradMode, mode
from .tape import (
    AccumulateGrad,
    Node,
    Output,
    TensorBase,
    mark_modified,
    modified_latest,
    node_of,
    wrap,
)


def backward(
    tensors: TensorBase | Sequence[TensorBase],
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    grad_variables: Any = None,  # the old name of grad_tensors
    inputs: TensorBase | Sequence[TensorBase] | None = None,
) -> None:
    """Add d(sum of <tensor, grad_tensor>)/d(leaf) to the `.grad` of every leaf (or of `inputs`)."""
    roots = _roots(tensors, grad_variables if grad_tensors is None else grad_tensors)
    keep = create_graph if retain_graph is None else retain_graph
    if inputs is None:
        walk(roots, keep=keep, create_graph=create_graph)
        return
    targets = [inputs] if isinstance(inputs, TensorBase) else list(inputs)
    if not targets:
        raise RuntimeError("backward: 'inputs' argument cannot be empty")
    nodes = [_wanted_node(t, "backward") for t in targets]
    found = walk(roots, keep=keep, create_graph=create_graph, wanted=set(nodes))
    for target, node in zip(targets, nodes, strict=True):
        if node in found:
            _accumulate(target, found[node], create_graph)


def grad(
    outputs: TensorBase | Sequence[TensorBase],
    inputs: TensorBase | Sequence[TensorBase],
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple[Any, ...]:
    """d(sum of <output, grad_output>)/d(input) for each input, without touching any `.grad`.

    create_graph: record the backward pass, so that the result can be differentiated again.
    allow_unused: give None for an input that the outputs do not depend on, instead of an error.
    materialize_grads: give zeros for such an input.
    is_grads_batched: grad_outputs have a dimension in front, and so have the results: one walk for
        each of them.
    only_inputs: must be True, as in PyTorch; `backward` adds to the other leaves.
    """
    if not only_inputs:
        raise ValueError("grad: only_inputs=False is no more; use backward to add to all leaves.")
    if is_grads_batched:
        return _grad_batched(
            outputs, inputs, grad_outputs, create_graph, allow_unused, materialize_grads
        )
    targets = [inputs] if isinstance(inputs, TensorBase) else list(inputs)
    nodes = [_wanted_node(t, "grad") for t in targets]
    keep = create_graph if retain_graph is None else retain_graph
    roots = _roots(outputs, grad_outputs)
    found = walk(roots, keep=keep, create_graph=create_graph, wanted=set(nodes))
    results = []
    for i, (target, node) in enumerate(zip(targets, nodes, strict=True)):
        result = found.get(node)
        if result is None and materialize_grads:
            result = wrap(xp_of(target.array).zeros_like(target.array))
        elif result is None and not allow_unused:
            raise RuntimeError(
                f"grad: One of the differentiated Tensors (input {i}, of shape "
                f"{list(target.array.shape)}) appears to not have been used in the graph. Set "
                "allow_unused=True if this is the desired behavior."
            )
        results.append(result)
    return tuple(results)


def _grad_batched(
    outputs: Any, inputs: Any, grad_outputs: Any, create_graph: bool, *options: Any
) -> tuple[Any, ...]:
    """`grad` for each row of grad_outputs, stacked."""
    batches: list[Any] = (
        [grad_outputs] if isinstance(grad_outputs, TensorBase) else list(grad_outputs)
    )
    rows = [
        grad(
            outputs,
            inputs,
            [b[i] for b in batches],
            True,
            create_graph,
            True,
            options[0],
            False,
            options[1],
        )
        for i in range(batches[0].array.shape[0])
    ]
    results: list[Any] = []
    for column in zip(*rows, strict=True):
        if column[0] is None:
            results.append(None)
            continue
        first = column[0].array
        stacked = wrap(xp_of(first).zeros((len(column), *first.shape), first.dtype))
        for i, row in enumerate(column):
            stacked[i] = row
        results.append(stacked)
    return tuple(results)


def walk(
    roots: list[tuple[Node, Any]],
    *,
    keep: bool,
    create_graph: bool,
    wanted: set[Node] | None = None,
) -> dict[Node, Any]:
    """Carry the roots' gradients back through the tape.

    Without `wanted`, gradients end in the `.grad` of the leaves. With it, nothing is accumulated:
    the gradients at those nodes are returned, and only nodes on the way to them are visited.
    """
    found: dict[Node, Any] = {}
    waiting: list[tuple[int, Any]] = []  # a heap of nodes, the newest first
    gradients: dict[Node, Any] = {}  # what has arrived at each waiting node, summed
    needed = None if wanted is None else _on_the_way([node for node, _ in roots], wanted)

    def deliver(node: Any, gradient: Any) -> None:
        """Add a contribution to a node's gradient, and let the node wait for its turn."""
        held = gradients.get(node)
        if held is None:
            gradients[node] = gradient
            heappush(waiting, (-node.number, node))
        elif held._mine and not create_graph:
            held.array += gradient.array
        else:
            gradients[node] = held = held + gradient
            held._mine = True

    with _GradMode(create_graph):
        for node, gradient in roots:
            if needed is None or node in needed:
                deliver(node, gradient)
        while waiting:
            node = heappop(waiting)[1]
            dy = gradients.pop(node)
            if node.hooks is not None or node.retained is not None:
                dy = _run_hooks(node, dy)
            if wanted is not None:
                if node in wanted:
                    dy._mine = False  # the caller will hold it
                    found[node] = dy
                if needed.isdisjoint(node.edges):  # type: ignore[union-attr]
                    continue
            kind = node.__class__
            if kind is AccumulateGrad:
                _finish(node, dy, create_graph)
                continue
            if kind is Output:  # one of several: waits at the operation for the others
                source = node.source
                if source not in gradients:
                    gradients[source] = [None] * len(source.outputs)
                    heappush(waiting, (-source.number, source))
                held = gradients[source][node.index]
                gradients[source][node.index] = dy if held is None else held + dy
                continue

            if node.pullbacks is None:
                raise _walked_twice(node)
            if modified_latest[0] > node.number:
                node.check_unchanged()
            if kind is Node:
                for edge, pullback in zip(node.edges, node.pullbacks):
                    if pullback is None or (needed is not None and edge not in needed):
                        continue
                    if node.output is None or pullback.__code__.co_argcount == 1:
                        dx = pullback(dy)
                    else:
                        dx = pullback(dy, node.output_tensor())
                    if dx.array.shape != edge.shape or dx.array.dtype is not edge.dtype:
                        dx = _fitted(dx, edge, node)
                    else:
                        # Fresh from an operation, unless it is dy itself or a view of something.
                        dx._mine = dx is not dy and dx._storage is None
                    deliver(edge, dx)
            else:
                for edge, dx in zip(node.edges, _pull_joint(node, dy)):
                    if edge is not None and dx is not None and (needed is None or edge in needed):
                        deliver(edge, _fitted(dx, edge, node))
            if not keep:
                node.release()
    return found


def _walked_twice(node: Node) -> RuntimeError:
    return RuntimeError(
        f"Trying to backward through the graph a second time: {node.name()} has freed what it "
        "remembered. Call backward(retain_graph=True) or grad(retain_graph=True) the first time, "
        "or compute the forward pass again."
    )


def _pull_joint(node: Node, dy: Any) -> Sequence[Any]:
    """The gradients of all inputs, from a node with one pullback for all of them."""
    arrived = dy if node.outputs else [dy]
    if getattr(node.pullbacks, "wants_zeros", True):
        some = next(dy for dy in arrived if dy is not None).array
        for i, dy in enumerate(arrived):
            if dy is None:
                arrived[i] = wrap(xp_of(some).zeros(*node.outputs[i]))
    given = node.pullbacks(*arrived)
    for hook in list((node.post_hooks or {}).values()):
        hook(given, tuple(arrived))
    return given


def _fitted(gradient: Any, edge: Any, node: Node) -> Any:
    """The gradient in its input's shape: the one place where broadcasting is undone.

    y = x broadcast along an axis uses each element of x several times; dx is the sum over them.
    """
    array, shape = gradient.array, edge.shape
    if array.dtype is not edge.dtype and array.dtype != edge.dtype:
        raise RuntimeError(
            f"{node.name()}: the gradient it returned has dtype {array.dtype}, but its input has "
            f"dtype {edge.dtype}; return the gradient in the input's dtype."
        )
    if array.shape == shape:
        return gradient
    extra = array.ndim - len(shape)
    if extra > 0 and array.shape[extra:] == shape:  # the usual case: a bias, say
        return gradient.sum(tuple(range(extra)))
    if extra < 0 or any(n not in (1, array.shape[i + extra]) for i, n in enumerate(shape)):
        raise RuntimeError(
            f"{node.name()} returned an invalid gradient: its shape {list(array.shape)} is not "
            f"that of the input, {list(shape)}, nor one that broadcasting made of it."
        )
    gradient = gradient.sum(tuple(range(extra))) if extra else gradient
    stretched = tuple([i for i, n in enumerate(shape) if n != array.shape[i + extra]])
    return gradient.sum(stretched, keepdim=True)


def _finish(node: Any, gradient: Any, create_graph: bool) -> None:
    """A gradient has reached its leaf."""
    leaf = node.variable
    if leaf is not None:
        _accumulate(leaf, gradient, create_graph)
        for hook in list((node.post_hooks or {}).values()):
            hook(leaf)


def _accumulate(leaf: Any, gradient: Any, create_graph: bool) -> None:
    """leaf.grad += gradient, in an array that nothing else holds."""
    if leaf.grad is None:
        if not create_graph:
            fresh = gradient._mine and gradient._storage is None
            kept = wrap(gradient.array if fresh else gradient.array.copy())
        else:
            kept = gradient.clone() if layout.seen[0] else gradient
        leaf.grad = layout.as_gradient_of(leaf, kept, leaf._node.__class__ is AccumulateGrad)
        gradient._mine = False
    elif create_graph:
        leaf.grad = leaf.grad + gradient
    else:
        leaf.grad.array += gradient.array
        mark_modified(leaf.grad, "backward")


def _run_hooks(node: Node, dy: Any) -> Any:
    """Hooks may look at the output's gradient or replace it; then `retain_grad` keeps it."""
    for hook in list((node.hooks or {}).values()):
        dy._mine = False  # the hook may keep it
        replacement = hook(dy)
        if replacement is not None:
            array = replacement.array
            if array.shape != node.shape or array.dtype != node.dtype:
                raise RuntimeError(
                    f"hook on the output of {node.name()}: the gradient it returned has shape "
                    f"{list(array.shape)} and dtype {array.dtype}, but the tensor has "
                    f"{list(node.shape)} and {node.dtype}."
                )
            dy = replacement
            dy._mine = False
    tensor = None if node.retained is None else node.retained()
    if tensor is not None:
        dy._mine = False
        _accumulate(tensor, dy, mode.enabled)
    return dy


def behind(roots: Sequence[Node]) -> list[Node]:
    """The nodes that the roots were computed with, the roots included, oldest first."""
    seen: set[Node] = set()
    stack: list[Node | None] = list(roots)
    while stack:
        node = stack.pop()
        if node is not None and node not in seen:
            seen.add(node)
            stack.extend(node.edges)
    return sorted(seen, key=lambda node: node.number)


def _on_the_way(roots: list[Node], wanted: set[Node]) -> set[Node]:
    """The nodes from which a wanted node can be reached, those themselves included."""
    needed = set(wanted)
    for node in behind(roots):  # inputs before what uses them
        if not needed.isdisjoint(node.edges):
            needed.add(node)
    return needed


def _roots(tensors: Any, gradients: Any) -> list[tuple[Node, Any]]:
    """(node, gradient) of each tensor that backward starts from."""
    tensors = [tensors] if isinstance(tensors, TensorBase) else list(tensors)
    given = [None] * len(tensors) if gradients is None else gradients
    gradients = [given] if isinstance(given, TensorBase) else list(given)
    if len(gradients) != len(tensors):
        raise RuntimeError(
            f"got {len(tensors)} tensors and {len(gradients)} gradients; give one for each"
        )
    roots = []
    for i, (tensor, gradient) in enumerate(zip(tensors, gradients, strict=True)):
        node = node_of(tensor)
        if node is None:
            raise RuntimeError(
                f"element {i} of tensors does not require grad and does not have a grad_fn: "
                "nothing was recorded for this tensor. Was it computed under no_grad(), detached, "
                "or from tensors none of which has requires_grad=True?"
            )
        shape = tensor.array.shape
        if gradient is None:
            if tensor.array.size != 1:
                raise RuntimeError(
                    "grad can be implicitly created only for scalar outputs: this tensor has "
                    f"shape {list(shape)}. Reduce it first (loss.sum() or loss.mean()), or pass "
                    "backward(gradient) with a gradient of that shape."
                )
            gradient = wrap(xp_of(tensor.array).ones_like(tensor.array))
            gradient._mine = True
        elif gradient.array.shape != shape:
            raise RuntimeError(
                f"Mismatch in shape: the gradient has shape {list(gradient.array.shape)} and the "
                f"tensor it belongs to has shape {list(shape)}."
            )
        elif gradient.array.dtype != tensor.array.dtype:
            gradient = gradient.to(tensor.array.dtype)
        roots.append((node, gradient))
    return roots


def _wanted_node(tensor: TensorBase, name: str) -> Node:
    node = node_of(tensor)
    if node is None:
        raise RuntimeError(
            f"{name}: One of the differentiated Tensors, of shape {list(tensor.array.shape)}, does "
            "not require grad; call requires_grad_() on it before it is used."
        )
    return node
