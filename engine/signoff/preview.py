"""Outcomes of part of the examples approve nothing: the mark of such a run folder.

Looking early and stopping where it looks good would break the bound on false approvals; `rules.verdict` is given the
mark when it decides. Knows no verdicts and no outcomes.
"""

import os
from pathlib import Path
from typing import Annotated, NamedTuple

from earmark.engine.design.fields import COUNT
from earmark.engine.design.keys import PREVIEW_MARK
from earmark.engine.errors import InputError
from earmark.engine.reading import read_json
from earmark.engine.signoff.json_form import Named

_MOST_BYTES = 1 << 16  # of a mark


class Preview(NamedTuple):
    """How many examples of a corpus have outcomes."""

    n_examples: Annotated[int, "that have outcomes", COUNT, Named("examples")]
    n_in_corpus: Annotated[int, "of so many", COUNT, Named("of")]

    @property
    def reason(self) -> str:
        """Why nothing is approved."""
        return f"a preview ({self.n_examples:,} of {self.n_in_corpus:,} examples) approves nothing"


def read(run: Path) -> Preview | None:
    """The mark of a run folder; None where its outcomes are of all examples."""
    path = run / PREVIEW_MARK
    if not os.path.lexists(path):
        return None
    mark = read_json(path, "run the preview again", _MOST_BYTES)
    counts = [mark.get(key) for key in ("examples", "of")] if isinstance(mark, dict) else []
    n_examples, n_in_corpus = (n if type(n) is int else 0 for n in counts or [None] * 2)
    if not 1 <= n_examples <= n_in_corpus:
        raise InputError(path, "is not the mark of a preview (examples <= of)", "run the preview again")
    return Preview(n_examples, n_in_corpus)


def warnings(preview: Preview | None) -> list[str]:
    """A sentence that a reader must see first, where there is a preview."""
    why = "Looking early and stopping where it looks good would break alpha."
    return [] if preview is None else [f"{preview.reason[0].upper()}{preview.reason[1:]}. {why}"]
