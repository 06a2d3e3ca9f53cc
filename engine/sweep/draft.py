"""A first spec for a corpus that was looked at, with the families that can be tested there, as commented TOML.

What stands behind a key and holds by default is its field's. Knows what `engine.corpus.describe` says of a corpus;
evaluates nothing and writes no file.
"""

import json
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from earmark.engine.design.endpoint import is_served
from earmark.engine.design.fields import default_of, fields_of
from earmark.engine.design.rule import Rule
from earmark.engine.design.sections import (
    MOST_PERMUTATIONS,
    AnswererSpec,
    AuditsSpec,
    CorpusSpec,
    MachineSpec,
    MethodSpec,
    PartitionsSpec,
    StreamsSpec,
    SweepKeys,
)
from earmark.engine.errors import InputError
from earmark.engine.printable import escape_hidden, printable
from earmark.engine.sweep.drafted_compressors import method_keys

_LEARNED = {
    "name": "learned_conditioned",
    "selector": "selectors/learned_conditioned/seed={seed}",  # where `earmark selector train` writes
    "seeds": [42, 123, 456],
    "in_domain": False,
}
_YOURS = {"name": "mine", "compressor": "package.module:function", "axis": "bits", "bitrates": [64, 32]}
_CLIPS = 20  # recordings that a drafted run keeps to listen to; who writes a spec by hand asks for them
_COLUMN = 24  # where remarks begin
_WIDTH = 120
_BESIDE_A_GPU: dict[str, int] = {"generate": 5, "batch_tokens": 16384, "kv_mib": 32768, "clip_mib": 4096}
_HEAD = """\
# Earmark evaluates what stands here: earmark run {file}
# Every key is described in docs/run.md. Paths are relative to where the command is typed.
"""


def draft(
    corpus: Mapping[str, Any],
    *,
    file: str,
    named: Mapping[str, Any],
    model: str,
    dtype: str | None,
    device: str,
    tolerance: float,
    alpha: float,
    compressors: Sequence[str] = (),
) -> str:
    """The text of a spec; `corpus` is what `describe` says, and no `dtype` is the one that suits the device.

    `named` are the keys of [corpus] that were typed, others empty. `compressors` of waves stand beside what keeps
    chunks, and are the candidates.
    """
    large = device != "cpu"
    suited = _BESIDE_A_GPU if large else {}
    named = {**{key: value for key, value in named.items() if value}, "name": corpus["name"]}
    size = f"{corpus['examples']:,} questions about {corpus['recordings']:,} recordings"
    suiting = "bfloat16" if large else default_of(AnswererSpec, "dtype")
    dtype = dtype or (None if is_served(model) else suiting)  # a server decides it
    answerer = {"model": model, **({"dtype": dtype} if dtype else {})}
    sweep = {"budgets": "main", **_defaults(SweepKeys, "window", "until")}
    streams = _defaults(StreamsSpec, "permuted_global", "permuted_family", "naive_global", "naive_family")
    rule = {
        "candidates": candidates_of(compressors),
        "claim": default_of(Rule, "claim"),
        "tolerances": [tolerance],
        "alpha": alpha,
    }
    machine = {"device": device, **_defaults(MachineSpec, "batch_tokens", "kv_mib", "clip_mib")}
    sections = [
        _HEAD.format(file=printable(file)),
        _section("[corpus]", CorpusSpec, named, size),
        _section(
            "[[answerers]]",
            AnswererSpec,
            answerer | _defaults(AnswererSpec, "generate") | _of(suited, "generate"),
            "repeat the section for a second answerer",
        ),
        _section("[sweep]", SweepKeys, sweep),
        *_methods(compressors),
        _section("[streams]", StreamsSpec, streams, f"other questions, up to {MOST_PERMUTATIONS} times each"),
        _section("[partitions]", PartitionsSpec, {}) + _partitions(corpus),
        _section("[rule]", Rule, rule, _to_choose(rule["candidates"])) + _parents(corpus),
        _section("[audits]", AuditsSpec, {**_defaults(AuditsSpec, "flip_rate"), "clips": _CLIPS}),
        _section("[machine]", MachineSpec, machine | _of(suited, "batch_tokens", "kv_mib", "clip_mib")),
    ]
    return "\n".join(sections)


def candidates_of(compressors: Sequence[str]) -> list[str]:
    """What a draft with these compressors of waves declares that may be shipped."""
    return [method_keys(compressor)["name"] for compressor in compressors] or ["energy"]


def _to_choose(candidates: Sequence[str]) -> str:
    """A remark where there are several candidates."""
    return (
        f"choose from {len(candidates)} candidates: each has alpha / {len(candidates)}" if len(candidates) > 1 else ""
    )


def _methods(compressors: Sequence[str]) -> list[str]:
    """The sections of methods: what keeps chunks, compressors of waves, and as comments what may be added.

    A key is explained where it stands first.
    """
    explained: set[str] = set()

    def method(values: Mapping[str, Any], remark: str = "") -> str:
        about = {key: entry.in_plain_words for key, entry in fields_of(MethodSpec).items() if key not in explained}
        explained.update(values)
        lines = [_remarked(f"{key} = {_toml(value)}", about.get(key, "")) for key, value in values.items()]
        return "\n".join([_remarked("[[methods]]", remark), *lines]) + "\n"

    drafted = [
        method({"name": "uniform"}, "raw audio and silence are always asked about"),
        method({"name": "random", "seeds": [0]}),
        method({"name": "energy"}),
        *(method(method_keys(compressor)) for compressor in compressors),
    ]
    examples = [] if compressors else [method(method_keys("opus"), "a codec; init --compressors all drafts more")]
    examples += [method(_YOURS, "your own: docs/compressors.md"), method(_LEARNED, "a learned selector, for each seed")]
    return [*drafted, *(textwrap.indent(example, "# ") for example in examples)]


def _section(header: str, described: Any, values: Mapping[str, Any], remark: str = "") -> str:
    """A section with these values, each with what it is for; the remark is the section's own where none is given."""
    about = {key: entry.in_plain_words for key, entry in fields_of(described).items()}
    keys = [_remarked(f"{key} = {_toml(value)}", about[key]) for key, value in values.items()]
    return "\n".join([_remarked(header, remark or _first_sentence(described)), *keys]) + "\n"


def _remarked(line: str, remark: str) -> str:
    """A line with a remark behind it, or above it where both are too long for one."""
    if not remark:
        return line
    whole = f"{line:<{_COLUMN - 1}} # {remark}"
    if len(whole) <= _WIDTH:
        return whole
    return "\n".join([*textwrap.wrap(remark, _WIDTH, initial_indent="# ", subsequent_indent="# "), line])


def _first_sentence(described: Any) -> str:
    """What a section is, as its class says it."""
    sentence = (described.__doc__ or "").partition(".")[0].partition("\n")[0]
    return sentence[:1].lower() + sentence[1:]


def _defaults(described: Any, *keys: str) -> dict[str, Any]:
    return {key: default_of(described, key) for key in keys}


def _of(values: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    return {key: values[key] for key in keys if key in values}


def _partitions(corpus: Mapping[str, Any]) -> str:
    """The names that have words for families, and as comments which families are large enough."""
    lines = []
    for partition in corpus["partitions"]:
        families = partition["families"]
        testable = [f"{printable(f['family'])} ({f['recordings']})" for f in families if f["testable"]]
        small = [
            f"{printable(f['family'])} ({f['recordings']} of {f['fewest']})" for f in families if not f["testable"]
        ]
        lines.append(f"# {printable(partition['name'])}: {len(testable)} of {len(families)} families can be tested")
        lines += _wrapped("recordings", testable) + _wrapped("too few recordings", small)
    names = [partition["name"] for partition in corpus["partitions"]]
    if not names:
        lines.append("# the corpus brings no families: add a side file or semantic clusters")
        lines += ['# side = "families.csv"', "# semantic = 12"]
    else:
        lines.append(f"names = [{', '.join(map(_toml, names))}]")
    return "\n".join(lines) + "\n"


def _parents(corpus: Mapping[str, Any]) -> str:
    """As a comment, where a family goes that is too small; nothing where none is."""
    small = [f["family"] for partition in corpus["partitions"] for f in partition["families"] if not f["testable"]]
    if not small:
        return ""
    return (
        "# [rule.parents]        # a family that cannot be tested refuses every budget: merge it with others\n"
        f'# {_toml(small[0])} = "other"\n'
    )


def _wrapped(what: str, names: list[str]) -> list[str]:
    """Comment lines of at most five names each, twenty names in all."""
    shown = names[:20] + ([f"and {len(names) - 20} more"] if len(names) > 20 else [])
    rows = [", ".join(shown[i : i + 5]) for i in range(0, len(shown), 5)]
    return [f"#   {what + ':' if i == 0 else '':<28} {row}".rstrip() for i, row in enumerate(rows)]


def _toml(value: Any) -> str:
    """A text, a number, a truth value or a list of them, which JSON writes alike but for how it escapes, or a table.

    InputError for a text that no file in UTF-8 can hold.
    """
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{_toml(key)} = {_toml(entry)}' for key, entry in value.items())} }}"
    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InputError(text, "is not UTF-8, and a spec is", "rename it") from None
    return escape_hidden(text, lambda char: f"\\U{ord(char):08x}")
