"""Partitions of a corpus into families, each with the recipe that made it, declared before any outcome is seen.

Knows labels; tables beside the corpus are `side_files`', sentence embeddings `semantic`'s, run folders
`outcomes.partition_file`'s.
"""

from collections import Counter
from collections.abc import Sequence

from earmark.engine.corpus.corpus import Corpus
from earmark.engine.corpus.keyword_families import GENERAL, GROUPS, infer_family
from earmark.engine.corpus.partition import Partition
from earmark.engine.errors import InputError, choose

_OWN = {"keyword": "category", "native": "native"}  # partitions that a corpus brings, and whose columns they read
UNLABELLED = "unlabelled"
OTHER_RARE = "other_rare"


def keyword(corpus: Corpus) -> Partition:
    """The partition by the paper's classifier of the corpus's own category; `general` where no keyword is in it."""
    families = (infer_family(category) for category in _joined(corpus, corpus.category, " "))
    recipe = {
        "rule": "keyword",
        "columns": list(corpus.category),
        "between": " ",
        "groups": [{"family": family, "keywords": list(keywords)} for family, keywords in GROUPS],
        "otherwise": GENERAL,
    }
    return Partition("keyword", tuple(families), recipe)


def native(corpus: Corpus) -> Partition:
    """The partition by the benchmark's own labels."""
    families = tuple(label or UNLABELLED for label in _joined(corpus, corpus.native, " / "))
    return Partition("native", families, {"rule": "native", "columns": list(corpus.native), "between": " / "})


def by_label(corpus: Corpus, column: str) -> Partition:
    """The partition by any label column of the corpus; InputError where no example has it."""
    columns = dict.fromkeys(name for example in corpus.examples for name in example.labels)
    if column not in columns:
        raise InputError(f"partition {column}", "there is no such label", choose(column, [*_OWN, *columns]))
    families = tuple(example.labels.get(column, UNLABELLED) for example in corpus.examples)
    return Partition(column, families, {"rule": "label", "columns": [column]})


def named(corpus: Corpus, name: str) -> Partition:
    """A partition by its name: keyword, native, or a label."""
    return {"keyword": keyword, "native": native}[name](corpus) if name in _OWN else by_label(corpus, name)


def declared(corpus: Corpus) -> list[Partition]:
    """The partitions that a corpus brings: keyword and native, where it has words for them."""
    return [named(corpus, name) for name in _OWN if any(_joined(corpus, getattr(corpus, _OWN[name]), ""))]


def merge_rare(families: Sequence[str], least: int) -> tuple[str, ...]:
    """The families, with `other_rare` in the place of those that have fewer than `least` examples."""
    sizes = Counter(families)
    return tuple(family if sizes[family] >= least else OTHER_RARE for family in families)


def _joined(corpus: Corpus, columns: Sequence[str], between: str) -> list[str]:
    """One text per example: its labels of these columns, with `between` between them."""
    return [
        between.join(example.labels[name] for name in columns if name in example.labels) for example in corpus.examples
    ]
