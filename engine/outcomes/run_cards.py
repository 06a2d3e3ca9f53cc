"""The cards of learned selectors in a run folder, and the fingerprints by which they name what trained them.

RUN/selectors/METHOD/seed=S.json is a copy of a selector's card.json. Knows no selector and no torch.
"""

import hashlib
import json
import re
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, unquote

from earmark.engine.compressors.card import MOST_CARD_BYTES, Card, parse_card
from earmark.engine.errors import InputError
from earmark.engine.files import write_files
from earmark.engine.outcomes.input_file import InputFile
from earmark.engine.reading import check_inside, read_bytes

_AGAIN = "copy it from the selector again"
FOLDER = "selectors"


class RunCard(NamedTuple):
    """One card of a run folder."""

    method: str
    seed: int
    card: Card
    file: InputFile


def write_card(run: Path, method: str, seed: int, card: Card) -> Path:
    """Write a selector's card into the run folder whose outcomes it selected for; returns its path."""
    name = quote(method, safe="")
    name = name.replace(".", "%2E") if name in (".", "..") else name  # no way up
    path = f"{FOLDER}/{name}/seed={seed}.json"
    write_files(run, {path: (json.dumps(card, indent=1, ensure_ascii=False) + "\n").encode()})
    return run / path


def read_cards(run: Path) -> list[RunCard]:
    """All cards of a run folder, ordered by method and seed; InputError where one cannot be read."""
    cards = []
    for path in sorted((run / FOLDER).glob("*/seed=*.json")):
        seed = re.fullmatch(r"seed=([0-9]{1,18})\.json", path.name)
        check_inside(path, run, _AGAIN)
        data = read_bytes(path, _AGAIN, MOST_CARD_BYTES)
        card = parse_card(data, path)
        if seed is None or "trained_on" not in card:
            raise InputError(path, "is no card of a seed that names its training sources", _AGAIN)
        file = InputFile(path.relative_to(run).as_posix(), hashlib.sha256(data).hexdigest(), rows=1)
        cards.append(RunCard(unquote(path.parent.name), int(seed[1]), card, file))
    return sorted(cards, key=lambda run_card: (run_card.method, run_card.seed))
