"""Layers that learn the number of their input's channels from the first input."""

from __future__ import annotations

from typing import Any

from ..tensor import Tensor
from . import conv, linear, normalization
from .module import Module
from .parameter import UninitializedBuffer, UninitializedParameter


class LazyModuleMixin(Module):
    """Gives a layer's uninitialised members the sizes that its first input asks for.

    The layer then is one of class `cls_to_become`.
    """

    cls_to_become: type[Module]

    def has_uninitialized_params(self) -> bool:
        """True until the first call, or until a state dict was loaded."""
        members = [*self._parameters.values(), *self._buffers.values()]
        return any(isinstance(m, UninitializedParameter | UninitializedBuffer) for m in members)

    def initialize_parameters(self, input: Tensor) -> None:
        """Give the members the sizes that `input` asks for, and their starting values."""
        raise NotImplementedError(
            f"initialize_parameters is not implemented for {type(self).__name__}"
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.has_uninitialized_params():
            self.initialize_parameters(*args, **kwargs)
        self.__class__ = self.cls_to_become  # type: ignore[assignment]
        return self(*args, **kwargs)

    def reset_parameters(self) -> None:
        """Draw new starting values, once there are sizes."""
        if not self.has_uninitialized_params():
            super().reset_parameters()  # type: ignore[misc]

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *rest: Any) -> None:
        for name, member in {**self._parameters, **self._buffers}.items():
            saved = state_dict.get(prefix + name)
            if isinstance(member, UninitializedParameter | UninitializedBuffer) and (
                isinstance(saved, Tensor)
            ):
                member.materialize(saved.shape)
        super()._load_from_state_dict(state_dict, prefix, *rest)


class LazyLinear(LazyModuleMixin, linear.Linear):
    """`Linear` whose in_features come from the first input."""

    cls_to_become = linear.Linear

    def __init__(
        self, out_features: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__(0, 0, False, device, dtype)
        self.weight = UninitializedParameter(device=device, dtype=dtype)
        self.out_features = out_features
        if bias:
            self.bias = UninitializedParameter(device=device, dtype=dtype)

    def reset_parameters(self) -> None:
        """Draw new starting values, once there are sizes."""
        if not self.has_uninitialized_params() and self.in_features != 0:
            super().reset_parameters()

    def initialize_parameters(self, input: Tensor) -> None:
        """Take in_features from the last axis of the input."""
        self.in_features = input.shape[-1]
        self.weight.materialize((self.out_features, self.in_features))
        if self.bias is not None:
            self.bias.materialize((self.out_features,))
        self.reset_parameters()


class _LazyConv(LazyModuleMixin):
    """A convolution whose in_channels come from the first input."""

    def __init__(
        self,
        out_channels: int,
        kernel_size: Any,
        *args: Any,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        # the arguments behind kernel_size are those of the layer that it becomes
        plain = self.cls_to_become.__init__.__code__.co_varnames[4:]
        kwargs.update(zip(plain, args, strict=False))
        bias = kwargs.pop("bias", bias)
        device, dtype = kwargs.pop("device", device), kwargs.pop("dtype", dtype)
        super().__init__(  # type: ignore[call-arg]
            0, 0, kernel_size, bias=False, device=device, dtype=dtype, **kwargs
        )
        self.out_channels = out_channels
        if out_channels % self.groups:
            raise ValueError("out_channels must be divisible by groups")
        where: dict[str, Any] = {"device": device, "dtype": dtype}
        self.register_parameter("weight", UninitializedParameter(**where))
        if bias:
            self.register_parameter("bias", UninitializedParameter(**where))

    def reset_parameters(self) -> None:
        """Draw new starting values, once there are sizes."""
        if not self.has_uninitialized_params() and self.in_channels != 0:
            super().reset_parameters()

    def initialize_parameters(self, input: Tensor, *args: Any, **kwargs: Any) -> None:
        """Take in_channels from the axis of the channels."""
        axes = self.axes
        if input.dim() not in (axes + 1, axes + 2):
            raise RuntimeError(
                f"Expected {axes + 1}D (unbatched) or {axes + 2}D (batched) input to "
                f"{type(self).__name__}, but got input of size: {input.shape}"
            )
        self.in_channels = input.shape[-axes - 1]
        if self.in_channels % self.groups:
            raise ValueError("in_channels must be divisible by groups")
        self.weight.materialize((*self._weight_channels(), *self.kernel_size))
        if self.bias is not None:
            self.bias.materialize((self.out_channels,))
        self.reset_parameters()


class LazyConv1d(_LazyConv, conv.Conv1d):
    """`Conv1d` whose in_channels come from the first input."""

    cls_to_become = conv.Conv1d


class LazyConv2d(_LazyConv, conv.Conv2d):
    """`Conv2d` whose in_channels come from the first input."""

    cls_to_become = conv.Conv2d


class LazyConv3d(_LazyConv, conv.Conv3d):
    """`Conv3d` whose in_channels come from the first input."""

    cls_to_become = conv.Conv3d


class LazyConvTranspose1d(_LazyConv, conv.ConvTranspose1d):
    """`ConvTranspose1d` whose in_channels come from the first input."""

    cls_to_become = conv.ConvTranspose1d


class LazyConvTranspose2d(_LazyConv, conv.ConvTranspose2d):
    """`ConvTranspose2d` whose in_channels come from the first input."""

    cls_to_become = conv.ConvTranspose2d


class LazyConvTranspose3d(_LazyConv, conv.ConvTranspose3d):
    """`ConvTranspose3d` whose in_channels come from the first input."""

    cls_to_become = conv.ConvTranspose3d


class _LazyNorm(LazyModuleMixin):
    """A normalisation whose num_features come from the first input."""

    def __init__(
        self,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(  # type: ignore[call-arg]
            0, eps, momentum, False, False, device, dtype
        )
        self.affine = affine
        self.track_running_stats = track_running_stats
        where: dict[str, Any] = {"device": device, "dtype": dtype}
        if affine:
            self.register_parameter("weight", UninitializedParameter(**where))
            if bias:
                self.register_parameter("bias", UninitializedParameter(**where))
        if track_running_stats:
            self.running_mean = UninitializedBuffer(**where)
            self.running_var = UninitializedBuffer(**where)
            self.num_batches_tracked = normalization.batch_count(device)

    def reset_parameters(self) -> None:
        """Back to y = normalised x, once there are sizes."""
        if not self.has_uninitialized_params() and self.num_features != 0:
            super().reset_parameters()

    def initialize_parameters(self, input: Tensor) -> None:
        """Take num_features from the axis of the channels."""
        self.num_features = input.shape[1]
        for member in (self.weight, self.bias, self.running_mean, self.running_var):
            if member is not None:
                member.materialize((self.num_features,))
        self.reset_parameters()


class LazyBatchNorm1d(_LazyNorm, normalization.BatchNorm1d):
    """`BatchNorm1d` whose num_features come from the first input."""

    cls_to_become = normalization.BatchNorm1d


class LazyBatchNorm2d(_LazyNorm, normalization.BatchNorm2d):
    """`BatchNorm2d` whose num_features come from the first input."""

    cls_to_become = normalization.BatchNorm2d


class LazyBatchNorm3d(_LazyNorm, normalization.BatchNorm3d):
    """`BatchNorm3d` whose num_features come from the first input."""

    cls_to_become = normalization.BatchNorm3d


class LazyInstanceNorm1d(_LazyNorm, normalization.InstanceNorm1d):
    """`InstanceNorm1d` whose num_features come from the first input."""

    cls_to_become = normalization.InstanceNorm1d


class LazyInstanceNorm2d(_LazyNorm, normalization.InstanceNorm2d):
    """`InstanceNorm2d` whose num_features come from the first input."""

    cls_to_become = normalization.InstanceNorm2d


class LazyInstanceNorm3d(_LazyNorm, normalization.InstanceNorm3d):
    """`InstanceNorm3d` whose num_features come from the first input."""

    cls_to_become = normalization.InstanceNorm3d
