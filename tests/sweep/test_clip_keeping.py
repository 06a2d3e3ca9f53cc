"""What a run keeps to listen to: the clips of what became wrong, as they were heard, and the same in every history."""

import io
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import sweeps
from commands import command
from seams import Coarse, Hasher

from earmark.engine.corpus.clip import as_16_bits, clip
from earmark.engine.corpus.corpus import open_corpus
from earmark.engine.design.spec import Spec, parse
from earmark.engine.errors import InputError
from earmark.engine.report import signed_files
from earmark.engine.report.verify import verify
from earmark.engine.signoff import kept_clips
from earmark.engine.signoff.certificate import Certificate, to_bytes
from earmark.engine.signoff.certify import certify
from earmark.engine.signoff.flip_entry import FlippedQuestion
from earmark.engine.sweep import clip_keeping
from earmark.engine.sweep.blocks import Shard
from earmark.engine.sweep.clip_keeping import keep_clips
from earmark.engine.sweep.merge import merge
from earmark.engine.sweep.run import run

KEEPING = {"grid = 3": "grid = 3\nclips = 2"}
SPEC = sweeps.spec(sweeps.SMALLER, sweeps.ENERGY_ALONE, KEEPING)


def answer(out: Path, spec: Spec = SPEC, **options: Any) -> None:
    assert not run(spec, out, load=sweeps.answerers(), load_compressor=sweeps.compressor, **options).stopped


def kept(out: Path, spec: Spec = SPEC, **options: Any) -> Certificate:
    return keep_clips(spec, out, certify(out, spec.rule), load_compressor=sweeps.compressor, **options)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole")
    answer(out)
    signed_files.write(kept(out), out, out)
    return out


def questions(certificate: Certificate) -> list[FlippedQuestion]:
    return [q for flips in certificate.flips for family in flips.families for q in family.questions]


def samples(path: Path) -> np.ndarray:
    read, rate = soundfile.read(path, dtype="int16")
    assert rate == 16_000
    return read


def test_clips_are_what_was_heard_raw_and_compressed(whole: Path) -> None:
    stated = certify(whole, SPEC.rule)
    heard = [question for question in questions(stated) if question.clip]
    assert len({question.raw_hash for question in heard}) == 2  # of the 5 recordings
    examples = {example.sample_id: example for example in open_corpus(Path("synthetic:certification:5")).examples}
    for question in heard:
        example = examples[question.sample_id]
        assert (question.question, question.options) == (example.question.text, example.question.choices)
        raw = clip(example.audio.waveform())
        assert question.raw_clip == f"clips/{question.raw_hash}.flac"
        assert np.array_equal(samples(whole / question.raw_clip), as_16_bits(raw))
        chosen = np.concatenate([raw[second * 16_000 : (second + 1) * 16_000] for second in question.kept_chunks or ()])
        assert np.array_equal(samples(whole / str(question.clip)), as_16_bits(chosen))
    assert all(question.question for question in questions(stated))


def test_the_folder_holds_the_clips_that_the_index_names_and_no_others(whole: Path) -> None:
    index = json.loads((whole / "clips/index.json").read_bytes())
    names = {f"{entry['hash']}.flac" for entry in index["clips"]} | {"index.json"}
    assert {path.name for path in (whole / "clips").iterdir()} == names
    entry = index["questions"][0]
    assert entry["question"]
    assert entry["excerpts"][0]["kept_chunks"]
    stated = {file.path for file in certify(whole, SPEC.rule).inputs}
    assert {f"clips/{name}" for name in names} <= stated


def test_a_rerun_makes_nothing_again(whole: Path) -> None:
    before = {path: os.stat(path).st_mtime_ns for path in (whole / "clips").iterdir()}
    again = kept(whole)
    assert {path: os.stat(path).st_mtime_ns for path in (whole / "clips").iterdir()} == before
    assert to_bytes(again) == to_bytes(certify(whole, SPEC.rule))


def test_shards_and_interruptions_end_with_the_same_bytes(whole: Path, tmp_path: Path) -> None:
    for index in range(2):
        answer(tmp_path / f"{index}", shard=Shard(index, 2))
    merged = tmp_path / "merged"
    merge(merged, [tmp_path / "0", tmp_path / "1"])
    answer(merged)
    (tmp_path / "merged/clips").mkdir()
    (merged / "clips" / f"{'0' * 32}.flac").write_bytes(b"what a killed run left")
    assert to_bytes(kept(merged)) == to_bytes(certify(whole, SPEC.rule))
    for path in sorted((whole / "clips").iterdir()):
        assert (merged / "clips" / path.name).read_bytes() == path.read_bytes()
    assert len(list((merged / "clips").iterdir())) == len(list((whole / "clips").iterdir()))


def test_a_run_that_is_stopped_while_it_keeps_clips_goes_on(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(SPEC, tmp_path, load=sweeps.answerers(), load_compressor=sweeps.compressor, stop=sweeps.after(3)).stopped
    answer(tmp_path)

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(clip_keeping, "_write_index", interrupted)
        with pytest.raises(KeyboardInterrupt):
            kept(tmp_path)
    assert any((tmp_path / "clips").iterdir())
    assert kept_clips.count(certify(tmp_path, SPEC.rule)) == 0  # without an index there is none
    assert to_bytes(kept(tmp_path)) == to_bytes(certify(whole, SPEC.rule))
    assert {path.name: path.read_bytes() for path in (tmp_path / "clips").iterdir()} == {
        path.name: path.read_bytes() for path in (whole / "clips").iterdir()
    }


def test_a_merged_run_without_its_corpus_states_names_and_letters(whole: Path, tmp_path: Path) -> None:
    answer(tmp_path)
    bare = questions(certify(tmp_path, SPEC.rule))
    assert [q.sample_id for q in bare] == [q.sample_id for q in questions(certify(whole, SPEC.rule))]
    assert {(q.question, q.options, q.raw_clip, q.clip) for q in bare} == {(None, None, None, None)}


def test_the_terminal_says_where_clips_are_and_how_to_keep_them(whole: Path, tmp_path: Path) -> None:
    there = command("certify", whole, "--out", tmp_path / "signed")
    n_clips = len(list((whole / "clips").glob("*.flac")))
    assert f"clips        {whole}/clips: {n_clips} to listen to; the report plays them" in there.out
    assert verify(tmp_path / "signed/certificate.json") is None
    answer(tmp_path / "run")
    absent = command("certify", tmp_path / "run")
    assert f"clips        none are kept: earmark run {tmp_path / 'run'} keeps some" in absent.out


def test_how_many_clips_are_kept_asks_nothing_again(whole: Path) -> None:
    more = sweeps.spec(sweeps.SMALLER, sweeps.ENERGY_ALONE, {"grid = 3": "grid = 3\nclips = 3"})
    none = sweeps.spec(sweeps.SMALLER, sweeps.ENERGY_ALONE)
    assert SPEC.sha256() == more.sha256() == none.sha256()
    assert kept_clips.count(keep_clips(none, whole, certify(whole, none.rule))) > 0  # what is there stays


def test_no_clip_is_kept_unless_it_was_asked_for(tmp_path: Path) -> None:
    spec = sweeps.spec(sweeps.SMALLER, sweeps.ENERGY_ALONE)
    answer(tmp_path, spec)
    assert kept_clips.count(kept(tmp_path, spec)) == 0
    assert not (tmp_path / "clips").exists()


def test_a_preview_keeps_none(tmp_path: Path) -> None:
    answer(tmp_path, limit=3)
    assert kept_clips.count(kept(tmp_path / "preview")) == 0
    assert not (tmp_path / "preview/clips").exists()


class Drifting(Coarse):
    """A codec that never does the same twice."""

    def __init__(self) -> None:
        self.n_asked = 0

    def excerpts(self, clips: Any, scores: Any, budget: float) -> Any:
        for excerpt, subject in zip(super().excerpts(clips, scores, budget), clips, strict=True):
            self.n_asked += 1
            yield subject.clip.changed(excerpt.wave.audio.waveform() + np.float32(self.n_asked / 1000), 8)


class OftenWrong(Hasher):
    """Right about all of a clip, and wrong about whatever a compressor made of it."""

    def answer(self, requests: Any, known: Any, *rest: Any) -> Any:
        for request, result in super().answer(requests, known, *rest):
            question, excerpt = request.question, request.excerpt
            changed = excerpt.bits != 16 * excerpt.wave.n_samples or excerpt.wave.n_samples < 10 * 16_000
            wrong = "ABCD"[(question.answer + 1) % len(question.choices)]
            yield request, replace(result, label=wrong) if changed else result


def spec_of(method: str) -> Spec:
    return parse(
        '[corpus]\npath = "synthetic:certification:6"\n[[answerers]]\nmodel = "hasher"\n[sweep]\nbudgets = [0.2]\n'
        f"[[methods]]\n{method}\n[audits]\nflip_rate = 0\nclips = 3\n[rule]\nreplicates = 100\n"
    )


@pytest.mark.parametrize(("make", "is_kept"), [(Coarse, True), (Drifting, False)])
def test_only_what_sounds_as_it_did_is_kept(make: Callable[[], Coarse], is_kept: bool, tmp_path: Path) -> None:
    """A codec is asked again: what it makes then has the hash that was answered about, or it is said and not kept."""
    spec = spec_of('name = "coarse"\nselector = "mine"')
    codec, notes = make(), list[str]()
    assert run(spec, tmp_path, load=lambda *_: OftenWrong(), load_compressor=lambda *_: codec).complete
    certificate = keep_clips(
        spec, tmp_path, certify(tmp_path, spec.rule), load_compressor=lambda *_: codec, note=notes.append
    )
    heard = [question for question in questions(certificate) if question.raw_clip]
    assert heard
    assert {question.clip is not None for question in heard} == {is_kept}
    assert all("coarse's version of" in note and "it is not kept" in note for note in notes)
    assert bool(notes) != is_kept


def test_a_compressor_of_waves_is_asked_again_and_sounds_as_it_did(tmp_path: Path) -> None:
    spec, notes = spec_of('name = "speed"\nfactors = [1.25]'), list[str]()
    assert run(spec, tmp_path, load=lambda *_: OftenWrong()).complete
    certificate = keep_clips(spec, tmp_path, certify(tmp_path, spec.rule), note=notes.append)
    heard = [question for question in questions(certificate) if question.clip]
    assert heard
    assert notes == []
    assert not (tmp_path / "waves").exists()
    for question in heard:
        assert len(samples(tmp_path / str(question.clip))) == round(16_000 * (question.seconds or 0))
        assert len(samples(tmp_path / str(question.raw_clip))) == round(16_000 * (question.raw_seconds or 0))
        assert (question.seconds, question.raw_seconds) == (8.0, 10.0)


def test_of_reduced_tokens_nothing_but_the_recording_is_kept(tmp_path: Path) -> None:
    """There is nothing to listen to: the wave before the encoder is not what was heard."""
    spec, notes = parse(spec_of('name = "pool"').text.replace("hasher", "tiny")), list[str]()
    assert run(spec, tmp_path).complete
    certificate = keep_clips(spec, tmp_path, certify(tmp_path, spec.rule), note=notes.append)
    heard = [question for question in questions(certificate) if question.raw_clip]
    assert heard
    assert {question.clip for question in heard} == {None}
    assert notes == []
    before = sweeps.contents(tmp_path)
    keep_clips(spec, tmp_path, certify(tmp_path, spec.rule))
    assert sweeps.contents(tmp_path) == before


# What others may have written ------------------------------------------------------------------------------


@pytest.fixture
def copied(whole: Path, tmp_path: Path) -> Path:
    for path in whole.rglob("*"):
        if path.is_file():
            target = tmp_path / path.relative_to(whole)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    return tmp_path


def test_a_changed_byte_of_a_clip_or_of_the_index_is_found(copied: Path) -> None:
    assert verify(copied / "certificate.json") is None
    for path in ((copied / "clips/index.json"), next((copied / "clips").glob("*.flac"))):
        data = path.read_bytes()
        path.write_bytes(data[:-3] + bytes([data[-3] ^ 1]) + data[-2:])
        assert f"clips/{path.name}: sha256 is" in str(verify(copied / "certificate.json"))
        path.write_bytes(data)
    path.unlink()
    assert f"clips/{path.name}: the file is gone" in str(verify(copied / "certificate.json"))


def test_a_clip_that_is_another_than_the_index_names_is_refused(copied: Path) -> None:
    path = next((copied / "clips").glob("*.flac"))
    path.write_bytes(path.read_bytes() + b"!")
    with pytest.raises(InputError, match=r"is not the file that clips/index.json names; remove the folder clips"):
        certify(copied, SPEC.rule)


@pytest.mark.parametrize(
    "change",
    [
        lambda index: index["clips"][0].update(hash="../../../etc/passwd"),
        lambda index: index["clips"][0].update(hash="A" * 32),
        lambda index: index["clips"].append(index["clips"][0]),
        lambda index: index["questions"][0].update(options="AB"),
        lambda index: index["questions"][0].update(question=None),
        lambda index: index.update(schema="earmark.clips/9"),
        lambda index: index.update(more=1),
        lambda index: index["questions"][0]["excerpts"][0].update(kept_chunks=[-1]),
        lambda index: index.update(clips=[{"hash": f"{i:032x}", "sha256": "0" * 64} for i in range(1 << 15)]),
    ],
)
def test_an_index_that_cannot_be_is_refused(copied: Path, change: Callable[[Any], None]) -> None:
    path = copied / "clips/index.json"
    index = json.loads(path.read_bytes())
    change(index)
    path.write_text(json.dumps(index))
    with pytest.raises(InputError, match=r"clips/index.json"):
        certify(copied, SPEC.rule)


def test_links_are_refused(copied: Path) -> None:
    path = next((copied / "clips").glob("*.flac"))
    os.rename(path, copied / "elsewhere")
    path.symlink_to(copied / "elsewhere")
    with pytest.raises(InputError, match=r"is a link"):
        certify(copied, SPEC.rule)
    path.unlink()
    os.rename(copied / "elsewhere", path)
    os.rename(copied / "clips", copied / "others")
    (copied / "clips").symlink_to(copied / "others")
    with pytest.raises(InputError, match=r"is a link"):
        certify(copied, SPEC.rule)


def test_the_clips_of_another_rule_replace_them(copied: Path) -> None:
    before = {path.name for path in (copied / "clips").iterdir()}
    certificate = keep_clips(
        replace(SPEC, audits=replace(SPEC.audits, clips=1)),
        copied,
        certify(copied, SPEC.rule),
        load_compressor=sweeps.compressor,
    )
    after = {path.name for path in (copied / "clips").iterdir()}
    assert after < before
    assert after - {"index.json"} == {Path(f.path).name for f in certificate.inputs if f.path.endswith(".flac")}
    for name in after - {"index.json"}:
        assert len(soundfile.read(io.BytesIO((copied / "clips" / name).read_bytes()))[0]) > 0
