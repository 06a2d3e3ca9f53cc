"""Tensor operations whose plain form is slow on a CPU. Same values as the plain form up to rounding."""

from importlib.util import find_spec

import torch
import torch.nn.functional as F  # noqa: N812
from torch.nn.attention.bias import causal_lower_right

Tensor = torch.Tensor

BLOCK = 32  # queries


def compilable(x: Tensor) -> bool:
    """Whether kernels can do what is made of x: in fp32, on a CPU. A bare GPU machine may lack numba."""
    return x.dtype == torch.float32 and x.device.type == "cpu" and find_spec("numba") is not None


def linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """x W' + b; on a CPU the product first, since `F.linear` spends more on copying the bias than on adding it."""
    if x.is_cuda:
        return F.linear(x, weight, bias)
    product: Tensor = F.linear(x, weight)
    product += bias
    return product


def attend_causally(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    """Attention (rows, heads, n, head) where the last n of the keys are the queries' own positions.

    The mask is added to the scores; None is plain causal attention. On a CPU block by block, so that what a block may
    not see is not computed.
    """
    n, past = q.shape[2], k.shape[2] - q.shape[2]
    if mask is None and n > 1:  # the corner of the causal triangle is at the last query and the last key
        return F.scaled_dot_product_attention(q, k, v, attn_mask=causal_lower_right(n, past + n))
    if mask is None or q.is_cuda or n < 2 * BLOCK:
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    parts = []
    for start in range(0, n, BLOCK):
        end = min(n, start + BLOCK)
        seen = slice(0, past + end)
        parts.append(
            F.scaled_dot_product_attention(
                q[:, :, start:end], k[:, :, seen], v[:, :, seen], attn_mask=mask[:, :, start:end, seen]
            ).transpose(1, 2)
        )
    return torch.cat(parts, dim=1).transpose(1, 2)
