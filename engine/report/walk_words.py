"""What a sweep that stopped when it was decided asked, in words for page, terminal and card alike.

Every number is the certificate's own. Knows typography only.
"""

from collections.abc import Sequence

from earmark.engine.report.numbers import count, percent, significant
from earmark.engine.signoff.claim_entry import Claim
from earmark.engine.signoff.preview import Preview
from earmark.engine.signoff.walk_entry import WalkEntry, WalkTest, asked_share


def asked_words(walks: Sequence[WalkEntry], preview: Preview | None) -> str:
    """How many answers on compressed audio were asked for, and of how many; of a `preview` so far."""
    share_asked = asked_share(walks)
    rows, of_rows = share_asked
    if rows == of_rows:
        return f"all {count(rows)} answers on compressed audio; those that came after it was decided change no verdict"
    until = "until it was decided" if preview is None else "so far"
    share = percent(float(significant(share_asked.share, 2)))
    return f"{count(rows)} of {count(of_rows)} answers on compressed audio ({share}), {until}"


def state_words(test: WalkTest) -> str:
    """How a test ended, and after how many units: `given up after 48 of 400 rows`."""
    if not test.asked:
        return f"too small to pass, with {count(test.of)} {test.unit}"
    if test.state == "open":
        return f"not decided after {_seen(test)}, when its walk ended"
    return f"{test.state} after {_seen(test)}"


def _seen(test: WalkTest) -> str:
    if test.asked == test.of:
        return f"all {count(test.of)} {test.unit}"
    return f"{count(test.asked)} of {count(test.of)} {test.unit}"


def not_asked(walk: WalkEntry) -> str:
    """Why a budget has no answers: `not asked: decided after 412 of 6,000`; or that it has none yet."""
    if not any(test.state in ("failed", "given up") for test in walk.tests):
        return "not asked yet"
    rows, of_rows = asked_share([walk])
    return f"not asked: decided after {count(rows)} of {count(of_rows)}"


def all_rows_or(test: WalkTest) -> str:
    """The family that a test is about, or that it is about all rows."""
    return "all rows" if test.family is None else test.family


def level_of(claim: Claim) -> float:
    """The level of every test of a method's own walk."""
    level = claim.routing_level if claim.level is None else claim.level
    return claim.alpha if level is None else level
