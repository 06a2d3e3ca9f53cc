"""Logs that the harnesses wrote themselves, of a model that only pretends: imported and certified as their users would.

tests/fixtures/harness_logs/make_logs.py made them: 60 recordings, asked about by two tasks, raw and at 0.6 and 0.2.
"""

import json
import zipfile
from pathlib import Path

import pytest
from commands import Done, command

LOGS = Path(__file__).parents[1] / "fixtures" / "harness_logs" / "logs.zip"
RECORDINGS = {"lm-eval": "doc.recording", "lmms-eval": "heard_right.recording", "inspect-json": "metadata.recording"}
NAMES = {"lm-eval": [], "lmms-eval": [], "inspect-json": ["--corpus", "clips"]}


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("logs")
    with zipfile.ZipFile(LOGS) as archive:
        archive.extractall(folder)
    return folder


def kind_of(harness: str) -> str:
    return harness.removesuffix("-json")


def imported(logs: Path, harness: str, out: Path, *options: str) -> Done:
    arms = [logs / harness / budget for budget in ("1", "0.6", "0.2")]
    done = command("import", kind_of(harness), *arms, "--out", out, *NAMES[harness], *options)
    assert done.code == 0, done.err
    return done


@pytest.mark.parametrize("harness", RECORDINGS)
def test_a_group_of_tasks_is_imported_with_the_budgets_that_the_logs_say(
    logs: Path, harness: str, tmp_path: Path
) -> None:
    done = imported(logs, harness, tmp_path / "run", "--source", RECORDINGS[harness])
    assert done.err == ""
    assert f"read from {logs / harness / '0.6'}: method=energy (model_args), budget=0.6 (model_args)" in done.out
    assert "families: by task ('sound', 'speech'); --family would name a field" in done.out
    assert done.out.count("corpus=clips") == 3
    assert "method=energy/seed=0/stream=anchor/budget=0.2: 120 rows, 2 families, loss 0.2500" in done.out
    certified = command("certify", tmp_path / "run", "--tolerance", 0.1, "--replicates", 200)
    assert certified.code == 0
    assert "approved: energy at budget 0.6; every family within 0.1" in certified.out
    assert "120 questions from 60 recordings, 8.3% wrong on raw audio" in certified.out
    assert "warning: From the import" not in certified.out


@pytest.mark.parametrize("harness", ["lm-eval", "lmms-eval", "inspect-json"])
def test_doubts_about_recordings_are_printed_and_certified(logs: Path, harness: str, tmp_path: Path) -> None:
    doubt = f"field '{RECORDINGS[harness]}' looks like the recording of a question and repeats: 60 values in 120 rows"
    done = imported(logs, harness, tmp_path / "run")
    assert done.err.startswith(f"look at this: {logs / harness / '1'}: {doubt}")
    certified = command("certify", tmp_path / "run", "--tolerance", 0.1, "--replicates", 200)
    assert doubt in certified.out


def test_a_field_is_the_family_where_it_is_named(logs: Path, tmp_path: Path) -> None:
    arms = (logs / "lm-eval" / "1", logs / "lm-eval" / "0.6")
    done = command("import", "lm-eval", *arms, "--family", "doc.question", "--source", "none", "--out", tmp_path / "r")
    assert "120 rows, 120 families" in done.out
    assert "families: by task" not in done.out


def test_both_formats_of_inspect_give_the_same_rows(logs: Path, tmp_path: Path) -> None:
    arms = (logs / "inspect-eval" / "1", logs / "inspect-json" / "0.6")
    done = command("import", "inspect", *arms, "--corpus", "clips", "--source", "none", "--out", tmp_path / "run")
    assert (done.code, done.err) == (0, "")
    again = (logs / "inspect-json" / "1", logs / "inspect-json" / "0.6")
    done = command("import", "inspect", *again, "--corpus", "clips", "--source", "none", "--out", tmp_path / "run")
    assert (done.code, done.out.count("already there")) == (0, 2)


def test_one_task_of_a_run_is_its_own_log(logs: Path, tmp_path: Path) -> None:
    raw, compressed = (next((logs / "lm-eval" / budget).rglob("samples_speech*")) for budget in ("1", "0.6"))
    done = command("import", "lm-eval", raw, compressed, "--out", tmp_path / "run")
    assert "which field is the family of a question?" in done.err
    assert "or --family none for a single one" in done.err
    done = command("import", "lm-eval", raw, compressed, "--family", "none", "--out", tmp_path / "run")
    assert "corpus=speech" in done.out
    assert "60 rows, 1 families" in done.out


def test_a_results_file_stands_for_its_run_where_runs_share_a_folder(logs: Path, tmp_path: Path) -> None:
    shared = tmp_path / "mock-ears"
    shared.mkdir()
    results = []
    for budget in ("1", "0.6"):
        for path in (logs / "lm-eval" / budget / "mock-ears").iterdir():
            (shared / path.name).write_bytes(path.read_bytes())
            results += [shared / path.name] if path.name.startswith("results_") else []
    done = command("import", "lm-eval", shared, *results[1:], "--out", tmp_path / "run")
    assert "holds two logs of task 's" in done.err
    assert "or the results file of a run, which stands for all that belong to it" in done.err
    done = command("import", "lm-eval", *results, "--source", "doc.recording", "--out", tmp_path / "run")
    assert (done.code, done.out.count("120 rows")) == (0, 2)


@pytest.mark.parametrize("harness", ["vlmeval", "vlmeval-tsv"])
def test_scored_tables_of_vlmevalkit(logs: Path, harness: str, tmp_path: Path) -> None:
    arms = (logs / harness / "1", f"energy@0.6={logs / harness / '0.6'}", f"energy@0.2={logs / harness / '0.2'}")
    done = command("import", "vlmeval", *arms, "--source", "recording", "--out", tmp_path / "run")
    assert (done.code, done.err) == (0, "")
    assert "answerer=mock-ears/corpus=CLIPS/method=uncompressed/seed=0/stream=anchor/budget=1.0: 120 rows" in done.out
    certified = command("certify", tmp_path / "run", "--tolerance", 0.1, "--replicates", 200)
    assert "approved: energy at budget 0.6; every family within 0.1" in certified.out


def test_other_tables_of_vlmevalkit_are_refused(logs: Path, tmp_path: Path) -> None:
    folder = next((logs / "vlmeval" / "1").rglob("*_acc.csv")).parent
    rest = (f"energy@0.6={logs / 'vlmeval' / '0.6'}", "--out", tmp_path / "run")
    done = command("import", "vlmeval", folder / "mock-ears_CLIPS.xlsx", *rest)
    assert "has no column 'hit' (there are 'index', 'question', " in done.err
    assert "give the table that VLMEvalKit's evaluation wrote (*_result.xlsx)" in done.err
    done = command("import", "vlmeval", folder / "mock-ears_CLIPS_acc.csv", *rest)
    assert "is no .xlsx, .tsv or .json: a .csv of VLMEvalKit has averages, not rows" in done.err


def test_json_says_what_was_read(logs: Path, tmp_path: Path) -> None:
    content = json.loads(imported(logs, "lm-eval", tmp_path / "run", "--source", "none", "--json").out)
    assert content["families"] == "by task ('sound', 'speech'); --family would name a field"
    arguments = [cell["arguments"] for cell in content["cells"]]
    assert arguments == [None, *(f"method=energy (model_args), budget={b} (model_args)" for b in (0.6, 0.2))]
    record = json.loads((tmp_path / "run" / "import.json").read_text())
    assert len(record["logs"]) == 6  # each of two tasks
