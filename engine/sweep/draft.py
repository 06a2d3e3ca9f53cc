"""A first spec for a corpus that was looked at, with the families that can be tested there, as commented TOML.

Knows what `engine.corpus.describe` says of a corpus; evaluates nothing and writes no file.
"""

import json
from collections.abc import Mapping
from typing import Any

_CANDIDATES = ("energy",)  # of the template's methods all but the baselines

_TEMPLATE = """\
# Earmark evaluates what stands here: earmark run {file}
# Every key is described in docs/run.md. Paths are relative to where the command is typed.

[corpus]                # {examples:,} questions about {recordings:,} recordings
path = {path}
{kind}name = {name}

[[answerers]]           # repeat the section for a second answerer
model = {model}
dtype = "{dtype}"
generate = {generate}            # greedy tokens from which the letter is parsed; 0: the likeliest letter

[sweep]
budgets = "main"        # {main}; "expanded" has eleven, or write your own: [0.25, 0.5]
window = 64             # recordings that are answered together; a kill costs at most one window

[[methods]]             # raw audio and silence are always asked about
name = "uniform"

[[methods]]
name = "random"
seeds = [0]

[[methods]]
name = "energy"

# [[methods]]           # a learned selector: a folder or an .onnx file, one per seed
# name = "learned_conditioned"
# selector = "selectors/conditioned-{{seed}}"
# seeds = [42, 123, 456]
# in_domain = false     # true declares that it was trained on recordings of this corpus

[streams]               # how often the questions are permuted, for selectors that read them (up to 10)
permuted_global = 0     # the selector is shown another example's question
permuted_family = 0     # ... of the same family
naive_global = 0        # the answerer gets it too: the control
naive_family = 0

[partitions]            # the families whose worst one decides; declared now, before any outcome is seen
{partitions}
[rule]                  # what will be approved, and how surely; declared now, as well
candidates = [{candidates}] # what may be shipped; each further one shares alpha, so name your selector instead
claim = "budget"        # one budget for all questions; "routing": one for each family; "both" shares alpha again
tolerances = [{tolerance:g}]     # allowed excess error of the worst family
alpha = {alpha:g}           # accepted chance of a false approval
{parents}
[audits]
flip_rate = 200         # raw questions that are answered twice: the noise under every excess; 0: none

[machine]               # no result depends on it but for last bits
device = "{device}"
batch_tokens = {batch_tokens}
kv_mib = {kv_mib}
clip_mib = {clip_mib}
"""


def draft(
    corpus: Mapping[str, Any],
    *,
    file: str,
    path: str,
    kind: str | None,
    model: str,
    dtype: str,
    device: str,
    budgets: str,
    tolerance: float,
    alpha: float,
) -> str:
    """The text of a spec; `said` is what `describe` says of the corpus."""
    large = device != "cpu"
    return _TEMPLATE.format(
        file=file,
        examples=corpus["examples"],
        recordings=corpus["recordings"],
        path=_toml(path),
        kind=f"kind = {_toml(kind)}\n" if kind else "",
        name=_toml(corpus["name"]),
        model=_toml(model),
        dtype=dtype,
        generate=5 if large else 0,
        main=budgets,
        partitions=_partitions(corpus),
        tolerance=tolerance,
        alpha=alpha,
        candidates=", ".join(map(_toml, _CANDIDATES)),
        parents=_parents(corpus),
        device=device,
        batch_tokens=16384 if large else 8192,
        kv_mib=32768 if large else 512,
        clip_mib=4096 if large else 512,
    )


def _partitions(corpus: Mapping[str, Any]) -> str:
    """The names that have words for families, and as comments which families are large enough."""
    lines = []
    for partition in corpus["partitions"]:
        families = partition["families"]
        testable = [f"{f['family']} ({f['recordings']})" for f in families if f["testable"]]
        small = [f"{f['family']} ({f['recordings']} of {f['fewest']})" for f in families if not f["testable"]]
        lines.append(f"# {partition['name']}: {len(testable)} of {len(families)} families can be tested")
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


def _toml(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
