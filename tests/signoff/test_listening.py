"""Does the benchmark listen? Answerers that need no audio, compressors that keep none, and what is said of them."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import worlds
from as_json import certify
from commands import command
from page import Page
from page import words as words_of

from earmark.engine.design.keys import CellKey
from earmark.engine.design.rule import Rule
from earmark.engine.errors import InputError
from earmark.engine.outcomes.store import write_cell

N, OPTIONS = 800, "ABCD"
QUICK = Rule(replicates=200)


def answered(run: Path, answers: dict[str, np.ndarray], *, options: bool = True, **columns: list[str]) -> Path:
    """A run of two families from the answers to raw audio, to silence, and to a method at one budget each."""
    right = np.random.default_rng(0).integers(4, size=N)
    for name, given in answers.items():
        method, _, budget = name.partition("@")
        rows = {
            "sample_id": [f"s{i:04d}" for i in range(N)],
            "query_family": ["x"] * (N // 2) + ["y"] * (N // 2),
            "loss": (given != right).astype(float).tolist(),
            "predicted_label": [OPTIONS[a] for a in given],
            "correct_label": [OPTIONS[a] for a in right],
            **({"n_options": [4] * N} if options else {}),
            **columns,
        }
        write_cell(run, CellKey("tiny", "sounds", method, budget=float(budget or 1)), rows)
    return run


def heard(share: float = 1.0, seed: int = 1, accuracy: float = 0.95) -> np.ndarray:
    """Answers that follow the audio in a share of the questions, and elsewhere the text, which knows no answer."""
    rng, right = np.random.default_rng(seed), np.random.default_rng(0).integers(4, size=N)
    listens = np.random.default_rng(9).random(N) < share
    text = np.random.default_rng(8).integers(4, size=N)
    return np.where(listens, np.where(rng.random(N) < accuracy, right, (right + 1) % 4), text)


def silenced(share: float = 1.0) -> np.ndarray:
    """The same without any sound: what followed the audio is a guess."""
    listens = np.random.default_rng(9).random(N) < share
    text = np.random.default_rng(8).integers(4, size=N)
    return np.where(listens, np.random.default_rng(7).integers(4, size=N), text)


def said_everywhere(run: Path, words: str, *options: str) -> int:
    """The exit code of `certify`, whose terminal and certificate say so, and whose page does in its units."""
    done = command("certify", run, "--replicates", 200, *options)
    assert words in done.out
    certificate = json.loads((run / "certificate.json").read_bytes())
    assert words in json.dumps(certificate, ensure_ascii=False)
    written = re.sub(r"(?<=[, ])0\.\d+", lambda match: f"{float(match[0]):.0%}", words)
    assert written in words_of(Page((run / "report.html").read_text()).by_id("claim"))
    return done.code


def test_an_answerer_that_listens_is_approved(tmp_path: Path) -> None:
    run = answered(tmp_path, {"uncompressed": heard(), "silence": silenced(), "m@0.5": heard()})
    done = command("certify", run, "--replicates", 200)
    assert (done.code, done.out.splitlines()[0]) == (0, "approved: m at budget 0.5; every family within 0.05")
    (result,) = json.loads((run / "certificate.json").read_bytes())["results"]
    assert [(f["hearing"], f["chance"], f["raw_accuracy"] > 0.9) for f in result["families"]] == [
        ("listens", 0.25, True)
    ] * 2
    assert "(guessing: 75.0% wrong)" in done.out


def test_a_guesser_is_named_and_nothing_is_approved(tmp_path: Path) -> None:
    constant = np.zeros(N, dtype=int)
    run = answered(tmp_path / "silence", dict.fromkeys(("uncompressed", "silence", "m@0.5"), constant))
    assert said_everywhere(run, "vacuous: silence would pass the same test") == 3
    imported = answered(tmp_path / "none", dict.fromkeys(("uncompressed", "m@0.5"), constant))
    assert said_everywhere(imported, "one answer to nearly everything") == 3
    varied = np.random.default_rng(5).integers(4, size=N)
    chance = answered(tmp_path / "chance", dict.fromkeys(("uncompressed", "m@0.5"), varied))
    assert said_everywhere(chance, "not shown to be better than guessing") == 3
    assert said_everywhere(chance, "; the same holds of 1 more family.") == 3
    assert "No silence control for tiny on sounds" in command("certify", chance, "--replicates", 200).out


def test_a_guesser_is_the_first_reason_of_a_refusal_and_no_rows_are_asked_for(tmp_path: Path) -> None:
    varied = np.random.default_rng(5).integers(4, size=N)
    run = answered(tmp_path, {"uncompressed": varied, "m@0.5": np.roll(varied, 1)})
    lines = command("certify", run, "--replicates", 200).out.splitlines()
    assert lines[0].startswith("refused: m: 'x' (")
    assert "is not shown to be better than guessing; 'y' (" in lines[0]
    (advice,) = (line for line in lines if line.startswith("  m (query_family"))
    assert advice.startswith("  m (query_family, 0.05): 'x' (")
    assert advice.endswith("or declare it beforehand (--allow-vacuous x)")
    for words in ("rows of it give", "are needed", "new rows of", "untestable"):
        assert words not in lines[0] + advice


def test_what_passes_without_any_audio_is_called_vacuous_on_the_terminal(tmp_path: Path) -> None:
    run = answered(tmp_path, dict.fromkeys(("uncompressed", "silence", "m@0.5"), np.zeros(N, dtype=int)))
    out = command("certify", run, "--replicates", 200).out
    assert "see the claim above" not in out
    assert "  m       query_family  vacuous  0.5" in out
    assert "nothing is approved on that, however few answers change" in out
    allowed = command("certify", run, "--replicates", 200, "--allow-vacuous", "x", "--allow-vacuous", "y").out
    assert "  m       query_family  passes  0.5" in allowed


def test_harm_in_a_family_that_listens_stands_beside_one_that_does_not(tmp_path: Path) -> None:
    raw, half = heard(), heard()
    half[: N // 4] = (half[: N // 4] + 1) % 4  # half of 'x' is wrong
    guessed = np.random.default_rng(5).integers(4, size=N)
    raw[N // 2 :] = half[N // 2 :] = guessed[N // 2 :]  # and 'y' is guessed
    lines = command("certify", answered(tmp_path, {"uncompressed": raw, "m@0.5": half}), "--replicates", 200).out
    refused, *_ = lines.splitlines()
    assert refused.startswith("refused: m: 'y' (")
    assert "; at 0.5, the excess of 'x' that was seen is " in refused
    assert "besides, harm at 0.5" in lines


def test_an_answerer_that_follows_the_text_in_most_questions_is_named(tmp_path: Path) -> None:
    answers = {"uncompressed": heard(0.2), "silence": silenced(0.2), "m@0.5": heard(0.2)}
    run = answered(tmp_path, answers)
    words = "answered from the text: most answers are the same without any sound"
    assert said_everywhere(run, words) == 3
    allowed = command("certify", run, "--replicates", 200, "--allow-vacuous", "x", "--allow-vacuous", "y")
    assert allowed.code == 0
    assert "This was declared (allow_vacuous)." in allowed.out
    assert command("certify", run, "--replicates", 200, "--allow-vacuous", "x").code == 3
    wrong = command("certify", run, "--allow-vacuous", "z")
    assert (wrong.code, wrong.err) == (2, "error: allow-vacuous z: is no family of the run; choose from x, y\n")


def test_a_deaf_compressor_is_named_and_refused(tmp_path: Path) -> None:
    answers = {"uncompressed": heard(), "silence": silenced(), "m@0.9": silenced(), "m@0.5": silenced()}
    run = answered(tmp_path, answers)
    assert said_everywhere(run, "tiny/sounds/m seed 0 gets the answers of silence at 0.5, 0.9: it is deaf there.") == 3


def test_a_copy_of_raw_audio_is_named(tmp_path: Path) -> None:
    run = answered(
        tmp_path,
        {"uncompressed": heard(), "silence": silenced(), "m@0.5": heard()},
        kept_hash=[f"h{i}" for i in range(N)],
    )
    words = "tiny/sounds/m seed 0 is a copy of raw audio at 0.5 (every kept_hash is raw's)"
    assert said_everywhere(run, words) == 3
    refused = command("certify", run, "--replicates", 200).out
    assert "refused: m: at 0.5 every row is raw audio: nothing was compressed there" in refused


def test_a_column_that_looks_like_recordings_is_named_until_it_is_settled(tmp_path: Path) -> None:
    losses = [0.0] * 400
    recording = [f"clip{i // 4}.wav" for i in range(400)]
    for method, budget in (("uncompressed", 1.0), ("m", 0.5)):
        folder = tmp_path / f"cells/answerer=tiny/corpus=sounds/method={method}/budget={budget}"
        rows = {"sample_id": [f"s{i}" for i in range(400)], "query_family": ["x"] * 400, "loss": losses}
        worlds.write_parts(folder, {**rows, "recording": recording, "comment": ["same"] * 400}, parts=2)
    words = (
        "Column 'recording' of cells/answerer=tiny/corpus=sounds/method=uncompressed/seed=0/stream=anchor/budget=1.0"
    )
    assert said_everywhere(tmp_path, words) == 0
    named = certify(tmp_path, Rule(replicates=200, source="recording"))
    assert (named["results"][0]["sources"], named["results"][0]["families"][0]["test"]) == (100, "bets")
    none = certify(tmp_path, Rule(replicates=200, source="none"))
    assert none["results"][0]["sources"] == 400
    for made in (named, none):
        assert not any("looks like the recording" in warning for warning in made["warnings"])
    with pytest.raises(InputError, match="has no such column"):
        certify(tmp_path, Rule(replicates=200, source="speaker"))


def test_doubts_of_an_import_are_carried_into_the_certificate(tmp_path: Path) -> None:
    lines = [
        {"sample_id": f"s{i}", "recording": f"clip{i // 4}.wav", "query_family": "x", "loss": 0.0, "n_options": 4,
         "predicted_label": "AB"[i % 2], "correct_label": "AB"[i % 2]}
        for i in range(400)
    ]  # fmt: skip
    for name in ("raw", "half"):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    run = tmp_path / "run"
    arguments = ("jsonl", tmp_path / "raw.jsonl", f"m@0.5={tmp_path / 'half.jsonl'}", "--out", run)
    done = command("import", *arguments, "--answerer", "tiny", "--corpus", "sounds")
    assert done.code == 0
    assert said_everywhere(run, "looks like the recording of a question and repeats") == 0
    assert "every answer is that of the raw log" in command("certify", run, "--replicates", 200).out


def test_a_silent_row_that_failed_does_not_make_silence_harmful(tmp_path: Path) -> None:
    run = answered(tmp_path, dict.fromkeys(("uncompressed", "m@0.5"), heard()))
    constant = heard()
    right = np.random.default_rng(0).integers(4, size=N)
    write_cell(run, CellKey("tiny", "sounds", "silence"), {
        "sample_id": [f"s{i:04d}" for i in range(N)], "query_family": ["x"] * (N // 2) + ["y"] * (N // 2),
        "loss": [None if i % 2 else float(constant[i] != right[i]) for i in range(N)],
        "predicted_label": [None if i % 2 else OPTIONS[constant[i]] for i in range(N)],
        "correct_label": [OPTIONS[a] for a in right], "status": ["ok", "out of memory"] * (N // 2),
    })  # fmt: skip
    made = certify(run, Rule(replicates=200, max_error_rate=0.6))
    assert [f["hearing"] for f in made["results"][0]["families"]] == ["vacuous", "vacuous"]


def test_options_that_are_known_of_most_rows_are_enough_to_see_a_guesser(tmp_path: Path) -> None:
    varied = np.random.default_rng(5).integers(4, size=N)
    known = [None, None] + [4] * (N - 2)
    run = answered(tmp_path, dict.fromkeys(("uncompressed", "m@0.5"), varied), options=False, n_options=known)
    assert said_everywhere(run, "not shown to be better than guessing") == 3


def test_the_papers_rule_does_not_approve_what_needs_no_audio(tmp_path: Path) -> None:
    run = answered(tmp_path, dict.fromkeys(("uncompressed", "silence", "m@0.5"), np.zeros(N, dtype=int)))
    done = command("certify", run, "--rule", "paper", "--replicates", 200)
    assert (done.code, "answered from the text" in done.out.splitlines()[0]) == (3, True)


def test_losses_that_look_like_accuracies_are_doubted_where_nothing_was_imported(tmp_path: Path) -> None:
    right = (heard(accuracy=0.8) == np.random.default_rng(0).integers(4, size=N)).astype(float)
    harmed = np.where(np.arange(N) % 9 == 0, 0.0, right)
    budgets = {0.5: harmed.tolist(), 0.8: right.tolist()}
    run = worlds.write_run(tmp_path, right.tolist(), {"m": budgets}, ["x"] * (N // 2) + ["y"] * (N // 2))
    doubts = [text for text in certify(run, QUICK)["warnings"] if "are the losses accuracies?" in text]
    assert len(doubts) == 1
    assert doubts[0].startswith(f"tiny/sounds/m seed 0 anchor: raw audio is wrong in {right.mean():.1%} and this in ")
    turned = worlds.write_run(tmp_path / "turned", (1 - right).tolist(), {"m": {0.5: (1 - harmed).tolist()}}, ["x"] * N)
    assert not [text for text in certify(turned, QUICK)["warnings"] if "accuracies" in text]


def test_a_family_without_any_raw_answer_is_not_called_vacuous(tmp_path: Path) -> None:
    labels, n = ["x"] * 100 + ["y"] * 100, 200
    columns = {("uncompressed", 1.0): {"status": ["broken"] * 100 + ["ok"] * 100, "loss": [None] * 100 + [0.0] * 100}}
    run = worlds.write_run(tmp_path, [0.0] * n, {"m": {0.5: [0.0] * n}}, labels, per_cell=columns)
    made = certify(run, Rule(replicates=200, max_error_rate=0.6))
    broken, _ = made["results"][0]["families"]
    assert (broken["raw_accuracy"], broken["hearing"]) == (None, "unknown")
