"""The paper's classifier of a category: the first group with a keyword in it is its family (method 6)."""

GENERAL = "general"  # where no keyword is in it
GROUPS = (  # method 6: the first group with a keyword in the category wins
    ("speech_content", ("speech", "asr", "transcript", "spoken", "language", "word", "phrase")),
    ("paralinguistic", ("emotion", "speaker", "accent", "gender", "paralinguis", "prosody", "pitch")),
    ("sound_event", ("event", "detection", "sound_event", "source")),
    ("sound_scene", ("scene", "environment", "ambient", "location")),
    ("music", ("music", "instrument", "genre", "melody", "rhythm", "song")),
    ("temporal", ("temporal", "count", "timing", "order", "when", "duration", "time")),
)


def infer_family(category: str) -> str:
    """The family of a category by the paper's classifier: the first group with a keyword that is in it."""
    lowered = category.lower()
    return next((family for family, keywords in GROUPS if any(word in lowered for word in keywords)), GENERAL)
