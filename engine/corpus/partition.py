"""The noun of a partition: a family per example, and the recipe by which it was made. Knows no file."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from earmark.engine.corpus.corpus import Corpus


class Partition(NamedTuple):
    """A family per example, and how it was made."""

    name: str
    families: tuple[str, ...]  # in the order of the corpus's examples
    recipe: Mapping[str, Any]  # as `recipes.CorpusRecipes` describes it

    @property
    def sizes(self) -> dict[str, int]:
        """Examples per family, the largest first."""
        return dict(sorted(Counter(self.families).items(), key=lambda item: (-item[1], item[0])))


class CorpusRecipes(NamedTuple):
    """How the partitions of one corpus were made.

    A recipe has `rule`: keyword (with `columns` that are read, joined by `between`, `groups` of a family and its
    keywords, the first with one of them in the lower-cased text wins, and the family `otherwise`), native and label
    (with `columns`), side file (with `file`, its `sha256` and `columns`), or semantic (with `encoder`, `prefix`,
    `pooling` and `clusters`: of each its name, the family it is in, and the unit vector `centroid`; a question is in
    the cluster whose centroid has the largest cosine with its embedding).
    """

    kind: str  # of the corpus
    partitions: Mapping[str, Mapping[str, Any]]  # recipe by the name of the partition
    sha256: str  # of the recipes and of every label


def recipe_of(partitions: Sequence[Partition], corpus: "Corpus") -> CorpusRecipes:
    """How the partitions of a corpus were made, with a hash of the recipes and of every label."""
    recipe = {partition.name: dict(partition.recipe) for partition in partitions}
    ids = [example.sample_id for example in corpus.examples]
    content = [recipe, ids, [partition.families for partition in partitions]]
    digest = hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
    return CorpusRecipes(corpus.kind, recipe, digest)
