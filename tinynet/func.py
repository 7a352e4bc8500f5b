"""Functions that make functions: gradients and Jacobians, with the names of `torch.func`."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Any

from . import parity as _parity
from .autograd import engine, functional
from .autograd.mode import enable_grad
from .autograd.tape import AccumulateGrad, node_of
from .ops.creation import zeros_like
from .ops.shape import stack
from .tensor import Tensor

ArgNums = int | tuple[int, ...]
# Where the arguments made here begin, once their function has returned: of no interest to others.
_own: weakref.WeakSet[Any] = weakref.WeakSet()


def grad(func: Callable[..., Any], argnums: ArgNums = 0, has_aux: bool = False) -> Any:
    """The function that computes d func / d argument (argument number argnums, or several).

    has_aux: func returns (value, something else), and so does the new function.
    """
    both = grad_and_value(func, argnums, has_aux)

    def gradient(*args: Any, **kwargs: Any) -> Any:
        gradients, value = both(*args, **kwargs)
        return (gradients, value[1]) if has_aux else gradients

    return gradient


def grad_and_value(func: Callable[..., Any], argnums: ArgNums = 0, has_aux: bool = False) -> Any:
    """The function that computes (d func / d argument, func)."""

    def run(*args: Any, **kwargs: Any) -> Any:
        with enable_grad():
            wanted, arguments = _differentiated(args, argnums)
            result = func(*arguments, **kwargs)
            value, aux = result if has_aux else (result, None)
            if not isinstance(value, Tensor) or value.ndim:
                raise RuntimeError(
                    "Expected f(*args) to return a scalar tensor, got a tensor with "
                    f"{value.ndim if isinstance(value, Tensor) else 'no'} dims."
                )
            leaves = _leaves(wanted)
            found = iter(_gradients(value, leaves))
        gradients = _settled(_replaced(wanted, lambda _: next(found)), leaves)
        gradients = gradients if isinstance(argnums, tuple) else gradients[0]
        value = _settled(value, leaves)
        return gradients, (value, aux) if has_aux else value

    return run


def vjp(func: Callable[..., Any], *primals: Any, has_aux: bool = False) -> Any:
    """func's value, and the function v -> v^T J there (a tuple, one part for each argument)."""
    with enable_grad():
        wanted, arguments = _differentiated(primals, tuple(range(len(primals))))
        result = func(*arguments)
    value, aux = result if has_aux else (result, None)

    def pull(*cotangents: Any) -> Any:
        given = cotangents[0] if len(cotangents) == 1 else cotangents
        outputs = [(y, v) for y, v in zip(_leaves(value), _leaves(given)) if _is_recorded(y)]
        leaves = _leaves(wanted)
        found = engine.grad(
            [y for y, _ in outputs],
            leaves,
            [v for _, v in outputs],
            create_graph=True,
            materialize_grads=True,
        )
        each = iter(found)
        return _settled(_replaced(wanted, lambda _: next(each)), leaves)

    shown = _settled(value, _leaves(wanted))
    return (shown, pull, aux) if has_aux else (shown, pull)


def jvp(
    func: Callable[..., Any],
    primals: tuple[Any, ...],
    tangents: tuple[Any, ...],
    *,
    strict: bool = False,
    has_aux: bool = False,
) -> Any:
    """func's value, and J v: how it changes along the tangents."""
    kept: list[Any] = []
    run = _without_aux(func, has_aux, kept)
    with enable_grad():
        inputs = tuple(_recorded(x) for x in primals)
        both = functional.jvp(run, inputs, tangents, create_graph=True)
    value, change = (_settled(part, list(inputs)) for part in both)
    return (value, change, kept[0]) if has_aux else (value, change)


def jacrev(
    func: Callable[..., Any],
    argnums: ArgNums = 0,
    *,
    has_aux: bool = False,
    chunk_size: int | None = None,
    _preallocate_and_copy: bool = False,
) -> Any:
    """The function that computes the Jacobian, (*output, *argument), row by row, backward."""

    def run(*args: Any, **kwargs: Any) -> Any:
        chosen = argnums if isinstance(argnums, tuple) else (argnums,)
        kept: list[Any] = []

        def of_chosen(*values: Any) -> Any:
            arguments = list(args)
            for i, value in zip(chosen, values):
                arguments[i] = value
            return _without_aux(func, has_aux, kept)(*arguments, **kwargs)

        with enable_grad():
            inputs = tuple(_recorded(args[i]) for i in chosen)
            found = functional.jacobian(
                of_chosen, inputs if isinstance(argnums, tuple) else inputs[0], create_graph=True
            )
        found = _settled(found, list(inputs))
        return (found, kept[0]) if has_aux else found

    return run


def jacfwd(
    func: Callable[..., Any],
    argnums: ArgNums = 0,
    has_aux: bool = False,
    *,
    randomness: str = "error",
) -> Any:
    """The function that computes the Jacobian; the same numbers as `jacrev`, in the same way."""
    return jacrev(func, argnums, has_aux=has_aux)


def hessian(func: Callable[..., Any], argnums: ArgNums = 0) -> Any:
    """The function that computes the second derivatives of a function with one number as value."""
    return jacrev(grad(func, argnums), argnums)


def functional_call(
    module: Any,
    parameter_and_buffer_dicts: dict[str, Any] | Sequence[dict[str, Any]],
    args: Any = None,
    kwargs: dict[str, Any] | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """Call a module as if its parameters and buffers of these names were the given tensors."""
    if isinstance(parameter_and_buffer_dicts, dict):
        given = parameter_and_buffer_dicts
    else:
        given = {k: v for one in parameter_and_buffer_dicts for k, v in one.items()}
    known = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    unexpected, left_out = set(given) - set(known), set(known) - set(given)
    if strict and (unexpected or left_out):
        raise RuntimeError(
            f"functional_call: unexpected names {sorted(unexpected)}, missing {sorted(left_out)}."
        )
    places = []
    for name, tensor in given.items():
        path, _, last = name.rpartition(".")
        owner = module.get_submodule(path)
        table = owner._parameters if last in owner._parameters else owner._buffers
        places.append((table, last, table[last]))
        table[last] = tensor
    try:
        arguments = () if args is None else args if isinstance(args, tuple) else (args,)
        return module(*arguments, **(kwargs or {}))
    finally:
        for table, last, before in places:
            table[last] = before


def compile(model: Any = None, **options: Any) -> Any:
    """The function or module itself: kernels are compiled already, each once and for all.

    As PyTorch's it can be called with the function, or with options alone as a decorator.
    """
    return model if model is not None else lambda function: function


def replace_all_batch_norm_modules_(root: Any) -> Any:
    """Batch norms of this module without running statistics, in place; returns the module."""
    for module in root.modules():
        if "BatchNorm" in type(module).__name__:
            module.running_mean = module.running_var = module.num_batches_tracked = None
            module.track_running_stats = False
    return root


def linearize(func: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[..., Any]]:
    """func's value, and the function v -> J v at the same place."""

    def push(*tangents: Any) -> Any:
        return jvp(func, primals, tangents)[1]

    return func(*primals), push


def stack_module_state(models: Sequence[Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The parameters of several modules of one kind, stacked, and their buffers."""
    parameters = [dict(m.named_parameters()) for m in models]
    buffers = [dict(m.named_buffers()) for m in models]
    return (
        {
            k: stack([p[k] for p in parameters]).detach().requires_grad_(v.requires_grad)
            for k, v in parameters[0].items()
        },
        {k: stack([b[k] for b in buffers]) for k in buffers[0]},
    )


def vmap(
    func: Callable[..., Any],
    in_dims: Any = 0,
    out_dims: Any = 0,
    randomness: str = "error",
    *,
    chunk_size: int | None = None,
) -> Any:
    """The function over one more dimension of its arguments: a loop, and a stack of its results.

    in_dims: the dimension of each argument to go over; None for one that stays the same.
    out_dims: where the new dimension of each result lies.
    It saves writing the loop, not time. randomness, chunk_size: accepted; every item draws its own.
    """

    def run(*args: Any, **kwargs: Any) -> Any:
        dims = in_dims if isinstance(in_dims, tuple | list) else (in_dims,) * len(args)
        sizes = {
            leaf.shape[dim] for a, dim in zip(args, dims) if dim is not None for leaf in _leaves(a)
        }
        if len(sizes) != 1:
            raise ValueError(
                f"vmap: the mapped dimensions must have one size, but have {sorted(sizes)}."
            )
        results = []
        for i in range(sizes.pop()):
            item = [a if d is None else _item(a, d, i) for a, d in zip(args, dims)]
            results.append(func(*item, **kwargs))
        return _restacked(results, out_dims)

    return run


def _item(value: Any, dim: int, index: int) -> Any:
    return _replaced(value, lambda tensor: tensor.select(dim, index))


def _restacked(results: list[Any], out_dims: Any) -> Any:
    first = results[0]
    if isinstance(first, tuple | list):
        dims = out_dims if isinstance(out_dims, tuple) else (out_dims,) * len(first)
        return type(first)(_restacked([r[i] for r in results], d) for i, d in enumerate(dims))
    if isinstance(first, dict):
        return {k: _restacked([r[k] for r in results], out_dims) for k in first}
    return stack(results, dim=out_dims)


def _without_aux(func: Callable[..., Any], has_aux: bool, kept: list[Any]) -> Any:
    def run(*args: Any, **kwargs: Any) -> Any:
        result = func(*args, **kwargs)
        if has_aux:
            kept[:] = [result[1]]
            return result[0]
        return result

    return run


def _is_recorded(value: Any) -> bool:
    return any(node_of(leaf) is not None for leaf in _leaves(value))


def _leaves(value: Any) -> list[Any]:
    """The tensors in nested tuples, lists and dicts."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, dict):
        return [leaf for v in value.values() for leaf in _leaves(v)]
    if isinstance(value, tuple | list):
        return [leaf for v in value for leaf in _leaves(v)]
    return []


def _replaced(value: Any, how: Callable[[Any], Any]) -> Any:
    """Nested tuples, lists and dicts with each tensor replaced."""
    if isinstance(value, Tensor):
        return how(value)
    if isinstance(value, dict):
        return {k: _replaced(v, how) for k, v in value.items()}
    if isinstance(value, tuple | list):
        return type(value)(_replaced(v, how) for v in value)
    return value


def _differentiated(args: tuple[Any, ...], argnums: ArgNums) -> tuple[tuple[Any, ...], list[Any]]:
    """The chosen arguments, recorded from here on, and all arguments with them."""
    chosen = argnums if isinstance(argnums, tuple) else (argnums,)
    arguments = list(args)
    for i in chosen:
        arguments[i] = _replaced(args[i], _recorded)
    return tuple(arguments[i] for i in chosen), arguments


def _recorded(x: Tensor) -> Tensor:
    return x.view_as(x) if node_of(x) is not None else x.detach().requires_grad_()


def _gradients(value: Tensor, leaves: list[Tensor]) -> Sequence[Tensor]:
    if node_of(value) is None:
        return [zeros_like(leaf) for leaf in leaves]
    return engine.grad(value, leaves, create_graph=True, materialize_grads=True)


def _settled(value: Any, leaves: list[Any]) -> Any:
    """The results, without history if that leads to nothing but the arguments made here.

    It may lead elsewhere: to arguments that were recorded, or to what the function took from
    around it, for which an outer `grad` or a later `backward` will ask.
    """
    _own.update(node_of(leaf) for leaf in leaves)
    nodes = [node for leaf in _leaves(value) if (node := node_of(leaf)) is not None]
    for node in engine.behind(nodes):
        if isinstance(node, AccumulateGrad) and node not in _own:
            return value
    return _replaced(value, lambda y: y.detach())


__getattr__ = _parity.module_getattr(__name__)
