"""What is in a corpus, for a terminal: a few lines, a histogram of durations, and the sizes of families."""

import sys
from collections.abc import Iterable, Mapping
from typing import Any

from earmark.cli.say import columns
from earmark.engine.printable import printable, shortened, shortened_apart

_BAR, _LEAST_BAR = 40, 8  # characters of the longest bar, where there is room for it and where there is not
_LEAST_NAME = 8


def corpus_table(description: Mapping[str, Any], *, everything: bool) -> list[str]:
    """The lines of what `describe.describe` returns; with `everything` all rows left out, not some of each reason."""
    lines = [_first_line(description), _options(description), *_columns(description["columns"])]
    lines += _left_out(description["left_out"], everything)
    if description["audio"] is not None:
        lines += ["", *_audio(description["audio"], everything)]
    for partition in description["partitions"]:
        lines += ["", *_partition(partition, description)]
    if not description["partitions"]:
        labels = ", ".join(f"{printable(name)} has {n} families" for name, n in description["labels"].items())
        named = f"name a label with --by ({labels})" if labels else "name a label with --by"
        lines += ["", f"no families of its own: {named}, bring a --side file, or cluster with --semantic K"]
    if description["written"]:
        lines += ["", f"partitions  {description['written']} (recipe {description['recipe']['sha256'][:12]})"]
    return lines


def _first_line(description: Mapping[str, Any]) -> str:
    several = ""
    if description["recordings_with_several"]:
        most = description["most_per_recording"]
        several = f" ({description['recordings_with_several']} of them with several, up to {most})"
    kind = "" if description["name"] == description["kind"] else f" ({description['kind']})"
    questions, recordings = _count(description["examples"], "question"), _count(description["recordings"], "recording")
    return f"{description['name']}{kind}: {questions} about {recordings}{several}"


def _options(description: Mapping[str, Any]) -> str:
    return "  options: " + ", ".join(
        f"{options['options']} in {_count(options['examples'], 'question')}" for options in description["options"]
    )


def _columns(columns: Mapping[str, str]) -> list[str]:
    """Which column was taken to be what, where a table did not say."""
    width = max(map(len, columns), default=0)
    lines = [f"    {role:<{width}}  {printable(column)}" for role, column in columns.items()]
    return ["  columns (--column ROLE=NAME declares another):", *lines] if columns else []


def _left_out(left_out: Mapping[str, Any], everything: bool) -> list[str]:
    if not left_out["rows"]:
        return ["  left out: nothing"]
    return [f"  left out: {_count(left_out['rows'], 'row')}", *_reasons(left_out, everything)]


def _reasons(listing: Mapping[str, Any], everything: bool) -> list[str]:
    if everything:
        return [f"    {row['where']}: {row['reason']}" for row in listing["all"]]
    return [
        f"    {group['rows']:>6}  {group['reason']} ({', '.join(group['first'])}"
        + (", ...)" if group["rows"] > len(group["first"]) else ")")
        for group in listing["reasons"]
    ]


def _audio(audio: Mapping[str, Any], everything: bool) -> list[str]:
    lines = [f"{_count(audio['clips'], 'clip')}, {_length(audio['total_s'])} together"]
    if audio["shortest_s"] is not None:
        lines[0] += (
            f": {_length(audio['shortest_s'])} to {_length(audio['longest_s'])}, median {_length(audio['median_s'])}"
        )
    lines += _bars((_range(bin_), bin_["clips"], "") for bin_ in _trimmed(audio["histogram"]))
    if audio["cut"]:
        lines.append(f"  cut after 120 s: {_count(audio['cut'], 'clip')}")
    if audio["not_heard"]["clips"]:
        lines += [
            f"  cannot be heard: {_count(audio['not_heard']['clips'], 'clip')}",
            *_reasons(audio["not_heard"], everything),
            "    questions about them fail in a run, which then certifies nothing: put them right, leave them out, or",
            "    declare [rule] max_error_rate (--max-error-rate), which counts them as harm",
        ]
    return lines


def _partition(partition: Mapping[str, Any], description: Mapping[str, Any]) -> list[str]:
    families = partition["families"]
    small = [family["fewest"] for family in families if not family["testable"]]
    lines = [f"{partition['name']}: {_count(len(families), 'family', 'families')}"]
    if small:
        fewest = f"{min(small)}" if min(small) == max(small) else f"{min(small)} to {max(small)}"
        lines[0] += f", {len(small)} too small (fewer than {fewest} recordings)"
    if len(families) == 1:
        lines[0] += ": no family can be the worst"
    middle = description["middle_questions"] if partition["name"] == "semantic" else {}
    return lines + _bars((family["family"], family["n"], _remark(family, middle)) for family in families)


def _remark(family: Mapping[str, Any], middle: Mapping[str, str]) -> str:
    words = [] if family["testable"] else ["too small"]
    if family["recordings"] < family["n"]:
        words.append(f"in {family['recordings']} recordings")
    if family["family"] in middle:
        words.append(middle[family["family"]])
    return ", ".join(words)


def _bars(rows: Iterable[tuple[str, int, str]]) -> list[str]:
    """A line with name, count, bar and remark for each row, as wide as the terminal; where a count is not 0 its bar has
    one mark at least. What is too wide makes bars shorter, then names and remarks.
    """
    table = [(printable(name), count, printable(remark)) for name, count, remark in rows]
    most = max((count for _, count, _ in table), default=0) or 1
    width = columns(sys.stdout)
    longest = max((len(remark) for _, _, remark in table), default=0)
    room = width - len("    1234567  ") + 1  # beside the count
    short = _names(table, max(width // 3, room - _LEAST_BAR - 2 - longest, _LEAST_NAME))
    names = max(map(len, short.values()), default=0)
    room -= names
    longest_bar = min(_BAR, max(room - longest - 2 * (longest > 0), _LEAST_BAR))
    lines = []
    for name, count, remark in table:
        bar = "#" * max(round(longest_bar * count / most), min(count, 1))
        shown = shortened(remark, max(room - len(bar) - 2, _LEAST_BAR))
        lines.append(f"  {short[name]:<{names}} {count:>7}  {bar}{'  ' if bar and shown else ''}{shown}".rstrip())
    return lines


def _names(table: list[tuple[str, int, str]], width: int) -> dict[str, str]:
    """What is shown of each name: so many characters at most, more only where different names would be shown alike."""
    names = {name for name, _, _ in table}
    widths = range(width, max(map(len, names), default=0) + width + 1)
    return next(short for width in widths if (short := shortened_apart(names, width)) is not None)


def _trimmed(histogram: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """A histogram without the empty bins at either end."""
    filled = [i for i, bin_ in enumerate(histogram) if bin_["clips"]]
    return histogram[filled[0] : filled[-1] + 1] if filled else []


def _count(n: int, noun: str, plural: str = "") -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {plural or noun + 's'}"


def _range(bin_: Mapping[str, Any]) -> str:
    return f"over {bin_['from_s']} s" if bin_["to_s"] is None else f"{bin_['from_s']:>3} to {bin_['to_s']:>3} s"


def _length(seconds: float) -> str:
    if seconds >= 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 60:.1f} min" if seconds >= 120 else f"{seconds:.1f} s"
