"""Copies the cards of learned selectors into the run folder, where the sign-off looks for what they were trained on."""

import json
from pathlib import Path
from typing import Any

from earmark.engine.compressors import loading
from earmark.engine.compressors.card import CARD
from earmark.engine.design.sections import HEURISTICS
from earmark.engine.design.spec import Spec
from earmark.engine.errors import InputError
from earmark.engine.outcomes.run_cards import write_card


def write(spec: Spec, run: Path) -> None:
    """RUN/selectors/METHOD/seed=S.json for every learned selector, with what the spec declares."""
    for method in spec.methods:
        for seed in method.seeds:
            if method.selector in HEURISTICS:
                continue
            place = loading.place(method.place(seed))
            path = (place if place.is_dir() else place.parent) / CARD
            try:
                card = dict(json.loads(path.read_bytes()))
            except (OSError, TypeError, ValueError) as error:
                what = f"selector of {method.name} has no card that can be read ({error})"
                raise InputError(path, what, "train it again, or keep its card.json beside it") from None
            if place.suffix == ".onnx":
                _check_made_from(card, path, place)
            write_card(run, method.name, seed, card | {"in_domain": method.in_domain})


def _check_made_from(card: dict[str, Any], path: Path, graph: Path) -> None:
    """InputError where the card beside a graph is another selector's: the guard would compare the wrong sources."""
    from earmark.engine.compressors.chunks.graph_selector import open_session, read_graph

    if card.get("weights") != read_graph(open_session(graph), graph).selector:
        raise InputError(path, f"is not the card of {graph.name}", "copy the card.json that was exported with it")
