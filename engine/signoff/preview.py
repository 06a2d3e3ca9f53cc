"""Outcomes of part of the examples approve nothing: the mark of such a run folder, and what it withholds.

Looking early and stopping where it looks good would break the bound on false approvals. Knows verdicts, no outcomes.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from earmark.engine.design.keys import PREVIEW_MARK
from earmark.engine.errors import InputError


class Preview(NamedTuple):
    """How much of the corpus there is."""

    examples: int
    of: int

    @property
    def reason(self) -> str:
        return f"a preview ({self.examples:,} of {self.of:,} examples) approves nothing"


def read(run: Path) -> Preview | None:
    """The mark of a run folder; None where its outcomes are of all examples."""
    path = run / PREVIEW_MARK
    if not path.exists():
        return None
    try:
        found = json.loads(path.read_bytes())
        return Preview(int(found["examples"]), int(found["of"]))
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(path, "is not the mark of a preview", "run the preview again") from None


def warnings(preview: Preview | None) -> list[str]:
    """What a reader must know first."""
    why = "Looking early and stopping where it looks good would break alpha."
    return [] if preview is None else [f"{preview.reason[0].upper()}{preview.reason[1:]}. {why}"]


def withhold(results: Iterable[dict[str, Any]], preview: Preview) -> None:
    """Take back every approval of a budget below 1, in place."""
    for result in results:
        result["routing"] = []
        for entry in result["budgets"]:
            for decision in entry["decisions"]:
                if decision["decision"] == "approve" and entry["budget"] < 1:
                    decision |= {"decision": "inconclusive", "reason": preview.reason}
        for certified in result["certified"]:
            if certified["budget"] is not None and certified["budget"] < 1:
                advice = {"action": "finish", "families": [], "text": "finish the sweep: a verdict takes all examples"}
                certified |= {"budget": None, "reason": preview.reason, "next": advice}
