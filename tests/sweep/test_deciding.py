"""A sweep that stops when it is decided asks what its walks need, whatever becomes of it on the way."""

import io
import json
import shutil
from collections import Counter
from dataclasses import dataclass, replace
from multiprocessing import active_children
from pathlib import Path

import decided
import fakes
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
import sweeps
from click.testing import CliRunner

from earmark.cli.main import earmark
from earmark.engine.corpus import stream
from earmark.engine.corpus.audio import BytesAudio, TableAudio
from earmark.engine.design.keys import ANCHOR, NOT_NEEDED, SILENCE, UNCOMPRESSED, CellKey
from earmark.engine.design.sections import Until
from earmark.engine.design.spec import parse, with_until
from earmark.engine.errors import InputError
from earmark.engine.outcomes import store
from earmark.engine.outcomes.plan_file import read_plan
from earmark.engine.outcomes.schema import ROW
from earmark.engine.progress import AtMost
from earmark.engine.report.signed_files import write
from earmark.engine.report.terminal import decision_table
from earmark.engine.report.verify import verify
from earmark.engine.signoff import order
from earmark.engine.signoff.certificate import Certificate
from earmark.engine.signoff.certify import certify
from earmark.engine.signoff.json_form import to_json
from earmark.engine.sweep.blocks import Shard
from earmark.engine.sweep.merge import merge
from earmark.engine.sweep.status import status
from earmark.kernels.statistics import exact

ALPHA, TOLERANCE = 0.025, 0.3
CANDIDATES = 2


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that one process decided undisturbed."""
    out = tmp_path_factory.mktemp("decided") / "whole"
    decided.sweep(out)
    return out


@pytest.fixture(scope="module")
def complete(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all answers to the same questions."""
    out = tmp_path_factory.mktemp("complete") / "all"
    decided.sweep(out, decided.COMPLETE)
    return out


def signed(run: Path) -> bytes:
    """The certificate's bytes."""
    return json.dumps(to_json(certify(run, decided.spec().rule))).encode()


def cells(run: Path) -> dict[str, bytes]:
    """The files of all cells."""
    return {name: data for name, data in sweeps.contents(run).items() if name.startswith("cells/")}


def naive_asked(complete: Path) -> dict[tuple[str, float], set[str]]:
    """What has to be asked, from all answers, with plain loops: every family of a budget is open until it passes."""
    raw = store.read_rows(complete, CellKey("steady", "synthetic", UNCOMPRESSED, 0, ANCHOR, 1.0)).to_pylist()
    samples = [row["sample_id"] for row in raw]
    place = dict(zip(samples, order.places([row["source_id"] for row in raw], samples).tolist(), strict=True))
    rows = sorted(raw, key=lambda row: place[row["sample_id"]])
    recordings = list(dict.fromkeys(row["source_id"] for row in rows))
    blocks = [set(recordings[first : first + 7]) for first in range(0, len(recordings), 7)]
    level = ALPHA / CANDIDATES
    asked: dict[tuple[str, float], set[str]] = {(UNCOMPRESSED, 1.0): set(), (SILENCE, 1.0): set()}
    for method in ("uniform", "energy"):
        alive = True
        for budget in (0.8, 0.6, 0.3):
            asked[method, budget] = set()
            if not alive:
                continue
            cell = store.read_rows(complete, CellKey("steady", "synthetic", method, 0, ANCHOR, budget)).to_pylist()
            loss = {row["sample_id"]: row["loss"] for row in cell}
            differences: dict[str, list[float]] = {row["query_family"]: [] for row in rows}
            of = {f: sum(row["query_family"] == f for row in rows) for f in differences}
            open_families = set(differences)
            for block in blocks:
                if not open_families or not alive:
                    break
                wanted = [r for r in rows if r["source_id"] in block and r["query_family"] in open_families]
                asked[method, budget] |= {row["sample_id"] for row in wanted}
                for row in wanted:
                    differences[row["query_family"]].append(loss[row["sample_id"]] - row["loss"])
                for family in sorted(open_families):
                    state = naive_state(differences[family], of[family], level)
                    if state != "open":
                        open_families.discard(family)
                    alive = alive and state != "failed"
            for control in ((UNCOMPRESSED, 1.0), (SILENCE, 1.0)):
                asked[control] |= asked[method, budget]
    return asked


def naive_state(differences: list[float], of: int, level: float) -> str:
    """Whether a family has passed, failed, or is open."""
    total = squares = log_capital = peak = 0.0
    for n, d in enumerate(differences):
        mean = total / (n + 20)
        variance = (squares + 20 * 0.15) / (n + 20) - mean**2
        gap = max(TOLERANCE - mean, 0.0)
        log_capital += np.log(1 - min(gap / (variance + gap**2), 0.85) * (d - TOLERANCE))
        peak = max(peak, log_capital)
        total, squares = total + d, squares + d * d
    n, mean = len(differences), total / len(differences)
    if peak >= np.log(1 / (0.05 * level)) and mean <= TOLERANCE:
        return "passed"
    if n == of:
        worse, better = sum(d > 0 for d in differences), sum(d < 0 for d in differences)
        p = float(exact.p_values(n, worse, better, TOLERANCE, level / 50))
        return "passed" if p <= 0.95 * level and mean <= TOLERANCE else "failed"
    return "open"


def test_what_is_asked_is_what_the_walk_of_a_slow_twin_needs_of_all_answers(whole: Path, complete: Path) -> None:
    expected = naive_asked(complete)
    assert decided.answered(whole) == expected
    assert {len(asked) for asked in expected.values()} != {len(expected[UNCOMPRESSED, 1.0])}


def test_answers_that_were_not_needed_are_those_of_no_row(whole: Path, complete: Path) -> None:
    for key in store.find_cells(whole):
        there, all_rows = store.read_rows(whole, key), store.read_rows(complete, key)
        assert sorted(there["sample_id"].to_pylist()) == sorted(all_rows["sample_id"].to_pylist())
        losses = dict(zip(all_rows["sample_id"].to_pylist(), all_rows["loss"].to_pylist(), strict=True))
        asked = decided.answered(whole)[key.method, key.budget]
        for sample, loss in zip(there["sample_id"].to_pylist(), there["loss"].to_pylist(), strict=True):
            assert loss == (losses[sample] if sample in asked else None)


def test_two_shards_in_one_folder_end_with_the_same_bytes(whole: Path, tmp_path: Path) -> None:
    for index in (1, 0):
        assert not decided.sweep(tmp_path, shard=Shard(index, 2)).complete
    assert decided.sweep(tmp_path).complete
    assert sweeps.contents(tmp_path) == sweeps.contents(whole)
    assert signed(tmp_path) == signed(whole)


def test_two_shards_that_are_merged_end_with_the_same_bytes(whole: Path, tmp_path: Path) -> None:
    shards = [tmp_path / f"shard-{index}" for index in range(2)]
    for index, shard in enumerate(shards):
        assert not decided.sweep(shard, shard=Shard(index, 2)).complete
    both = tmp_path / "both"
    assert not merge(both, shards).complete
    assert decided.sweep(both).complete
    assert sweeps.contents(both) == sweeps.contents(whole)
    assert signed(both) == signed(whole)


def test_shards_ask_little_that_is_not_needed(whole: Path, tmp_path: Path) -> None:
    n_whole = sum(map(len, decided.answered(whole).values()))
    notes: list[str] = []
    for index in range(2):
        decided.sweep(tmp_path, shard=Shard(index, 2), note=notes.append)
    assert status(tmp_path).answers <= 1.25 * n_whole
    assert [note for note in notes if "ask everything once" in note] == 2 * notes[:1]


def test_stopped_again_and_again_it_ends_with_the_same_bytes(whole: Path, tmp_path: Path) -> None:
    batches = 1
    while decided.sweep(tmp_path, stop=sweeps.after(batches)).stopped:
        batches += 7
    assert sweeps.contents(tmp_path) == sweeps.contents(whole)


@pytest.mark.parametrize("allowed", [True, False])
def test_a_run_that_is_completed_keeps_its_claim_and_gains_frontiers(
    whole: Path, tmp_path: Path, allowed: bool
) -> None:
    shutil.copytree(whole, tmp_path / "run")
    rule = decided.spec().rule if allowed else replace(decided.spec().rule, allow_vacuous=())
    before = certify(whole, rule)
    assert decided.sweep(tmp_path / "run", decided.COMPLETE).complete
    after = certify(tmp_path / "run", rule)
    assert {len(asked) for asked in decided.answered(tmp_path / "run").values()} == {6 * decided.CLIPS}
    assert to_json(after.claim) == to_json(before.claim)
    assert not any("no walk needed" in warning for warning in (*before.warnings, *after.warnings))
    assert [walk.tests for walk in after.walks] == [walk.tests for walk in before.walks]
    assert len(after.claim.approved) == (2 if allowed else 0)
    assert not before.results[0].frontiers
    assert after.results[0].frontiers


def test_a_completion_that_is_stopped_or_shared_out_ends_with_the_same_bytes(whole: Path, tmp_path: Path) -> None:
    once, stopped, shared = (tmp_path / name for name in ("once", "stopped", "shared"))
    for folder in (once, stopped, shared):
        shutil.copytree(whole, folder)
    decided.sweep(once, decided.COMPLETE)
    batches = 1
    while decided.sweep(stopped, decided.COMPLETE, stop=sweeps.after(batches)).stopped:
        n_answers = status(stopped).answers
        decided.sweep(stopped)  # what was begun to be completed is kept
        assert status(stopped).answers == n_answers
        batches += 7
    for index in (1, 0):
        decided.sweep(shared, decided.COMPLETE, shard=Shard(index, 2))
    assert decided.sweep(shared, decided.COMPLETE).complete
    assert cells(stopped) == cells(once)
    assert cells(shared) == cells(once)


def test_what_is_asked_later_is_counted_and_ends_at_the_whole(whole: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []

    def report(_: str, n_done: int, n_total: int) -> None:
        seen.extend([(n_done, n_total)] if n_total else [])

    decided.sweep(tmp_path, report=report, stop=sweeps.after(60))
    assert all(isinstance(n_total, AtMost) and n_done <= n_total == 2_880 for n_done, n_total in seen)
    decided.sweep(tmp_path, report=report)
    n_asked = sum(map(len, decided.answered(whole).values()))
    assert seen[-1] == (n_asked, 2_880)
    seen.clear()
    decided.sweep(tmp_path, decided.COMPLETE, report=report)
    assert seen[0] == (n_asked, 2_880)
    assert seen[-1] == (2_880, 2_880)
    assert not any(isinstance(n_total, AtMost) for _, n_total in seen)


def test_a_decided_run_ends_with_what_it_left_out_and_how_to_ask_it(whole: Path, tmp_path: Path) -> None:
    shutil.copytree(whole, tmp_path / "run")
    n_asked = sum(map(len, decided.answered(whole).values()))
    ended = CliRunner().invoke(earmark, ["run", str(tmp_path / "run")])
    assert ended.exit_code == 0, ended.output
    *_, left_out, following = ended.stdout.splitlines()
    completing = f"earmark run {tmp_path / 'run'} --until complete"
    assert left_out == f"decided after {n_asked:,} of 2,880 evaluations; `{completing}` asks the rest"
    assert following == f"next: earmark verify {tmp_path / 'run' / 'certificate.json'}"
    assert verify(tmp_path / "run" / "certificate.json") is None


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (decided.SPEC, decided.SPEC.replace('"decided"', '"complete"')),
        (decided.SPEC.replace('until = "decided"\n', ""), None),
        (decided.SPEC.replace('window = 7\nuntil = "decided"\nbudgets = [0.3, 0.6, 0.8]\n', ""), None),
    ],
)
def test_an_option_says_until_when_and_the_text_of_the_spec_says_it_too(before: str, after: str | None) -> None:
    spec = parse(before)
    until: Until = "complete" if spec.until == "decided" else "decided"
    changed = with_until(spec, until)
    assert (changed.until, parse(changed.text)) == (until, changed)
    assert with_until(changed, until) is changed
    if after is not None:
        assert changed.text == after


def test_a_folder_begun_complete_is_not_decided(complete: Path) -> None:
    with pytest.raises(InputError, match='was begun until = "complete"'):
        decided.sweep(complete)


@dataclass(frozen=True)
class Forged:
    """A copy of a decided folder with its certificate, whose cells can be written again under the same plan."""

    run: Path
    complete: Path

    def certificate(self) -> Certificate:
        return certify(self.run, decided.spec().rule)

    def rewrite(self, key: CellKey, asked: set[str]) -> None:
        """Make a cell one of which these samples were asked."""
        rows = store.read_rows(self.run, key)
        answers = {row["sample_id"]: row for row in store.read_rows(self.complete, key).to_pylist()}
        before = {row["sample_id"]: row for row in rows.to_pylist()}
        skipped = {name: None for name in ROW.names if name not in _KNOWN}
        content = [
            (before[sample] if before[sample]["status"] != NOT_NEEDED else answers[sample])
            if sample in asked
            else {**before[sample], **skipped, "status": NOT_NEEDED}
            for sample in before
        ]
        plan = read_plan(self.run)
        assert plan is not None
        store.replace_rows(self.run, key, pa.Table.from_pylist(content, schema=ROW), plan.sha256)


_KNOWN = ("sample_id", "source_id", "query_family", "correct_label", "n_options")  # of rows that were not asked
_CELL = CellKey("steady", "synthetic", "energy", 0, ANCHOR, 0.8)


@pytest.fixture
def forged(whole: Path, complete: Path, tmp_path: Path) -> Forged:
    shutil.copytree(whole, tmp_path / "run")
    forged = Forged(tmp_path / "run", complete)
    write(forged.certificate(), forged.run, forged.run)
    assert verify(forged.run / "certificate.json") is None
    return forged


def in_order_of_walk(run: Path) -> list[str]:
    """All samples, in the constant order."""
    rows = store.read_rows(run, _CELL)
    samples, sources = rows["sample_id"].to_pylist(), rows["source_id"].to_pylist()
    return [samples[row] for row in np.argsort(order.places(sources, samples))]


def approved(certificate: Certificate) -> set[str]:
    return {shipped.method for shipped in certificate.claim.approved}


def test_rows_that_were_asked_in_another_order_decide_nothing(forged: Forged) -> None:
    for key in store.find_cells(forged.run):
        n_asked = len(decided.answered(forged.run)[key.method, key.budget])
        samples = sorted(store.read_rows(forged.run, key)["sample_id"].to_pylist())
        forged.rewrite(key, set(samples[:n_asked]))
    assert verify(forged.run / "certificate.json") is not None
    certificate = forged.certificate()
    assert approved(certificate) == set()
    assert "was skipped" in certificate.claim.withheld[0]


@pytest.mark.parametrize("key", [_CELL, *(replace(_CELL, method=m, budget=1.0) for m in (UNCOMPRESSED, SILENCE))])
def test_a_row_that_was_skipped_is_named_and_nothing_is_approved(forged: Forged, key: CellKey) -> None:
    asked = decided.answered(forged.run)[key.method, key.budget]
    skipped = min(asked)
    forged.rewrite(key, asked - {skipped})
    difference = verify(forged.run / "certificate.json")
    assert difference is not None
    assert difference.startswith(str(store.find_cells(forged.run)[key][0].relative_to(forged.run)))
    assert f"needs sample '{skipped}', which was not asked" in difference
    certificate = forged.certificate()
    assert approved(certificate) == set()
    assert any(f"needs sample '{skipped}', which was not asked" in why for why in certificate.claim.withheld)


def test_a_row_beyond_a_prefix_decides_nothing(forged: Forged) -> None:
    before = forged.certificate()
    asked = decided.answered(forged.run)[_CELL.method, _CELL.budget]
    raw = decided.answered(forged.run)[UNCOMPRESSED, 1.0]
    beyond = raw - asked
    assert beyond
    forged.rewrite(_CELL, asked | beyond)
    first = next(sample for sample in in_order_of_walk(forged.run) if sample in beyond)
    where = f"first sample '{first}', steady/synthetic: energy at 0.8"
    words = f"{len(beyond)} rows were answered that no walk needed ({where})"
    difference = verify(forged.run / "certificate.json")
    assert difference is not None
    assert words in difference
    after = forged.certificate()
    assert not any("no walk needed" in warning for warning in before.warnings)
    assert any(warning.startswith(words) for warning in after.warnings)
    assert [walk.tests for walk in after.walks] == [walk.tests for walk in before.walks]
    assert to_json(after.claim) == to_json(before.claim)


def test_blocks_of_a_plan_that_were_changed_fit_no_cell(forged: Forged) -> None:
    plan = json.loads((forged.run / "plan.json").read_text())
    first, second, *others = plan["decided"]["blocks"]
    plan["decided"]["blocks"] = [first + second, *others]
    (forged.run / "plan.json").write_text(json.dumps(plan))
    assert verify(forged.run / "certificate.json") is not None
    certificate = forged.certificate()
    assert approved(certificate) == set()
    assert certificate.claim.withheld


def test_an_early_pass_of_a_preview_is_final_and_the_preview_approves_nothing(whole: Path, tmp_path: Path) -> None:
    swept = decided.sweep(tmp_path, limit=40)
    assert swept.preview is not None
    looked, rule = certify(swept.preview, decided.spec().rule), decided.spec().rule
    assert approved(looked) == set()
    seen = [test for walk in looked.walks for test in walk.tests]
    passed = [test for test in seen if test.state == "passed early"]
    assert passed
    assert {test.of for test in seen} == {decided.CLIPS}
    assert any("has passed for good in '" in warning for warning in looked.warnings)
    final = {(w.method, t.family, t.budget): t for w in certify(whole, rule).walks for t in w.tests}
    for walk in looked.walks:
        for test in walk.tests:
            if test.state == "passed early":
                assert final[walk.method, test.family, test.budget] == test
    path = write(looked, swept.preview, swept.preview)
    assert verify(path) is None
    assert decided.sweep(tmp_path).complete
    assert cells(tmp_path) == {**cells(tmp_path), **cells(whole)}
    assert signed(tmp_path) == signed(whole)
    with pytest.raises(InputError, match="needs no preview"):
        decided.sweep(tmp_path, limit=20)


def test_what_a_preview_has_not_asked_is_no_failure_and_the_advice_is_to_ask_on(tmp_path: Path) -> None:
    swept = decided.sweep(tmp_path, limit=5)  # less than a block
    assert swept.preview is not None
    looked = certify(swept.preview, decided.spec().rule)
    for candidate in looked.claim.candidates:
        stop = candidate.stopped
        assert stop is not None
        assert stop.undecided
        assert 0 < stop.units <= 5
        assert f"not decided after {stop.units} of {decided.CLIPS} {stop.unit}" in stop.reason
        assert stop.needed is None
    advice = {entry.next.action for result in looked.results for entry in result.certified}
    assert advice == {"finish"}
    printed = "\n".join(decision_table(looked))
    assert "refused" not in printed
    assert "fails" not in printed
    assert f"the first {looked.preview.n_examples if looked.preview else 0} of " in printed
    assert "new rows" not in printed
    page = write(looked, swept.preview, swept.preview).with_name("report.html").read_text()
    assert "<small>not decided</small>" in page
    assert "<small>refused</small>" not in page


Changes = list[dict[str, str]]


def audio_in_a_table(folder: Path) -> Changes:
    """What a spec says of 60 recordings in a table, three row groups of them."""
    rows = []
    for number in range(60):
        file = io.BytesIO()
        soundfile.write(file, fakes.sound(number, 3.0), 16_000, format="WAV")
        audio = {"bytes": file.getvalue(), "path": f"{number}.wav"}
        question = {"question": f"Which of them, {number % 7}?", "choices": ["one", "two", "three"], "answer": "two"}
        rows.append({"sample_id": f"s{number:03d}", "audio": audio, **question, "family": "ab"[number % 2]})
    pq.write_table(pa.Table.from_pylist(rows), folder / "manifest.parquet", row_group_size=20)
    path = {f"synthetic:certification:{decided.CLIPS}": str(folder / "manifest.parquet")}
    return [path, {'names = ["native"]': 'names = ["family"]', decided.ALLOWED: 'allow_vacuous = ["a", "b"]'}]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The rows of such a table whose audio is read, as they are."""
    numbers: list[int] = []
    fetched = TableAudio.fetched

    def noted(audio: TableAudio) -> BytesAudio:
        numbers.append(audio.row_group * 20 + audio.row)
        return fetched(audio)

    monkeypatch.setattr(TableAudio, "fetched", noted)
    return numbers


def test_audio_in_a_table_is_copied_once_and_the_copy_is_removed(tmp_path: Path, opened: list[int]) -> None:
    changes = audio_in_a_table(tmp_path)
    run = tmp_path / "run"
    assert decided.sweep(run, *changes, stop=sweeps.after(140)).stopped
    assert (run / "spooled").is_dir()
    n_headers = 60  # whether all of them can be heard, in the order of the table
    assert opened == 2 * list(range(n_headers))
    assert decided.sweep(run, *changes).complete
    assert not (run / "spooled").exists()
    with pytest.raises(InputError, match=r"manifest.parquet.* has more than 0 MiB of recordings"):
        decided.sweep(tmp_path / "other", *changes, {"grid = 2": "grid = 2\n[machine]\nspool_mib = 0"})


def test_a_preview_of_families_one_after_the_other_begins_each_and_leaves_the_run_its_own(tmp_path: Path) -> None:
    changes = audio_in_a_table(tmp_path)
    assert decided.sweep(tmp_path / "alone", *changes).complete
    run = tmp_path / "run"
    for limit in (9, 30):
        swept = decided.sweep(run, *changes, limit=limit)
        assert swept.preview is not None
        of_families = Counter("ab"[int(sample[1:]) % 2] for sample in decided.answered(swept.preview)["uniform", 0.8])
        assert dict(of_families) == {"a": -(-limit // 2), "b": limit // 2}
        seen = {
            test.family: test
            for walk in certify(swept.preview, decided.spec(*changes).rule).walks
            for test in walk.tests
        }
        assert {"a", "b"} <= seen.keys()
    assert decided.sweep(run, *changes).complete
    assert cells(run) == cells(tmp_path / "alone")


def test_a_preview_copies_its_own_audio_reads_it_forward_and_leaves_no_copy(tmp_path: Path, opened: list[int]) -> None:
    changes = audio_in_a_table(tmp_path)
    run = tmp_path / "run"

    def copies() -> list[str]:
        return sorted(str(path.parent.parent.relative_to(run)) for path in run.rglob("recordings.bin"))

    assert decided.sweep(run, *changes, limit=20, stop=sweeps.after(50)).stopped
    assert opened == 2 * sorted(opened[:20])  # headers, and then the copy
    assert copies() == ["spooled/preview"]
    assert decided.sweep(run, *changes, limit=20).preview
    assert not (run / "spooled").exists()
    assert decided.sweep(run, *changes, limit=30, stop=sweeps.after(40)).stopped
    assert decided.sweep(run, *changes, stop=sweeps.after(140)).stopped
    assert copies() == ["spooled"]


def test_processes_that_decode_are_started_once_for_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[int] = []
    begin = stream._Pool._open
    monkeypatch.setattr(stream._Pool, "_open", lambda pool, workers: opened.append(workers) or begin(pool, workers))
    small = {f"certification:{decided.CLIPS}": "certification:20"}
    decoding = {"grid = 2": "grid = 2\n[machine]\ndecoders = 1"}
    assert decided.sweep(tmp_path / "a", small, decoding).complete
    assert opened == [1, 1]  # for lengths, of which there are none here, and for clips
    assert active_children() == []
    assert decided.sweep(tmp_path / "b", small).complete
    assert cells(tmp_path / "a") == cells(tmp_path / "b")


def test_flips_are_counted_after_the_decision_and_permuted_questions_wait_for_the_rest(tmp_path: Path) -> None:
    small = {f"certification:{decided.CLIPS}": "certification:20", **conditioned()}
    flips = {"flip_rate = 0": "flip_rate = 6"}
    notes: list[str] = []
    assert decided.sweep(tmp_path, small, flips, stop=sweeps.after(20)).stopped
    assert not (tmp_path / "audits" / "flips").exists()
    assert decided.sweep(tmp_path, small, flips, note=notes.append).complete
    assert (tmp_path / "audits" / "flips").is_dir()
    assert any(note.startswith("permuted questions ([streams]) wait") for note in notes)
    assert not any(key.stream != ANCHOR for key in store.find_cells(tmp_path))
    assert decided.sweep(tmp_path, small, flips, decided.COMPLETE).complete
    assert any(key.stream != ANCHOR for key in store.find_cells(tmp_path))
    assert status(tmp_path).complete


def test_a_preview_asks_no_permuted_question_before_all_is_completed(tmp_path: Path) -> None:
    small = {f"certification:{decided.CLIPS}": "certification:20"}
    swept = decided.sweep(tmp_path, small, conditioned(), limit=8)
    assert swept.preview is not None
    assert {key.stream for key in store.find_cells(swept.preview)} == {ANCHOR}
    assert certify(swept.preview, decided.spec(small, conditioned()).rule).walks
    assert not any("permuted" in path.parent.name for path in (tmp_path / "pending").rglob("*.parquet"))


def conditioned() -> dict[str, str]:
    """A method that reads questions, which are permuted for it."""
    method = '[[methods]]\nname = "fake_conditioned"\nselector = "conditioned {seed}"\n[streams]\npermuted_global = 1\n'
    return {"[partitions]": f"{method}[partitions]"}


def test_where_families_are_too_small_nothing_is_asked_and_that_is_signed(tmp_path: Path) -> None:
    spec = tmp_path / "spec.toml"
    spec.write_text(
        '[corpus]\npath = "synthetic:certification:4"\n[[answerers]]\nmodel = "tiny"\n[sweep]\nbudgets = [0.5]\n'
        'until = "decided"\n[[methods]]\nname = "uniform"\n[audits]\nflip_rate = 6\n'
    )
    done = CliRunner().invoke(earmark, ["run", str(spec), "--out", str(tmp_path / "run")])
    assert done.exit_code == 3, done.output
    assert "none of them asked" in done.output
    assert "decided after 0 of 72 evaluations" in done.output
    assert not (tmp_path / "run" / "audits").exists()
    assert CliRunner().invoke(earmark, ["verify", str(tmp_path / "run" / "certificate.json")]).exit_code == 0
