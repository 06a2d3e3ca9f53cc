"""Every `earmark import` in docs/import.md and in its own help, run on small logs of the kind that it is about."""

import json
import re
import shlex
import zipfile
from collections.abc import Iterator
from pathlib import Path

import log_fixtures as logs
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from commands import command
from importing import imported

ROOT = Path(__file__).parents[2]
HARNESS_LOGS = ROOT / "tests" / "fixtures" / "harness_logs" / "logs.zip"


def commands(text: str) -> Iterator[str]:
    """The commands in a text, whose long lines end with a backslash; those that only show a form are left out."""
    joined = re.sub(r"\\\n\s*", "", text)
    for line in joined.splitlines():
        match = re.fullmatch(r"\s*(?:\$ )?(earmark import [a-z].*)", line)
        if match is not None:
            yield match[1]


EXAMPLES = [*commands((ROOT / "docs" / "import.md").read_text()), *commands(imported("--help").output)]


def write_logs(folder: Path) -> None:
    """Logs under the names that the examples have; `raw/` and its like are those of the kind that is asked for."""
    for name, answers in (("raw", logs.RAW), ("energy40", logs.COMPRESSED), ("energy20", logs.COMPRESSED)):
        logs.write_inspect(folder / f"{name}.eval", logs.inspect_samples(answers))
        logs.write_inspect_json(folder / f"{name}.json", logs.inspect_samples(answers))
        logs.write_lm_eval(folder / "lm-eval" / name, logs.lm_eval_choice(answers))
        logs.write_lmms_eval(folder / "lmms-eval" / name, logs.lmms_eval(answers))
        logs.write_csv(folder / f"{name}.csv", logs.table(answers))
        logs.write_lines(folder / f"{name}.jsonl", own_columns(answers))
        table = logs.write_vlmeval(folder / "tables", logs.vlmeval(answers))
        table.rename(folder / f"{name}_result.xlsx")
        for run in ("T1", "T2"):
            written = logs.write_vlmeval(folder / "vlmeval" / name / "qwen", logs.vlmeval(answers))
            (written.parents[1] / run).mkdir()
            written.rename(written.parents[1] / run / written.name)
    for name, answers, arguments in (("raw", logs.RAW, {}), ("c", logs.COMPRESSED, {"method": "e", "budget": 0.4})):
        path = logs.write_inspect_json(folder / "logs" / f"2026-01-02T_{name}.json", logs.inspect_samples(answers))
        log = json.loads(path.read_text())
        path.write_text(json.dumps(log | {"eval": log["eval"] | {"model_args": arguments}}))
    for name in ("raw", "seed1", "seed2"):
        pq.write_table(pa.Table.from_pylist(logs.table(logs.RAW)), folder / f"{name}.parquet")
    with zipfile.ZipFile(HARNESS_LOGS) as archive:
        archive.extractall(folder / "made")
    for name, budget in (("raw", "1"), ("energy60", "0.6"), ("energy40", "0.6"), ("energy20", "0.2")):
        (folder / "group").mkdir(exist_ok=True)
        (folder / "group" / name).symlink_to(folder / "made" / "lm-eval" / budget)


def own_columns(answers: logs.Answers) -> logs.Rows:
    return [
        {"question": logs.question(i), "topic": logs.FAMILIES[i], "correct": answer == logs.TARGETS[i],
         "clip": logs.RECORDINGS[i], "choices": list(logs.OPTIONS)}
        for i, answer in enumerate(answers)
    ]  # fmt: skip


def test_there_are_examples() -> None:
    assert len(EXAMPLES) > 15


@pytest.mark.parametrize("example", dict.fromkeys(EXAMPLES))
def test_an_example_runs(example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_logs(tmp_path)
    kind = example.split()[2]
    budgets_are_read = " raw/ " in example and "@" not in example
    place = tmp_path / ("group" if budgets_are_read else kind)
    monkeypatch.chdir(place if " raw/" in example else tmp_path)
    done = command(*shlex.split(example)[1:])
    assert done.code == 0, done.err
    assert "next: earmark certify run" in done.out
