"""Both families on a device that is not there: no tensor is on the wrong side, and a batch waits for its last read.

The harness is tests/support/devices.py; test_removed_moves.py shows that it notices every move that is left out.
"""

from collections.abc import Callable
from typing import Any

import fakes
import numpy as np
import pytest
import torch
from devices import FAR, Far, FarTensor
from far_answerer import BUILDS, Replies, far_answerer, far_away, replies_of

TOLERANCE = {"float32": 1e-4, "bfloat16": 0.04}  # of bfloat16 one step of the logits


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("model", BUILDS)
def test_every_stage_runs_on_the_device_and_answers_the_same(model: str, dtype: str) -> None:
    expected = replies_of(BUILDS[model](dtype))
    with far_away():
        got = replies_of(far_answerer(model, dtype))
    assert got.keys() == expected.keys()
    for stage, replies in expected.items():
        for ours, theirs in zip(got[stage], replies, strict=True):
            np.testing.assert_allclose(ours.option_nll, theirs.option_nll, atol=TOLERANCE[dtype], err_msg=stage)
            assert dtype != "float32" or ours.text == theirs.text


@pytest.mark.parametrize("model", BUILDS)
def test_a_batch_waits_for_its_last_read_only(model: str) -> None:
    answerer = far_answerer(model, "bfloat16")
    with far_away():
        replies_of(answerer)  # the prefix and the letters are there from now on
        clips = [answerer.open(fakes.sound(seed, 3.0)) for seed in (1, 2)]
    with far_away() as encoding:
        encoded = answerer.encode(clips, [range(3), [0, 2]])
    assert {caller for _, caller in encoding.waits} <= {"qwen25_omni.py _distinct"}  # which windows are equal
    with far_away() as filling:
        context = answerer.prefill(encoded, [(7, 8), (9,)])
    assert not filling.waits
    for of_questions in (context, encoded):
        with far_away() as scoring:
            answerer.score(of_questions, [0, 1, 1], [(7, 8, 9), (5,), (6, 7)], [4, 2, 3])
        assert [caller for _, caller in scoring.waits.elements()] == ["qwen_family.py _option_nll"]
    with far_away() as writing:
        answerer.generate(context, [0, 1, 1], [(7, 8, 9), (5,), (6, 7)], [4, 2, 3], 4)
    callers = [caller for _, caller in writing.waits.elements()]
    assert callers.count("qwen_family.py generate") <= 4  # once a token
    assert set(callers) == {"qwen_family.py generate", "qwen_family.py _option_nll"}


FAULTS: dict[str, Callable[[Any, Any], object]] = {
    "sum": lambda far, near: far + near,
    "product": lambda far, near: far @ near.t(),
    "joined": lambda far, near: torch.cat([far, near]),
    "written": lambda far, near: torch.add(near, 1, out=far),
    "indices": lambda far, _: far[torch.tensor([1, 0])],
    "indices of the host's": lambda _, near: near[torch.tensor([1, 0]).to(FAR)],
    "selected": lambda far, _: far.index_select(0, torch.tensor([1])),
    "embedded": lambda far, _: torch.nn.functional.embedding(torch.tensor([1]), far),
    "masked": lambda far, near: far.masked_fill(near > 0, 0.0),
    "attention": lambda far, near: torch.nn.functional.scaled_dot_product_attention(far[None], near[None], near[None]),
    "NumPy": lambda far, _: far.numpy(),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_tensor_on_the_wrong_side_fails(fault: str) -> None:
    near = torch.rand(3, 3)
    with Far(), pytest.raises(RuntimeError, match=r"both sides|same device|NumPy cannot see"):
        FAULTS[fault](near.to(FAR), near)


def test_what_cuda_allows_passes_and_waits_are_told() -> None:
    with Far() as seen:
        far = torch.arange(6.0).view(2, 3).to(FAR)
        assert isinstance(far, FarTensor)
        assert far.is_cuda
        far += torch.tensor(1.0)
        far.masked_fill_(far > 5, torch.tensor(0.0))
        far[0].copy_(torch.zeros(3))
        assert not seen.waits
        assert (far.cpu() == torch.tensor([[0.0, 0, 0], [4, 5, 0]])).all()
        assert far.sum().item() == 9
        assert bool((far == 0).any())
    assert sorted(operator for operator, _ in seen.waits.elements()) == [
        "_local_scalar_dense", "_local_scalar_dense", "_to_copy",
    ]  # fmt: skip


def test_replies_differ_between_stages() -> None:
    """What is compared above is not the same figure everywhere."""
    replies: Replies = replies_of(BUILDS["qwen2_audio"]("float32"))
    assert len({float(reply.option_nll[0]) for batch in replies.values() for reply in batch}) > 8
