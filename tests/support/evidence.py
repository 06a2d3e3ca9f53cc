"""Where the evidence for a synthetic question is: what the labels of an example say."""

from earmark.engine.corpus.example import Example


def relevant_slots(example: Example) -> tuple[int, ...]:
    """The slots that hold evidence for a synthetic example, those that decide first."""
    return tuple(int(slot) for slot in example.labels["relevant"].split())
