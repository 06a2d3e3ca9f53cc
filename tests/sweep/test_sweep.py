"""Whole sweeps: what is in the folder at the end, however one gets there."""

import hashlib
import json
import shutil
from contextlib import nullcontext
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import sweeps
from as_json import certify
from cut import keep
from sweeps import after

from earmark.cli.status import table
from earmark.engine.answerers.loading import options_of
from earmark.engine.answerers.shared.shared_answerer import SharedAnswerer
from earmark.engine.compressors.compressor import audio_hash
from earmark.engine.design.keys import NOT_ASKED, TOO_SHORT, CellKey
from earmark.engine.errors import InputError
from earmark.engine.outcomes import partition_file, store
from earmark.engine.outcomes.plan_file import rule_content
from earmark.engine.sweep import run as sweeping
from earmark.engine.sweep.blocks import Shard, in_order
from earmark.engine.sweep.merge import merge
from earmark.engine.sweep.run import Swept
from earmark.engine.sweep.status import status
from earmark.engine.sweep.streams import Streams
from earmark.engine.sweep.sweep_folder import SweepFolder
from earmark.engine.sweep.windows import Windows


def run(*arguments: Any, **options: Any) -> Swept:
    """A sweep with the selectors by hash."""
    return sweeping.run(*arguments, load_compressor=sweeps.compressor, **options)


def sweep(out: Path, *changes: dict[str, str], **options: Any) -> Swept:
    """The smaller spec, unless changed otherwise."""
    return run(sweeps.spec(*(changes or (sweeps.SMALLER,))), out, load=sweeps.answerers(), **options)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole")
    assert sweep(out, {}) == Swept(stopped=False, complete=True)
    return out


@pytest.fixture(scope="module")
def smaller(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("smaller")
    sweep(out)
    return out


def test_every_cell_is_there_and_nothing_else(whole: Path) -> None:
    cells = store.find_cells(whole)
    methods, budgets = 1 + 3 + 3, 2
    anchors = 1 + 1 + methods * budgets  # raw, silence
    streams = 1 + (3 * 3 + 3 * 1 + 3 * 1 - 3) * budgets + 3 * budgets  # conditioned: 3 permuted, 1 naive; agnostic: 1
    assert len(cells) == 2 * (anchors + streams)
    assert {path.name for path in whole.iterdir()} == {
        "answerers", "audits", "cells", "partitions.parquet", "plan.json", "scores", "spec.toml"
    }  # fmt: skip
    assert status(whole).complete


def test_rows_say_what_was_kept_and_asked(whole: Path) -> None:
    from earmark.engine.corpus.corpus import open_corpus

    corpus = open_corpus(Path("synthetic:certification:5"))
    examples = list(in_order(corpus))
    streams = Streams([e.question for e in examples], [e.labels["family"] for e in examples], 0)
    for stream in ("anchor", "permuted-global-2", "permuted-family-1", "naive-global-1"):
        key = CellKey("two", "synthetic", "fake_conditioned", 3, stream, 0.3)
        cell = store.read_cell(whole, key, store.find_cells(whole)[key])
        at = {sample_id: row for row, sample_id in enumerate(cell.sample_id.to_pylist())}
        for number, example in enumerate(examples[::5]):
            number, row = 5 * number, at[example.sample_id]
            own = example.question
            audio = example.audio.waveform()
            shown = streams.selectors(stream, number, own)
            (scores,) = sweeps.ByHash(3, True).scores([sweeps.SelectorInput(example.sample_id, audio, shown.text)])
            kept = keep(audio, scores, 0.3)
            assert cell.kept_chunks[row].as_py() == kept.chunks.tolist()
            assert cell.kept_hash[row].as_py() == kept.hash
            asked = streams.answerers(stream, number, own)
            assert cell.correct_label[row].as_py() == "ABCD"[asked.answer]
            assert cell.query_family[row].as_py() == example.labels["family"]
            assert cell.loss[row] == (cell.predicted_label[row].as_py() != cell.correct_label[row].as_py())
            assert cell.status[row].as_py() == "ok"
            assert cell.n_options[row] == len(asked.choices)


def test_silence_is_asked_the_same_questions_and_heard_once(whole: Path) -> None:
    from earmark.engine.corpus.corpus import open_corpus

    key = CellKey("one", "synthetic", "silence")
    cell = store.read_cell(whole, key, store.find_cells(whole)[key])
    samples = {e.sample_id: len(e.audio.waveform()) for e in open_corpus(Path("synthetic:certification:5")).examples}
    hashes = [audio_hash(np.zeros(samples[sample_id], dtype=np.float32)) for sample_id in cell.sample_id.to_pylist()]
    assert cell.kept_hash.to_pylist() == hashes
    assert set(cell.status.to_pylist()) == {"ok"}
    assert cell.kept_chunks.to_pylist() == [None] * 30
    (part,) = (whole / str(key)).glob("*.parquet")
    assert set(pq.read_table(part)["chunks_kept"].to_pylist()) == {0}
    reference = replace(key, method="uncompressed")
    raw = store.read_cell(whole, reference, store.find_cells(whole)[reference])
    assert raw.sample_id.equals(cell.sample_id)
    assert raw.correct_label.equals(cell.correct_label)
    assert raw.tokens.tolist() == cell.tokens.tolist()


def test_silence_costs_one_hearing_of_each_length(tmp_path: Path) -> None:
    made: list[sweeps.InCompany] = []
    hearings: list[int] = []

    class Counting(sweeps.InCompany):
        def encode(self, clips: Any, chunks: Any) -> Any:
            hearings.append(sum(not clip.value.any() for clip in clips))
            return super().encode(clips, chunks)

    def load(*asked: Any) -> Any:
        made.append(Counting())
        return SharedAnswerer(made[-1], options_of(*asked))

    run(sweeps.spec(sweeps.SMALLER, {"flip_rate = 6": "flip_rate = 0"}), tmp_path, load=load)
    assert sum(hearings) == status(tmp_path).plan.corpus.windows == 3


def test_the_sign_off_reads_it(whole: Path) -> None:
    made = certify(whole, sweeps.spec().rule)
    assert len(made["results"]) == 2 * 7 * 2
    assert {entry["protocol"] for entry in made["audits"]["query_use"]} == {"decoupled", "naive"}


def test_audits_are_there(whole: Path) -> None:
    found = json.loads((whole / "audits/flips/answerer=two.json").read_text())
    assert found == {"asked": 6, "compared": 6, "changed": 0}
    grid = pq.read_table(whole / "audits/grid/method=fake_conditioned/seed=2.parquet").to_pylist()
    pairs = {(row["audio"], row["question"]) for row in grid}
    assert len(grid) == len(pairs) == 9
    assert not (whole / "audits/grid/method=fake_agnostic").exists()


def test_a_sweep_that_is_stopped_again_and_again_ends_with_the_same_bytes(smaller: Path, tmp_path: Path) -> None:
    runs = 0
    swept = Swept(stopped=True, complete=False)
    while swept.stopped:
        before = status(tmp_path).answers if sweeps.begun(tmp_path) else 0
        swept = sweep(tmp_path, stop=after(6 + runs))
        assert status(tmp_path).answers >= before
        runs += 1
    assert runs > 3
    assert sweeps.contents(tmp_path) == sweeps.contents(smaller)


def test_nothing_is_asked_twice(tmp_path: Path) -> None:
    made: list[sweeps.InCompany] = []
    spec = sweeps.spec({"flip_rate = 6": "flip_rate = 0"})
    run(spec, tmp_path, load=sweeps.answerers(made))
    silence = audio_hash(np.zeros(10 * 16_000, dtype=np.float32))  # equal in every window, and windows share nothing
    for answerer in made:
        asked = [question for question in answerer.asked if silence.encode() not in question]
        assert len(asked) == len(set(asked))
    again: list[sweeps.InCompany] = []
    run(spec, tmp_path, load=sweeps.answerers(again))
    assert not again


def test_shards_come_together_to_the_same_bytes(smaller: Path, tmp_path: Path) -> None:
    shards = [tmp_path / str(i) for i in range(2)]
    for i, shard in enumerate(shards):
        assert sweep(shard, shard=Shard(i, 2)) == Swept(stopped=False, complete=False)
        assert not (shard / "cells").exists()
    assert not merge(tmp_path / "all", shards[:1]).complete
    assert merge(tmp_path / "all", shards[1:]).complete
    got, expected = sweeps.contents(tmp_path / "all"), sweeps.contents(smaller)
    assert {name for name in got if name not in expected and not name.startswith("answers")} == set()
    assert {name: got[name] for name in expected} == expected
    other = tmp_path / "other"
    sweep(other, sweeps.SMALLER, {"0.6]": "0.7]"}, stop=after(2))
    with pytest.raises(InputError, match=r"is a shard of another sweep \(it differs in spec, levels\)"):
        merge(tmp_path / "all", [other])


def test_a_preview_is_a_run_folder_of_its_own_that_approves_nothing(smaller: Path, tmp_path: Path) -> None:
    swept = sweep(tmp_path, limit=3)
    assert (swept.stopped, swept.complete, swept.preview) == (False, False, tmp_path / "preview")
    assert swept.preview is not None
    cells = store.find_cells(swept.preview)
    assert cells.keys() == store.find_cells(smaller).keys()
    assert {len(store.read_cell(swept.preview, key, paths)) for key, paths in cells.items()} == {3 * 6}
    assert sweep(tmp_path, limit=1).preview == tmp_path / "preview"
    assert sweep(tmp_path) == Swept(stopped=False, complete=True)
    got = sweeps.contents(tmp_path)
    assert {n: data for n, data in got.items() if not n.startswith("preview/")} == sweeps.contents(smaller)


def test_an_audit_that_is_missing_is_made_up_for(smaller: Path, tmp_path: Path) -> None:
    run_folder = shutil.copytree(smaller, tmp_path / "run")
    shutil.rmtree(run_folder / "audits")
    sweep(run_folder)
    assert sweeps.contents(run_folder) == sweeps.contents(smaller)


def test_other_weights_in_the_same_place_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeps.ByHash, "weights", "one")
    sweep(tmp_path / "a", limit=1)
    monkeypatch.setattr(sweeps.ByHash, "weights", "other")
    with pytest.raises(InputError, match=r"is other, and the run was begun with one: it was exchanged"):
        sweep(tmp_path / "a")
    sweep(tmp_path / "b", stop=after(2))
    with pytest.raises(InputError, match=r"is a shard of another sweep \(it differs in compressors.fake_agnostic/1"):
        merge(tmp_path / "all", [tmp_path / "a", tmp_path / "b"])


def test_more_shards_than_windows_are_refused_before_anything_begins(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"there are windows \(3, of 2 .*set window = 1 in \[sweep\], or use at most 3"
    ):
        sweep(tmp_path / "run", shard=Shard(0, 4))
    with pytest.raises(InputError, match="recordings each\\); use at most 3"):
        sweep(tmp_path / "run", shard=Shard(0, 6))
    assert not (tmp_path / "run").exists()


def test_a_level_that_another_process_completes_meanwhile_is_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep(tmp_path, limit=3)
    read = Windows.rows

    def late(self: Windows, *asked: Any) -> Any:
        monkeypatch.setattr(Windows, "rows", read)
        sweep(tmp_path)  # the other process
        return read(self, *asked)

    monkeypatch.setattr(Windows, "rows", late)
    monkeypatch.setattr(SweepFolder, "filling", lambda *_: nullcontext())  # whoever would be at it at once
    assert sweep(tmp_path) == Swept(stopped=False, complete=True)


def test_answerers_come_to_their_verdicts_before_any_is_audited(tmp_path: Path) -> None:
    made: list[sweeps.InCompany] = []
    turns: list[str] = []
    states = []

    def report(what: str, _: int, total: int) -> None:
        if not total:  # loading, say
            return
        turns.append(what)
        found = status(tmp_path)._replace(fillers={})  # as it were if this process had been killed now
        states.append(found.can_be_certified)
        said = "\n".join(table(found))
        assert ("next: earmark certify" in said) == found.can_be_certified
        waits = any(f"certify has to wait for a budget of {name}" in said for name in ("one", "two"))
        assert waits == bool(found.references_alone)

    run(sweeps.spec(), tmp_path, load=sweeps.answerers(made), report=report)
    kinds = [what for what, _ in groupby((turn.split(",")[0], "permuted" in turn) for turn in turns)]
    assert kinds == [("one", False), ("two", False), ("two", True), ("one", True)]
    assert [answerer.identity for answerer in made] == ["one", "two", "one"]
    assert [able for able, _ in groupby(states)] == [False, True, False, True]  # the second one's reference is alone


def test_another_spec_in_the_same_folder_is_refused(smaller: Path) -> None:
    with pytest.raises(
        InputError,
        match=r"another spec or corpus \(it differs in .sweep. budgets: .0.6, 0.3. before, .0.7, 0.3. now\); name",
    ):
        sweep(smaller, sweeps.SMALLER, {"0.6]": "0.7]"})
    expected = (
        r'.corpus. path: "synthetic:certification:5" before, .* now, corpus.examples: 30 before, 36 now, .* 1 more'
    )
    with pytest.raises(InputError, match=expected):
        sweep(smaller, sweeps.SMALLER, {"certification:5": "certification:6"})


def test_another_rule_asks_nothing_again_and_leaves_what_was_declared(smaller: Path, tmp_path: Path) -> None:
    run_folder = shutil.copytree(smaller, tmp_path / "run")
    made: list[sweeps.InCompany] = []
    other = sweeps.spec(sweeps.SMALLER, {"tolerances = [0.3]": "tolerances = [0.1]\nclaim = 'both'"})
    assert run(other, run_folder, load=sweeps.answerers(made)).complete
    assert not made
    assert sweeps.contents(run_folder) == sweeps.contents(smaller)
    assert status(run_folder).plan.rule["tolerances"] == [0.3]


def test_every_cell_carries_the_hash_of_the_plan(smaller: Path, tmp_path: Path) -> None:
    plan = status(smaller).plan
    assert (
        plan.sha256
        == hashlib.sha256(
            json.dumps(json.loads((smaller / "plan.json").read_bytes()), sort_keys=True, separators=(",", ":")).encode()
        ).hexdigest()
    )
    assert plan.partitions == ("native", "need")
    assert plan.rule == rule_content(sweeps.spec(sweeps.SMALLER).rule, ["native", "need"])
    assert {store.read_cell(smaller, key, paths).plan for key, paths in store.find_cells(smaller).items()} == {
        plan.sha256
    }
    looked = sweep(tmp_path, limit=2)
    assert looked.preview is not None
    cells = store.find_cells(looked.preview).items()
    assert {store.read_cell(looked.preview, key, paths).plan for key, paths in cells} == {plan.sha256}
    assert (looked.preview / "plan.json").read_bytes() == (smaller / "plan.json").read_bytes()
    with pytest.raises(InputError, match=r"is the preview of a sweep; name the sweep's folder"):
        status(looked.preview)


def test_a_plan_that_was_edited_deletes_nothing(tmp_path: Path) -> None:
    sweep(tmp_path, limit=2)
    plan = json.loads((tmp_path / "plan.json").read_text())
    plan["levels"][2]["name"] = "../../cells"
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    before = sweeps.contents(tmp_path)
    for act in (status, lambda folder: merge(folder, [folder]), sweep):
        with pytest.raises(InputError, match=r"plan.json: has in levels\[2\] the name"):
            act(tmp_path)
    assert sweeps.contents(tmp_path) == before


def test_partitions_that_were_made_before_stay_behind_those_of_the_spec(smaller: Path, tmp_path: Path) -> None:
    from earmark.engine.corpus import partitions
    from earmark.engine.corpus.corpus import open_corpus

    corpus = open_corpus(Path("synthetic:certification:5"))
    by_family = partitions.by_label(corpus, "family")
    partition_file.write(tmp_path, corpus, [by_family])
    assert sweep(tmp_path).complete
    assert [partition.name for partition in partition_file.written(tmp_path, corpus)] == ["native", "need", "family"]
    assert status(tmp_path).plan.partitions == ("native", "need", "family")
    assert sweep(tmp_path).complete
    partition_file.write(tmp_path, corpus, [by_family])  # `earmark corpus --out` once more
    assert sweep(tmp_path).complete
    assert [partition.name for partition in partition_file.written(tmp_path, corpus)] == ["native", "need", "family"]
    (tmp_path / "partitions.parquet").unlink()
    with pytest.raises(InputError, match=r"lacks the partition family that the sweep was begun with; make it again"):
        sweep(tmp_path)
    other = tmp_path / "other"
    partition_file.write(other, corpus, [by_family._replace(name="need")])
    with pytest.raises(InputError, match="has the partition need with other labels than those that are declared now"):
        sweep(other)
    table = store.read_partitions(smaller)[0]  # type: ignore[index]
    assert table["source_id"].to_pylist() == [example.source_id for example in corpus.examples]


def test_clips_that_cannot_be_heard_are_rows_with_a_status(tmp_path: Path) -> None:
    import layouts

    folder = layouts.manifest(tmp_path / "data")
    (folder / "sounds/0.wav").write_bytes(b"no sound")
    content = f'[corpus]\npath = "{folder}"\n[[answerers]]\nmodel = "one"\n[[methods]]\nname = "uniform"\n'
    declared = sweeps.parse(content + "[rule]\nmax_error_rate = 0.5\n")
    run(declared, tmp_path / "run", load=sweeps.answerers())
    for key, paths in store.find_cells(tmp_path / "run").items():
        cell = store.read_cell(tmp_path / "run", key, paths)
        assert cell.ok.tolist() == [False, False, True, True]
        mark = "audio: " if key.is_reference else "not asked: audio: "
        assert all(text.startswith(mark) for text in cell.status.to_pylist()[:2])
        assert np.isnan(cell.loss[:2]).all()
        assert cell.kept_chunks.to_pylist()[:2] == [None, None]


class Deaf(sweeps.InCompany):
    """Cannot say anything about one clip and, where the selector is shown it, about one question."""

    def __init__(self, deaf_to: str, asked: list[bytes]) -> None:
        super().__init__()
        self.deaf_to = deaf_to
        self.asked = asked

    def encode(self, clips: Any, chunks: Any) -> Any:
        for clip in clips:
            if audio_hash(clip.value) == self.deaf_to:
                raise RuntimeError("the device hiccuped")
        return super().encode(clips, chunks)


def test_what_failed_on_raw_audio_is_not_asked_again(tmp_path: Path) -> None:
    from earmark.engine.corpus.corpus import open_corpus

    first = next(iter(open_corpus(Path("synthetic:certification:5")).examples))
    deaf_to = audio_hash(first.audio.waveform())
    asked: list[bytes] = []
    spec = sweeps.spec(sweeps.SMALLER, {"flip_rate = 6": "flip_rate = 0"})
    runs = 0
    swept = Swept(stopped=True, complete=False)
    while swept.stopped:  # in between, the raw windows are pending, and then a cell
        swept = run(
            spec,
            tmp_path,
            load=lambda *spec: SharedAnswerer(Deaf(deaf_to, asked), options_of(*spec)),
            stop=after(6 + runs),
        )
        runs += 1
    cells = {key: store.read_cell(tmp_path, key, paths) for key, paths in store.find_cells(tmp_path).items()}
    whole = tmp_path / "whole"
    assert run(spec, whole, load=lambda *spec: SharedAnswerer(Deaf(deaf_to, []), options_of(*spec))).complete
    assert {n: data for n, data in sweeps.contents(tmp_path).items() if not n.startswith("whole/")} == (
        sweeps.contents(whole)
    )
    raw = cells[CellKey("one", "synthetic", "uncompressed")]
    failed = {i for i, ok in zip(raw.sample_id.to_pylist(), raw.ok, strict=True) if not ok}
    assert len(failed) == 6  # the questions about one recording
    naive = cells[CellKey("one", "synthetic", "uncompressed", stream="naive-global-1")]
    for key, cell in cells.items():
        statuses = dict(zip(cell.sample_id.to_pylist(), cell.status.to_pylist(), strict=True))
        assert {i for i, ok in zip(cell.sample_id.to_pylist(), cell.ok, strict=True) if not ok} == failed
        if key.is_reference:
            assert not any(statuses[i].startswith(NOT_ASKED) for i in failed)
        else:
            reference = naive if key.stream.startswith("naive") else raw
            of_raw = dict(zip(reference.sample_id.to_pylist(), reference.status.to_pylist(), strict=True))
            assert all(statuses[i] == f"{NOT_ASKED}{of_raw[i]}" for i in failed)


def test_a_rest_that_is_too_short_is_a_row_with_a_status(tmp_path: Path) -> None:
    import layouts
    import soundfile

    folder = layouts.manifest(tmp_path / "data")
    audio = np.full(2 * 16_000 + 100, 1e-3, dtype=np.float32)
    audio[-100:] = 0.5  # the loudest chunk has 100 samples
    soundfile.write(folder / "sounds/0.wav", audio, 16_000)
    content = f'[corpus]\npath = "{folder}"\n[[answerers]]\nmodel = "one"\n[[methods]]\nname = "energy"\n'
    content += "[sweep]\nbudgets = [0.3, 0.9]\n[audits]\nflip_rate = 0\n"
    assert run(sweeps.parse(content), tmp_path / "run", load=sweeps.answerers()).complete
    cells = {key: store.read_cell(tmp_path / "run", key, p) for key, p in store.find_cells(tmp_path / "run").items()}
    statuses = {(key.method, key.budget): set(cell.status.to_pylist()) for key, cell in cells.items()}
    assert statuses.pop(("energy", 0.3)) == {"ok", f"{TOO_SHORT}not one audio token"}
    assert set(map(frozenset, statuses.values())) == {frozenset({"ok"})}


def test_progress_counts_what_is_there(tmp_path: Path) -> None:
    said: list[tuple[str, int, int]] = []
    sweep(tmp_path, stop=after(20))
    before = status(tmp_path).answers
    sweep(tmp_path, report=lambda *line: said.append(line))
    total = status(tmp_path).answers_in_all
    counted = [line for line in said if line[2]]
    assert {line[2] for line in counted} == {total}
    assert counted[0][1] == before
    assert counted[-1][1] == total
    assert [line[0] for line in said if not line[2]] == [
        "preparing the corpus and the compressors",
        "loading one",
        "writing cells",
        "scoring a grid of recordings and questions",
    ]


def test_what_is_stopped_while_an_answerer_is_loaded_asks_nothing_and_leaves_no_folder(tmp_path: Path) -> None:
    asked_to_stop: list[bool] = []

    def load(*spec: Any) -> SharedAnswerer:
        asked_to_stop.append(True)
        return SharedAnswerer(sweeps.InCompany(), options_of(*spec))

    out = tmp_path / "runs" / "one"
    swept = run(sweeps.spec(sweeps.SMALLER), out, load=load, stop=lambda: bool(asked_to_stop))
    assert swept == Swept(stopped=True, complete=False)
    assert asked_to_stop == [True]
    assert not list(tmp_path.iterdir())


def test_an_answerer_that_cannot_be_loaded_leaves_no_folder_of_ours(tmp_path: Path) -> None:
    def load(*_: Any) -> SharedAnswerer:
        raise InputError("answerer one", "is none", "name another")

    (tmp_path / "theirs").mkdir()
    for out in (tmp_path / "runs" / "one", tmp_path / "theirs"):
        with pytest.raises(InputError, match="answerer one: is none"):
            run(sweeps.spec(sweeps.SMALLER), out, load=load)
    assert list(tmp_path.rglob("*")) == [tmp_path / "theirs"]
