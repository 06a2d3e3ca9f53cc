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
    """How many examples of a corpus have outcomes."""

    n_examples: int
    n_in_corpus: int

    @property
    def reason(self) -> str:
        """Why nothing is approved."""
        return f"a preview ({self.n_examples:,} of {self.n_in_corpus:,} examples) approves nothing"

    def entry(self) -> dict[str, Any]:
        """As the certificate has it."""
        return {"examples": self.n_examples, "of": self.n_in_corpus}


def read(run: Path) -> Preview | None:
    """The mark of a run folder; None where its outcomes are of all examples."""
    path = run / PREVIEW_MARK
    if not path.exists():
        return None
    try:
        mark = json.loads(path.read_bytes())
        return Preview(int(mark["examples"]), int(mark["of"]))
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(path, "is not the mark of a preview", "run the preview again") from None


def warnings(preview: Preview | None) -> list[str]:
    """A sentence that a reader must see first, where there is a preview."""
    why = "Looking early and stopping where it looks good would break alpha."
    return [] if preview is None else [f"{preview.reason[0].upper()}{preview.reason[1:]}. {why}"]


def withhold(results: Iterable[dict[str, Any]], preview: Preview) -> None:
    """Turn every approval of a budget below 1 into an inconclusive verdict, in `results` themselves."""
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
