"""How the partitions of a run folder were made: the recipes in the metadata of its partitions.parquet.

Knows Parquet metadata and JSON; no corpus and no model. `engine.corpus.partitions` writes them.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from earmark.engine.outcomes.store import PARTITIONS

RECIPES_KEY = b"earmark.partitions"


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


def read_recipes(run: Path) -> dict[str, CorpusRecipes]:
    """The recipes of a run folder by corpus; empty where nothing says how its partitions were made."""
    path = run / PARTITIONS
    if not path.is_file():
        return {}
    try:
        entries = json.loads((pq.read_schema(path).metadata or {}).get(RECIPES_KEY, b"{}"))
    except (pa.ArrowException, OSError, ValueError):
        return {}  # whether it is a partitions file at all, its own reader says
    recipes_or_none = (
        {corpus: _recipes(entry) for corpus, entry in entries.items()} if isinstance(entries, dict) else {}
    )
    return {corpus: recipes for corpus, recipes in recipes_or_none.items() if recipes is not None}


def recipes_content(recipes: Mapping[str, CorpusRecipes]) -> bytes:
    """The JSON that stands under RECIPES_KEY in the metadata of partitions.parquet."""
    content = {corpus: corpus_recipes._asdict() for corpus, corpus_recipes in recipes.items()}
    return json.dumps(content, sort_keys=True, ensure_ascii=False).encode()


def _recipes(entry: Any) -> CorpusRecipes | None:
    """The recipes of one corpus; None for what Earmark did not write: recipes describe and decide nothing."""
    if not isinstance(entry, dict) or not isinstance(entry.get("partitions"), dict):
        return None
    partitions = {name: recipe for name, recipe in entry["partitions"].items() if isinstance(recipe, dict)}
    return CorpusRecipes(str(entry.get("kind", "")), partitions, str(entry.get("sha256", "")))
