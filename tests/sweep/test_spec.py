"""A spec is read as it is meant, or refused with the line."""

import json
import re
from pathlib import Path

import pytest
from checked_spec import parse, read

from earmark.engine.design.rule import Rule
from earmark.engine.design.sections import GRIDS
from earmark.engine.design.spec import keys_table
from earmark.engine.design.steps import Arm, steps_of
from earmark.engine.errors import InputError

SPEC = """\
[corpus]
path = "synthetic:certification:20"

[[answerers]]
model = "tiny"
[[answerers]]
model = "models/Other-7B/"

[sweep]
budgets = "main"

[[methods]]
name = "uniform"
[[methods]]
name = "learned_agnostic"
selector = "agnostic-{seed}"
seeds = [1, 2]
[[methods]]
name = "learned_conditioned"
selector = "conditioned-{seed}"
seeds = [1, 2]

[streams]
permuted_global = 2
naive_family = 1

[rule]
tolerances = [0.05, 0.1]
[rule.parents]
a = "b"
"""


def test_what_is_written_is_what_is_read() -> None:
    spec = parse(SPEC)
    assert [answerer.name for answerer in spec.answerers] == ["tiny", "Other-7B"]
    assert spec.budgets == (0.4, 0.2, 0.1, 0.05)
    assert spec.methods[1].place(2) == "agnostic-2"
    assert (spec.rule.tolerances, spec.rule.parents, spec.rule.alpha) == ((0.05, 0.1), {"a": "b"}, 0.025)
    assert parse(SPEC.replace('"main"', '"expanded"')).budgets == tuple(sorted(GRIDS["expanded"][:-1], reverse=True))
    assert parse(SPEC.replace('"main"', "[1, 0.5, 0.25]")).budgets == (0.5, 0.25)


def test_only_what_outcomes_depend_on_is_hashed() -> None:
    hashed = parse(SPEC).sha256()
    assert parse("# a comment\n" + SPEC + '[machine]\ndevice = "cuda"\n').sha256() == hashed
    assert parse(SPEC.replace("0.1]", "0.2]")).sha256() == hashed
    assert parse(SPEC.replace("[1, 2]", "[1, 3]")).sha256() != hashed


def test_the_part_of_a_dataset_that_is_asked_about_is_hashed_where_it_is_given() -> None:
    """A spec that names none is the one that it was before there were such keys: its sweep goes on."""
    for key in ('split = "test"', 'columns = { question = "prompt" }'):
        part = parse(SPEC.replace("[corpus]\n", f"[corpus]\n{key}\n"))
        assert part.sha256() != parse(SPEC).sha256()
        (difference,) = part.differing(parse(SPEC))
        assert (difference.key, difference.now) == (f"[corpus] {key.split()[0]}", None)


def test_what_makes_other_outcomes_is_named_with_both_values() -> None:
    spec = parse(SPEC)

    def differing(text: str) -> list[str]:
        return list(map(str, spec.differing(parse(text))))

    assert differing(SPEC.replace("0.1]", "0.2]") + '[machine]\ndevice = "cuda"\n') == []
    assert differing(SPEC.replace(":20", ":30").replace('"main"', '"main"\nwindow = 3')) == [
        '[corpus] path: "synthetic:certification:20" before, "synthetic:certification:30" now',
        "[sweep] window: 64 before, 3 now",
    ]
    other = SPEC.replace("[1, 2]", "[1, 3]").replace('"tiny"', '"tiny"\ngenerate = 5')
    assert differing(other + "[audits]\nflip_rate = 3\n") == [
        "[[answerers]] tiny: generate: 0 before, 5 now",
        "[[methods]] learned_agnostic: seeds: [1, 2] before, [1, 3] now",
        "[[methods]] learned_conditioned: seeds: [1, 2] before, [1, 3] now",
        "[audits] flip_rate: 200 before, 3 now",
    ]
    more = SPEC.replace('[[methods]]\nname = "uniform"\n', "")
    assert differing(more) == ["[[methods]] uniform: there before, nothing now"]
    assert differing(SPEC.replace('"main"', "[0.5]")) == ["[sweep] budgets: [0.4, 0.2, 0.1, 0.05] before, [0.5] now"]


def test_the_rule_is_read_in_full() -> None:
    declared = (
        'claim = "both"\ncandidates = ["learned_conditioned"]\nlooks = 2\nmax_rows_per_recording = 6\n'
        'allow_vacuous = ["spoken"]\n'
    )
    rule = parse(SPEC.replace("[rule]\n", f"[rule]\n{declared}")).rule
    assert (rule.claim, rule.candidates, rule.looks) == ("both", ("learned_conditioned",), 2)
    assert (rule.max_rows_per_recording, rule.allow_vacuous) == (6, ("spoken",))
    assert parse(SPEC).audits.flip_rate == 200


@pytest.mark.parametrize(
    "candidate",
    [
        "learned_agnostic", "learned_agnostic@2", "tiny/learned_agnostic", "Other-7B/learned_agnostic@1",
        "tiny/anything/learned_agnostic", "tiny/anything/learned_agnostic@1", "uniform@0",
    ],
)  # fmt: skip
def test_a_candidate_is_a_method_perhaps_of_an_answerer_and_a_corpus(candidate: str) -> None:
    content = SPEC.replace("[rule]\n", f'[rule]\ncandidates = ["{candidate}"]\n')
    assert parse(content).rule.candidates == (candidate,)
    named = parse(content.replace("[corpus]", '[corpus]\nname = "anything"', 1))
    assert candidate in named.candidate_names("anything")


@pytest.mark.parametrize(
    "candidate",
    [
        "learned", "learned_agnostic@3", "other/learned_agnostic", "tiny/learned", "tiny//learned_agnostic",
        "tiny/else/learned_agnostic", "tiny/anything/learned_agnostic@", "learned_agnostic/tiny",
    ],
)  # fmt: skip
def test_a_candidate_that_names_no_method_is_refused_with_its_line(candidate: str) -> None:
    content = SPEC.replace("[rule]\n", f'[rule]\ncandidates = ["uniform", "{candidate}"]\n')
    content = content.replace("[corpus]", '[corpus]\nname = "anything"', 1)
    expected = f'line 29 [rule] candidates[1] = "{candidate}": is no method of this spec; '
    with pytest.raises(InputError, match=re.escape(expected) + "(choose from uniform, |did you mean )learned"):
        parse(content)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('"main"', "[0.5, 1.4]", "line 10 [sweep] budgets[1] = 1.4: must be a share in (0, 1]"),
        ('"main"', "[1.0]", "line 10 [sweep] budgets = [1.0]: must have a budget below 1"),
        ('"main"', '"mein"', 'line 10 [sweep] budgets = "mein": must be main, expanded or a list'),
        ('"main"', '"main"\nwindow = true', "line 11 [sweep] window = true: must be a whole number"),
        ("budgets =", "budgts =", 'line 10 [sweep] budgts = "main": is an unknown key; did you mean budgets?'),
        ("[streams]", "[stream]", "line 23 [stream]: is an unknown section; did you mean streams?"),
        (
            "path =",
            "pth =",
            'line 2 [corpus] pth = "synthetic:certification:20": is an unknown key; did you mean path?',
        ),
        ("permuted_global = 2", "permuted_global = 12", "line 24 [streams] permuted_global = 12: must be a whole"),
        ("naive_family = 1", 'family = "need"', 'line 25 [streams] family = "need": says nothing'),
        ('"models/Other-7B/"', '"x/tiny"', 'line 7 [answerers] model = "x/tiny": is the name of two answerers'),
        ("[1, 2]", "[1, 1]", "line 17 [methods] seeds[1] = 1: stands twice"),
        ("agnostic-{seed}", "agnostic", 'line 16 [methods] selector = "agnostic": must hold {seed}'),
        ('selector = "agnostic-{seed}"\n', "", 'line 15 [methods] name = "learned_agnostic": must be one of uniform'),
        ('"uniform"', '"uncompressed"', 'line 13 [methods] name = "uncompressed": is the raw reference'),
        ('"uniform"', '"silence"', 'line 13 [methods] name = "silence": is the control, which is always run'),
        ('"uniform"', '"uniform"\nseeds = [1, 2]', "line 14 [methods] seeds = [1, 2]: must be one seed"),
        ("0.1]", "0.0]", "line 28 [rule] tolerances = [0.05, 0.0]: no finite sample can show it"),
        ("[rule]", "[rule]\nalpha = 0.9", "line 28 [rule] alpha = 0.9: must be a number in [1e-06, 0.5)"),
        ("[rule]", '[rule]\nloss = "nll"', 'line 28 [rule] loss = "nll": has no bound'),
        ("[rule]", '[rule]\nreference_answerer = "me"', 'line 28 [rule] reference_answerer = "me": is no answerer'),
        ('a = "b"', "a = 3", "line 29 [rule] parents: must be a table of FAMILY = PARENT"),
        ("[rule]", "[partitions]\nencoder = 'e'\n[rule]", 'line 28 [partitions] encoder = "e": says nothing'),
        ("[rule]", "[machine]\ndevice = 'tpu'\n[rule]", 'line 28 [machine] device = "tpu": must be cpu, cuda'),
        ('[corpus]\npath = "synthetic:certification:20"', "corpus = 3", "line 1 corpus: must be a section [corpus]"),
        ("[[answerers]]\n", "[answerers]\n", "is not TOML"),
        ("0.1]", f"1{'0' * 400}]", "line 28 [rule] tolerances[1] = 1000"),
        ("0.1]", f"1{'0' * 5000}]", "is not TOML"),
        ("0.1]", f"0x1{'0' * 5000}]", "line 28 [rule] tolerances[1] = a huge number: must be a number"),
        ("[rule]", "[rule]\ntolerance_average = nan", "line 28 [rule] tolerance_average = nan: must be a number"),
        ("[rule]", "[rule]\ntolerance_average = 2", "line 28 [rule] tolerance_average = 2: must be in [0, 1)"),
        ("[rule]", "[rule]\ntolerance_average = 0", "line 28 [rule] tolerance_average = 0: no finite sample"),
        (
            "[rule]",
            '[rule]\nclaim = "routing"\ntolerance_average = 0.01',
            "cannot hold a tighter one of the average; leave the average its default, or claim a budget",
        ),
        (
            "[rule]",
            'family = "need"\n[partitions]\nnames = ["native"]\n[rule]',
            'line 27 [streams] family = "need": is no partition of this spec; choose from native',
        ),
        (
            "learned_agnostic",
            "other",
            "line 25 [streams] naive_family = 1: compares learned_conditioned with learned_ag",
        ),
        ("permuted_global = 2\nnaive_family = 1", "seed = 3", "line 24 [streams] seed = 3: says nothing"),
        (
            '"uniform"',
            '"uniform"\nin_domain = true',
            "line 14 [methods] in_domain = true: says nothing: uniform is not",
        ),
    ],
)
def test_what_is_wrong_is_refused_with_its_line(old: str, new: str, expected: str) -> None:
    assert old in SPEC
    with pytest.raises(InputError, match=re.escape(expected)) as refused:
        parse(SPEC.replace(old, new, 1))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("key", "value", "wanted"),
    [
        ("alpha", 0.5, "a number in [1e-06, 0.5)"),
        ("tolerances", -0.1, "a number from 0"),
        ("max_error_rate", 1.0, "a number in [0, 1)"),
        ("replicates", 99, "a whole number from 100 to 1000000"),
        ("seed", -1, "a whole number from 0 to 9223372036854775807"),
        ("min_family", 0, "a whole number from 1 to 1000000000"),
        ("looks", 0, "a whole number from 1 to 100"),
        ("looks", 101, "a whole number from 1 to 100"),
        ("max_rows_per_recording", 0, "a whole number from 1 to 1000000000"),
        ("claim", "hope", "budget, routing or both"),
    ],
)
def test_a_key_of_the_rule_is_refused_in_the_same_words_wherever_it_stands(
    key: str, value: float | str, wanted: str
) -> None:
    many = key == "tolerances"
    written = SPEC.replace("tolerances = [0.05, 0.1]", f"{key} = {json.dumps([value] if many else value)}")
    with pytest.raises(InputError, match=re.escape(f"must be {wanted}; change it")):
        parse(written)
    with pytest.raises(InputError, match=re.escape(f"{value}: must be {wanted}; change it")):
        Rule(**{key: (value,) if many else value})


def test_what_a_rule_lists_is_given_once_and_at_least_once() -> None:
    with pytest.raises(InputError, match="candidate energy: stands twice; give each once"):
        Rule(candidates=("energy", "energy"))
    with pytest.raises(InputError, match="tolerance: must be a list of a number from 0; give at least one"):
        Rule(tolerances=())


METHOD = """\
[corpus]
path = "synthetic:certification:20"
[[answerers]]
model = "tiny"
[sweep]
budgets = [0.5, 0.25]
[[methods]]
{keys}
"""


@pytest.mark.parametrize(
    ("keys", "compressor", "selector", "axis", "budgets"),
    [
        ('name = "energy"', "chunks", "energy", "seconds", (0.5, 0.25)),
        ('name = "mine"\nselector = "energy"', "chunks", "energy", "seconds", (0.5, 0.25)),
        ('name = "energy"\ncompressor = "chunks"\nbudgets = [0.1, 0.9]', "chunks", "energy", "seconds", (0.9, 0.1)),
        ('name = "frames"', "frames", "", "seconds", (0.5, 0.25)),
        ('name = "opus"\nbitrates = [8, 32, 256]', "opus", "", "bits", (0.125, 0.03125)),
        ('name = "low"\ncompressor = "opus"\nbudgets = [0.1]', "opus", "", "bits", (0.1,)),
        ('name = "gsm"', "gsm", "", "bits", (26 / 256,)),
        ('name = "gsm"\nbitrates = [26]', "gsm", "", "bits", (26 / 256,)),
        ('name = "x"\ncompressor = "av:libopus"\nbitrates = [16]', "av:libopus", "", "bits", (0.0625,)),
        ('name = "speed"\nfactors = [1, 1.25, 2]', "speed", "", "duration", (0.8, 0.5)),
        ('name = "lowpass"\ncutoffs = [2, 4]', "lowpass", "", "bandwidth", (0.5, 0.25)),
        ('name = "x"\ncompressor = "a.b:c"', "a.b:c", "", "own", (0.5, 0.25)),
        ('name = "x"\ncompressor = "a.b:c"\nbitrates = [64]', "a.b:c", "", "own", (0.25,)),
        ('name = "x"\ncompressor = "theirs"\naxis = "duration"\nfactors = [4]', "theirs", "", "duration", (0.25,)),
        ('name = "mine"\ncommand = "x {in} {out}"\naxis = "bits"\nbitrates = [64]', "", "", "bits", (0.25,)),
        ('name = "gsm"\nbudgets = [0.1015625, 1]', "gsm", "", "bits", (26 / 256,)),
        ('name = "learned_tokens"\nselector = "a"', "learned_tokens", "a", "positions", (0.5, 0.25)),
        ('name = "x"\ncompressor = "learned_tokens"\nselector = "a"', "learned_tokens", "a", "positions", (0.5, 0.25)),
        ('name = "fastv"\nlayer = 1', "fastv", "", "layers", (0.5, 0.25)),
        ('name = "uniform_layers"\nlayer = 0\nsized = true', "uniform_layers", "", "layers", (0.5, 0.25)),
        ('name = "x"\ncompressor = "kv_random"\nseeds = [1, 2]', "kv_random", "", "cache", (0.5, 0.25)),
        ('name = "kv_snap"\nafter = "opus@0.1"', "kv_snap", "", "cache", (0.5, 0.25)),
    ],
)
def test_a_method_has_a_compressor_and_budgets_of_its_own(
    keys: str, compressor: str, selector: str, axis: str, budgets: tuple[float, ...]
) -> None:
    (method,) = parse(METHOD.format(keys=keys)).methods
    assert (method.compressor, method.selector, method.counted_on) == (compressor, selector, axis)
    assert method.budgets == budgets


BROUGHT = 'name = "x"\ncompressor = "mine:f"\n'


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ('name = "chunks"', 'line 8 [methods] name = "chunks": must be one of uniform, random, energy, frames, opus,'),
        ('name = "x"\ncompressor = "chunks"', 'line 9 [methods] compressor = "chunks": keeps chunks, but no selector'),
        ('name = "x"\ncompressor = "av:"', 'line 9 [methods] compressor = "av:": names no encoder; write "av:libopus"'),
        (
            'name = "x"\ncompressor = "opus"\nselector = "energy"',
            'line 10 [methods] selector = "energy": says nothing: opus has no selector; leave it out, or set',
        ),
        (
            'name = "x"\ncompressor = "opus"\ncommand = "x {in} {out}"',
            'line 9 [methods] compressor = "opus": stands beside command; leave out one of the two',
        ),
        (
            'name = "x"\nselector = "energy"\ncommand = "x {in} {out}"',
            'line 9 [methods] selector = "energy": stands beside command; leave out one of the two',
        ),
        ('name = "x"\ncommand = "{in} {out}"', 'begins with no program; write "PROGRAM {in} {out}"'),
        ('name = "gsm"\nbudgets = [1]', "must be 26 kb/s: gsm has no other"),
        ('name = "opus"\ncompressor = "mp3"', "is the name of a compressor, and this is another one; give it another"),
        ('name = "opus"\ncommand = "x {in} {out}"', "is the name of a compressor, and this is another one"),
        (
            'name = "learned_tokens"',
            'line 8 [methods] name = "learned_tokens": keeps audio tokens, but no trained selector says which; set sel',
        ),
        (
            'name = "x"\ncompressor = "learned_tokens"\nselector = "energy"',
            'line 10 [methods] selector = "energy": keeps audio tokens, but no trained selector says which; set',
        ),
        (
            'name = "learned_tokens"\nselector = "a"\nseeds = [1, 2]',
            'line 9 [methods] selector = "a": must hold {seed}, as there are several seeds',
        ),
        ('name = "speed"\nselector = "energy"', "is the name of a compressor, and this is another one"),
        ('name = "uniform"\ncompressor = "opus"', "is the name of a selector, and this is another one"),
        (
            'name = "x_conditioned"\ncompressor = "opus"\n[[methods]]\nname = "x_agnostic"\nselector = "energy"',
            "makes a pair of x_agnostic and x_conditioned, whose budgets are shares of different things",
        ),
        ('name = "x"\ncommand = "x {in}"', 'line 9 [methods] command = "x {in}": must hold {in} and {out}'),
        ('name = "x"\ncommand = " "', 'line 9 [methods] command = " ": must be a command with {in} and {out}'),
        ('name = "opus"\naxis = "bits"', 'line 9 [methods] axis = "bits": says nothing: opus has its own'),
        ('name = "energy"\naxis = "seconds"', 'line 9 [methods] axis = "seconds": says nothing: chunks has its own'),
        (BROUGHT + 'axis = "bit"', 'line 10 [methods] axis = "bit": must be seconds, duration, bits, bandwidth or own'),
        ('name = "energy"\ntimeout_s = 9', "line 9 [methods] timeout_s = 9: says nothing: chunks are cut at once"),
        ('name = "opus"\ntimeout_s = 0', "line 9 [methods] timeout_s = 0: must be a number in [0.1, 86400]"),
        (
            'name = "opus"\nbudgets = [0.1]\nbitrates = [8]',
            "line 10 [methods] bitrates = [8]: stands beside budgets; give budgets in one unit",
        ),
        (
            'name = "energy"\nbitrates = [8]',
            "line 9 [methods] bitrates = [8]: says nothing: chunks counts seconds that are kept, not kb/s",
        ),
        (
            'name = "opus"\nfactors = [2]',
            "line 9 [methods] factors = [2]: says nothing: opus counts bits, of 256 kb/s, not x; give budgets or",
        ),
        (
            'name = "speed"\ncutoffs = [2]',
            "says nothing: speed counts the time that it lasts, not kHz; give budgets or factors",
        ),
        (
            BROUGHT + 'axis = "duration"\nbitrates = [12]',
            "says nothing: mine:f counts the time that it lasts, not kb/s; give budgets or factors",
        ),
        (
            'name = "x"\ncommand = "x {in} {out}"\naxis = "seconds"\ncutoffs = [2]',
            "line 11 [methods] cutoffs = [2]: says nothing: a command counts seconds that are kept, not kHz",
        ),
        ('name = "opus"\nbitrates = [300]', "line 9 [methods] bitrates[0] = 300: must be a number in [0.1, 256]"),
        ('name = "opus"\nbitrates = [8, 8]', "line 9 [methods] bitrates[1] = 8: stands twice"),
        ('name = "opus"\nbitrates = []', "line 9 [methods] bitrates = []: must be a list of a number"),
        ('name = "opus"\nbitrates = [256]', "line 9 [methods] bitrates = [256]: must have a budget below 1"),
        ('name = "speed"\nfactors = [0.5]', "line 9 [methods] factors[0] = 0.5: must be a number in [1, 100]"),
        ('name = "speed"\nfactors = [1]', "line 9 [methods] factors = [1]: must have a budget below 1"),
        ('name = "lowpass"\ncutoffs = [9]', "line 9 [methods] cutoffs[0] = 9: must be a number in [0.05, 8]"),
        (
            'name = "opus"\nbudgets = [0.3, 0.30000000000000004]',
            "[methods] budgets = [0.3, 0.30000000000000004]: has the",
        ),
        ('name = "gsm"\nbitrates = [13]', "line 9 [methods] bitrates = [13]: must be 26 kb/s: gsm has no other; leave"),
        ('name = "gsm"\nbudgets = [0.5]', "line 9 [methods] budgets = [0.5]: must be 26 kb/s: gsm has no other; leave"),
        ('name = "opus"\nseeds = [1, 2]', "line 9 [methods] seeds = [1, 2]: must be one seed: opus draws nothing"),
        (
            'name = "x"\ncommand = "x {in} {out}"\nseeds = [1, 2]',
            "line 10 [methods] seeds = [1, 2]: must be one seed: a command draws nothing",
        ),
        (
            'name = "opus"\nin_domain = true',
            "line 9 [methods] in_domain = true: says nothing: opus is not trained here",
        ),
        ('name = "opus"\nsized = true', "line 9 [methods] sized = true: says nothing of opus; leave it out"),
        ('name = "pool"\nwindow_s = 2', "line 9 [methods] window_s = 2: says nothing of pool; leave it out"),
        ('name = "ltbm"\npivots = 2', "line 9 [methods] pivots = 2: says nothing of ltbm; leave it out"),
        ('name = "pool"\ntimeout_s = 2', "line 9 [methods] timeout_s = 2: says nothing: the answerer reduces tokens"),
        ('name = "pool"\nseeds = [1, 2]', "line 9 [methods] seeds = [1, 2]: must be one seed: pool draws nothing"),
        ('name = "pool"\nbitrates = [2]', "line 9 [methods] bitrates = [2]: says nothing: pool counts audio positions"),
        (BROUGHT + 'axis = "positions"', 'line 10 [methods] axis = "positions": must be seconds, duration, bits,'),
        ('name = "pool"\nafter = "opus"', 'line 9 [methods] after = "opus": is no COMPRESSOR@BUDGET; name one of'),
        ('name = "pool"\nafter = "pool@0.5"', 'line 9 [methods] after = "pool@0.5": is no COMPRESSOR@BUDGET; name'),
        ('name = "pool"\nafter = "gsm@12kbps"', 'line 9 [methods] after = "gsm@12kbps": is not the one that the'),
        ('name = "uniform"\nafter = "opus@0.5"', 'line 9 [methods] after = "opus@0.5": says nothing of chunks'),
        ('name = "pool"\nlayer = 2', "line 9 [methods] layer = 2: says nothing of pool; leave it out"),
        ('name = "kv_snap"\nlayer = 2', "line 9 [methods] layer = 2: says nothing of kv_snap; leave it out"),
        ('name = "fastv"\nlayer = 0', "line 9 [methods] layer = 0: leaves fastv nothing to look at: no layer has att"),
        ('name = "heads"\nlayer = -1', "line 9 [methods] layer = -1: must be a whole number of layers from 0"),
        ('name = "fastv"\nsized = true', "line 9 [methods] sized = true: says nothing of fastv; leave it out"),
        ('name = "kv_random"\nsized = true', "line 9 [methods] sized = true: says nothing of kv_random; leave it"),
        ('name = "kv_keydiff"\nseeds = [1, 2]', "line 9 [methods] seeds = [1, 2]: must be one seed: kv_keydiff draws"),
        ('name = "fastv"\ntimeout_s = 2', "line 9 [methods] timeout_s = 2: says nothing: the answerer reduces tokens"),
        (BROUGHT + "in_domain = true", "line 10 [methods] in_domain = true: says nothing: mine:f is not trained here"),
    ],
)
def test_what_a_compressor_cannot_have_is_refused_with_its_line(keys: str, expected: str) -> None:
    with pytest.raises(InputError, match=re.escape(expected)) as refused:
        parse(METHOD.replace("{keys}", keys))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["pool", "fastv", "kv_random"])
def test_what_acts_inside_is_refused_of_a_server_before_it_is_asked(name: str) -> None:
    served = METHOD.format(keys=f'name = "{name}"').replace('model = "tiny"', 'model = "openai:http://box/v1#m"')
    expected = f"is a server, which hears waves: {name} would change what its model computes; leave these methods out"
    with pytest.raises(InputError, match=rf"line \d+ \[answerers\] model: {re.escape(expected)}") as refused:
        parse(served)
    assert "box" not in str(refused.value)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('corpus.path = "x"\nsweep.window = 2\nsweep.budgets = [1.4]', "line 3 [sweep] budgets[0] = 1.4: must be"),
        ('corpus.path = "x"\nsweep = {window = 0}', "line 2 [sweep] window = 0: must be"),
        ('corpus.path = "x"\nsweep = {budgets = [\n0.5], "window" = 0}', "line 3 [sweep] window = 0: must be"),
        (
            'corpus = {path = "x"}\nanswerers = [\n  {model = "a"},\n  {model = "a", dtype = "int4"},\n]',
            'line 4 [answerers] dtype = "int4": must be',
        ),
        (
            'corpus = {path = "x"}\nanswerers = [\n  {model = "a"},\n  {model = "b/a"},\n]',
            'line 4 [answerers] model = "b/a": is the name of two answerers',
        ),
        ('\ncorpus = {kind = "x"}', "line 2 [corpus]: lacks path"),
    ],
)
def test_sections_without_a_header_have_lines_too(content: str, expected: str) -> None:
    whole = content
    for section in ('answerers = [{model = "m"}]', 'methods = [{name = "uniform"}]'):
        whole += "" if section.split()[0] in whole else f"\n{section}"
    with pytest.raises(InputError, match=re.escape(expected)):
        parse(whole)


def test_permuted_questions_need_someone_who_reads_them() -> None:
    content = re.sub(r"\[\[methods\]\]\nname = \"learned(.|\n)*?seeds = \[1, 2\]\n", "", SPEC)
    with pytest.raises(InputError, match=r"line 15 \[streams\]: permutes questions, but no method reads them"):
        parse(content)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="earmark init"):
        read(tmp_path / "spec.toml")


def test_raw_comes_first_then_budgets_from_the_largest_then_permuted_questions() -> None:
    made = steps_of(parse(SPEC), {"learned_conditioned"})
    assert [step.name for step in made] == [
        "raw", "silence", "anchor-0.4", "anchor-0.2", "anchor-0.1", "anchor-0.05",
        "streams-1", "streams-0.4", "streams-0.2", "streams-0.1", "streams-0.05",
    ]  # fmt: skip
    assert made[0].arms == (Arm("uncompressed", 0, "anchor"),)
    assert made[1].arms == (Arm("silence", 0, "anchor"),)
    assert len(made[2].arms) == 5
    assert len({step.name for step in steps_of(parse(SPEC.replace('"main"', "[0.3, 0.30000001]")), ())}) == 4
    assert made[6].arms == (Arm("uncompressed", 0, "naive-family-1"),)
    asked = {(arm.method, arm.stream) for arm in made[7].arms}
    assert asked == {
        ("learned_agnostic", "naive-family-1"),  # its gain in that stream needs it; permuted, it would hear the same
        ("learned_conditioned", "permuted-global-1"),
        ("learned_conditioned", "permuted-global-2"),
        ("learned_conditioned", "naive-family-1"),
    }


def test_the_documentation_has_every_key_as_it_is_checked() -> None:
    page = (Path(__file__).parents[2] / "docs" / "run.md").read_text()
    assert keys_table() in page
