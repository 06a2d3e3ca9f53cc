"""The answer in an lm-eval or lmms-eval row, whose `filtered_resps` hold a text or a likelihood per option.

Also the row that is made of it. Knows nothing of files, filters or folders.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from earmark.engine.outcomes.imports.option_counts import count_choices
from earmark.engine.outcomes.imports.record import Record, as_number
from earmark.engine.outcomes.imports.rows import Fields, LogRow, log_row

_MOST_DIGITS = 10  # of the place of an option


class Response(NamedTuple):
    """What a row says about the model's answer."""

    answer: str | None  # "" where there was none, None where the row does not tell
    nll: float | None = None  # of the right answer
    n_options: int | None = None  # options that were scored


def scored_row(record: Record, fields: Fields, own: Fields, prompt: str, task: str | None) -> LogRow:
    """One sample of either harness; `prompt` is the field that tells whether two rows asked the same."""
    answer, nll, n_options = response(record.data)
    return log_row(
        record,
        fields,
        own,
        loss=1 - record.share(fields.metric or "", "--metric"),
        answer=answer,
        nll=nll,
        n_options=n_options or count_choices(record.get("doc.choices"), record.get("doc.options")),
        question={"prompt": record.own_text(prompt), "target": record.own_text("target")},
        doc_hash=record.own_text("doc_hash"),
        task=task,
    )


def response(row: Mapping[str, Any]) -> Response:
    """The response of a row: the generated text, or the place (0, 1, ...) of the most likely option as a text."""
    answered = row.get("filtered_resps")
    likelihoods = _likelihoods(answered)
    if likelihoods is None:
        while isinstance(answered, list) and len(answered) == 1:
            answered = answered[0]
        return Response(answered if isinstance(answered, str) else None)
    if "acc_mutual_info" in row:  # the second half are the same options without the question
        likelihoods = likelihoods[: len(likelihoods) // 2]
    best = max(range(len(likelihoods)), key=likelihoods.__getitem__)
    target = str(row.get("target"))
    if not (target.isdecimal() and len(target) < _MOST_DIGITS and int(target) < len(likelihoods)):
        return Response(str(best), n_options=len(likelihoods))
    # The log-likelihood of the option's text as it stands: neither normalised over the options nor by length.
    right = likelihoods[int(target)]
    return Response(str(best), max(0.0, -right) if math.isfinite(right) else None, len(likelihoods))


def _likelihoods(answered: Any) -> list[float] | None:
    """The log-likelihoods of [[log-likelihood, is greedy], ...] (as numbers or texts), or None for anything else."""
    if not isinstance(answered, list) or len(answered) < 2:
        return None
    likelihoods = []
    for option in answered:
        if not (isinstance(option, list) and len(option) == 2 and str(option[1]) in ("True", "False")):
            return None
        number = as_number(option[0])
        if number is None or math.isnan(number):
            return None
        likelihoods.append(number)
    return likelihoods
