"""A device that is not there: what CUDA would refuse fails on a machine without one, and its waits are told.

    with Far() as seen:
        answerer = build(FAR)      # values stay in host memory, and are right
        answerer.score(...)        # WrongDeviceError where tensors of both sides meet
    seen.waits                     # what the host waited for, by operator and line

A tensor of the device wraps the one that holds its values, and every operator on it comes by here. All its tensors must
be on one side, but for numbers without dimensions in element-wise operators and for copies. Indices on the host, which
CUDA would take, are refused too: it waits until they are there. Knows no model. Not covered: which kernels CUDA has,
how they round, races, and memory that runs out.
"""

import sys
import threading
from collections import Counter
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

NAME = "far"
COPIES = ("_to_copy", "to", "copy_", "detach", "set_data")
READS = ("_local_scalar_dense", "equal", "nonzero", "is_nonzero", "masked_select", "_unique2", "bincount")
MATH = 0  # the attention that is made of products, which needs no kernel of its own


class WrongDeviceError(RuntimeError):
    """Tensors of both sides in one operator."""


class _Backend:
    """What torch asks the module of a device."""

    is_available = is_initialized = staticmethod(lambda: True)
    _is_in_bad_fork = staticmethod(lambda: False)
    device_count = staticmethod(lambda: 1)
    current_device = staticmethod(lambda: 0)
    manual_seed_all = staticmethod(lambda _: None)
    get_rng_state = staticmethod(lambda _: torch.get_rng_state())  # of the host, which makes all that is random
    set_rng_state = staticmethod(lambda state, _: torch.set_rng_state(state))
    get_amp_supported_dtype = staticmethod(lambda: [torch.float16, torch.bfloat16])


if not hasattr(torch, NAME):
    _setup_privateuseone_for_python_backend(NAME, backend_module=_Backend())
FAR = torch.device(NAME, 0)


class FarTensor(torch.Tensor):
    """A tensor of the device; `near` has its values."""

    near: torch.Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl
    is_cuda = property(lambda _: True)  # so that code goes the way it goes on CUDA

    @staticmethod
    def __new__(cls, near: torch.Tensor) -> "FarTensor":
        with torch.inference_mode(False), torch.no_grad():
            tensor = torch.Tensor._make_wrapper_subclass(
                cls, near.shape, strides=near.stride(), storage_offset=near.storage_offset(), dtype=near.dtype,
                device=FAR,
            )  # fmt: skip
        tensor.near = near
        return tensor

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _operate(func, args, kwargs or {})

    def numpy(self, **_: Any) -> Any:
        raise WrongDeviceError("NumPy cannot see what is on the device")

    def tolist(self) -> Any:
        return self.cpu().tolist()

    def __repr__(self) -> str:  # type: ignore[override]
        return f"FarTensor({self.near!r})"


class Far(TorchDispatchMode):
    """While this is entered tensors can be made on the device; it counts what was done."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: Counter[tuple[str, str]] = Counter()  # (operator, function of ours): of the host, for a value
        self.uploads: Counter[tuple[str, str]] = Counter()  # to the device

    def __enter__(self) -> "Far":
        torch._C._set_only_lift_cpu_tensors(True)  # torch.tensor(..., device=FAR) is a copy that comes by here
        _entered.modes = [*getattr(_entered, "modes", []), self]
        super().__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        _entered.modes.pop()
        torch._C._set_only_lift_cpu_tensors(bool(_entered.modes))

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _operate(func, args, kwargs or {})


_entered = threading.local()


def _operate(func: Any, args: Any, kwargs: Any) -> Any:
    """Check one operator, run it on the values, and put what comes out where it belongs."""
    leaves, _ = tree_flatten((args, kwargs))
    tensors = [leaf for leaf in leaves if isinstance(leaf, torch.Tensor)]
    far = [tensor for tensor in tensors if isinstance(tensor, FarTensor)]
    wanted = next((leaf for leaf in leaves if isinstance(leaf, torch.device)), None)
    if not far and (wanted is None or wanted.type != NAME):
        return func(*args, **kwargs)
    name = func.overloadpacket.__name__
    if name == "_fused_sdp_choice":
        return MATH
    if far and len(far) < len(tensors):
        _check(func, name, tensors)
    out = func(*tree_map(_near, args), **tree_map(_near, kwargs))
    to_far = name not in COPIES or isinstance(args[0], FarTensor)
    if wanted is not None:
        to_far = wanted.type == NAME
    _count(name, tensors, bool(far), to_far)
    if not to_far:
        return out
    owner = {id(tensor.near): tensor for tensor in far}  # in-place operators hand back what they were given

    def placed(leaf: Any) -> Any:
        if not isinstance(leaf, torch.Tensor):
            return leaf
        return owner[id(leaf)] if id(leaf) in owner else FarTensor(leaf)

    return tree_map(placed, out)


def _near(leaf: Any) -> Any:
    if isinstance(leaf, FarTensor):
        return leaf.near
    return torch.device("cpu") if isinstance(leaf, torch.device) and leaf.type == NAME else leaf


def _check(func: Any, name: str, tensors: list[torch.Tensor]) -> None:
    host = [tensor for tensor in tensors if not isinstance(tensor, FarTensor)]
    plain_numbers = all(tensor.dim() == 0 for tensor in host)
    if name in COPIES or (plain_numbers and (torch.Tag.pointwise in func.tags or name.startswith("masked_fill"))):
        return
    sides = ", ".join(f"{tensor.device.type} {tuple(tensor.shape)}" for tensor in tensors)
    raise WrongDeviceError(f"{_caller()}: {name} of tensors on both sides: {sides}")


def _count(name: str, tensors: list[torch.Tensor], any_far: bool, to_far: bool) -> None:
    modes = getattr(_entered, "modes", [])
    if not modes:
        return
    by_mask = name.startswith("index") and any(tensor.dtype == torch.bool for tensor in tensors[1:])
    if name in READS or by_mask or (any_far and not to_far):
        modes[-1].waits[name, _caller()] += 1
    elif name in COPIES and to_far and not all(isinstance(tensor, FarTensor) for tensor in tensors):
        modes[-1].uploads[name, _caller()] += 1


def _caller() -> str:
    """The function of the engine that an operator is in, or of whoever called it."""
    frame: Any = sys._getframe(1)
    while frame is not None:
        code = frame.f_code
        if "/engine/" in code.co_filename and "site-packages" not in code.co_filename:
            return f"{code.co_filename.rpartition('/')[2]} {code.co_name}"
        frame = frame.f_back
    return "elsewhere"
