"""How the partitions of a run folder were made: the recipes in the metadata of its partitions.parquet.

Knows Parquet metadata and JSON; no corpus and no model. `partition_file` writes them.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from earmark.engine.corpus.partition import CorpusRecipes
from earmark.engine.outcomes.store import PARTITIONS
from earmark.engine.reading import check_inside, check_regular, parse_json

_AGAIN = "make it again with `earmark corpus --out`"
RECIPES_KEY = b"earmark.partitions"


def read_recipes(run: Path) -> dict[str, CorpusRecipes]:
    """The recipes of a run folder by corpus; empty where nothing says how its partitions were made."""
    path = run / PARTITIONS
    if not os.path.lexists(path):
        return {}
    check_inside(path, run, _AGAIN)
    check_regular(path, _AGAIN)
    try:
        metadata = pq.read_schema(path).metadata or {}
    except (pa.ArrowException, OSError, UnicodeDecodeError):
        return {}  # whether it is a partitions file at all, its own reader says
    entries = parse_json(metadata.get(RECIPES_KEY, b"{}"), f"{path}, how partitions were made", _AGAIN)
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
