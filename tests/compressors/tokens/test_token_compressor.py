"""A compressor of tokens: what its identity tells apart, and that means are taken in single precision."""

import numpy as np
import pytest
import torch

from earmark.engine.answerers.means import means_of
from earmark.engine.compressors.compressor import Compressor
from earmark.engine.compressors.loading import load_chunks
from earmark.engine.compressors.tokens.reducing import ReductionSpec
from earmark.engine.compressors.tokens.reduction import Reduction
from earmark.engine.compressors.tokens.token_compressor import TokenCompressor
from earmark.engine.design.spec import parse

POOL = ReductionSpec("pool", 0.5, sized=False)
SPEC = """
[corpus]
path = "synthetic:certification:4"
[[answerers]]
model = "tiny"
[sweep]
budgets = [0.5]
[[methods]]
name = "uniform"
"""


@pytest.fixture
def uniform() -> Compressor:
    (method,) = parse(SPEC).methods
    return load_chunks(method, 0)


def test_an_identity_tells_what_came_first_and_how_much_of_it(uniform: Compressor) -> None:
    compressors = [
        TokenCompressor("pool", POOL),
        TokenCompressor("pool", POOL._replace(sized=True)),
        TokenCompressor("pool", POOL, uniform, 0.5),
        TokenCompressor("pool", POOL, uniform, 0.4),
    ]
    assert len({compressor.identity for compressor in compressors}) == len(compressors)
    other_budget = TokenCompressor("pool", POOL._replace(budget=0.2))
    assert other_budget.identity == compressors[0].identity  # it is the arm's


def test_means_of_many_states_are_taken_in_single_precision() -> None:
    states = torch.ones(1000, 2, dtype=torch.bfloat16)  # whose sums in bfloat16 end at 256
    got = means_of(states, Reduction(np.zeros(1000, dtype=np.int64)))
    assert got.dtype == torch.bfloat16
    assert got.tolist() == [[1.0, 1.0]]
