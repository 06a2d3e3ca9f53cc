"""Every reader of files that somebody else may have written, each with files as it reads them."""

import json
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path

import fuzz_logs
import fuzz_models
import fuzz_served
import layouts
import log_fixtures
import pyarrow as pa
import pyarrow.parquet as pq
import small_selectors
import sweeps
from certificate_example import certificate
from fuzz_inputs import Read, replacing, table
from fuzzing import Target

from earmark.engine.answerers import journal
from earmark.engine.answerers.request import Result
from earmark.engine.corpus import decode
from earmark.engine.corpus.audio import TableAudio
from earmark.engine.corpus.corpus import open_corpus
from earmark.engine.corpus.example import AudioError
from earmark.engine.corpus.partition import CorpusRecipes
from earmark.engine.corpus.side_files import side_file
from earmark.engine.corpus.spool import spool
from earmark.engine.corpus.stream import stream
from earmark.engine.design import spec as specs
from earmark.engine.design.steps import Step
from earmark.engine.outcomes import plan_file, recipes, run_cards, store
from earmark.engine.progress import never, silent
from earmark.engine.report import card_section, signed_files
from earmark.engine.report.verify import verify
from earmark.engine.signoff import certificate as certificates
from earmark.engine.signoff import kept_clips, policy, preview, sources
from earmark.engine.signoff.audits import beside
from earmark.engine.signoff.certify import certify
from earmark.engine.signoff.follow import follow
from earmark.engine.sweep.blocks import Shard, blocks
from earmark.engine.sweep.clip_keeping import keep_clips
from earmark.engine.sweep.merge import merge
from earmark.engine.sweep.offers import Clips, offers
from earmark.engine.sweep.prepare import prepare
from earmark.engine.sweep.run import run
from earmark.engine.sweep.status import status
from earmark.engine.sweep.sweep_folder import SweepFolder
from earmark.engine.sweep.tasks import Task
from earmark.engine.sweep.windows import Windows

IDENTITY = "an answerer"
_RECIPES = CorpusRecipes("manifest", {"native": {"rule": "column", "column": "task"}}, "0" * 64)


def targets(folder: Path) -> list[Target]:
    """All of them; `folder` is emptied by nobody."""
    groups = (
        _of_a_run,
        _of_clips,
        _of_windows,
        _of_walks,
        _of_spools,
        _of_a_sign_off,
        fuzz_logs.of_logs,
        _of_corpora,
        fuzz_models.of_selectors,
        fuzz_models.of_exports,
        fuzz_models.of_training,
        fuzz_models.of_answerers,
        fuzz_models.of_waves,
        fuzz_models.of_encodings,
        fuzz_served.of_ledgers,
        fuzz_served.of_replies,
        fuzz_served.of_who_answered,
    )
    return [target for group in groups for target in group(folder)]


def _of_a_run(folder: Path) -> Iterator[Target]:
    """A small sweep with everything beside it."""
    out = folder / "run"
    run(sweeps.spec(sweeps.SMALLER), out, load=sweeps.answerers(), load_compressor=sweeps.compressor)
    plan = out / plan_file.PLAN
    yield replacing("plan", plan, lambda: status(out), structured=True, share=0.3)
    yield replacing("plan that is merged", plan, lambda: _merged(out, folder / "merged"), structured=True, share=0.03)
    yield replacing("flips", next((out / beside.FLIPS).glob("*.json")), lambda: beside.flip_rates(out), structured=True)
    yield replacing("grid", next((out / beside.GRID).rglob("*.parquet")), lambda: beside.score_shares(out), share=0.5)
    cells = {key: paths for key, paths in store.find_cells(out).items() if key.budget == 0.6}
    key, (path,) = next(iter(cells.items()))
    yield replacing("cell", path, lambda: store.read_cell(out, key, [path]), share=0.5)
    yield from _as_bytes_and_rows("cell with another column", *_declared(out, path, folder / "declared"))
    yield replacing("partitions", out / store.PARTITIONS, lambda: store.read_partitions(out), share=0.5)
    trained_on = {"trained_on": [{"corpus": "c", "sources": ["0" * 16], "recordings": ["1" * 16]}], "weights": "0" * 64}
    card = run_cards.write_card(out, "fake", 1, small_selectors.made().card | trained_on)
    yield replacing("card of a run", card, lambda: run_cards.read_cards(out), structured=True)
    limited = folder / "limited"  # apart: a folder with this mark is judged by no plan
    limited.mkdir()
    (limited / preview.PREVIEW_MARK).write_text('{"examples": 3, "of": 9}\n')
    yield replacing("preview", limited / preview.PREVIEW_MARK, lambda: preview.read(limited), structured=True)
    yield Target("recipes", (recipes.recipes_content({"c": _RECIPES}),), lambda data: _recipes(out, data), True, 0.5)
    answers = folder / "answers.jsonl"
    with journal.opened(answers, IDENTITY) as opened:
        opened.append([Result(f"{i}", "A", (0.1, 2.0, 3.0), 25) for i in range(3)])
    yield replacing("journal", answers, lambda: _journal(answers), structured=True, share=0.3)
    text = (Path(__file__).parents[2] / "examples" / "demo.toml").read_bytes()
    spec = folder / "spec.toml"
    spec.write_bytes(text)
    yield replacing("spec", spec, lambda: specs.read(spec), seeds=(text, sweeps.SPEC.encode()), share=0.5)


def _of_clips(folder: Path) -> Iterator[Target]:
    """What a run keeps to listen to."""
    spec, out = sweeps.spec(sweeps.SMALLER, sweeps.ENERGY_ALONE, {"grid = 3": "grid = 3\nclips = 1"}), folder / "heard"
    run(spec, out, load=sweeps.answerers(), load_compressor=sweeps.compressor)
    signed = keep_clips(spec, out, certify(out, spec.rule), load_compressor=sweeps.compressor)
    index = out / kept_clips.INDEX
    yield replacing("index of clips", index, lambda: kept_clips.attach(signed, out), structured=True, share=0.5)


def _declared(run: Path, cell: Path, into: Path) -> tuple[Path, Read]:
    """A cell whose recordings are in a column of their own, elsewhere, and its reader."""
    path = into / cell.relative_to(run)
    path.parent.mkdir(parents=True)
    rows = pq.read_table(cell, partitioning=None)
    recordings = pa.array([f"recording {number // 2}" for number in range(len(rows))])
    pq.write_table(rows.append_column("recording", recordings), path)

    def read() -> None:
        ((key, paths),) = store.find_cells(into).items()
        sources.of_cell(store.read_cell(into, key, paths), paths, "recording")

    return path, read


def _of_windows(folder: Path) -> Iterator[Target]:
    """What a shard has of a block: results, rows of raw and of compressed audio, scores of selectors."""
    spec, out = sweeps.spec(sweeps.SMALLER), folder / "shard"
    run(spec, out, shard=Shard(0, 2), load=sweeps.answerers(), load_compressor=sweeps.compressor)
    prepared, sweep = prepare(spec, out, sweeps.compressor), SweepFolder(out)
    windows = sweep.windows
    (described,) = spec.answerers
    answerer, identity = described.name, sweeps.answerers()(described, spec.machine).identity
    raw, anchor = (next(step for step in prepared.steps if step.kind == kind) for kind in ("raw", "anchor"))
    number = windows.blocks(answerer, anchor)[0]
    name = f"window-{number:05d}"
    block = next(block for block in blocks(prepared.corpus, spec.window) if block.number == number)
    clips = Clips(block, list(stream(block.examples, workers=0)))
    results = next((out / "answers").rglob(f"{name}.jsonl"))
    yield replacing(
        "results of a window",
        results,
        lambda: _results(windows, answerer, identity, number),
        structured=True,
        share=0.2,
    )
    yield from _as_bytes_and_rows(
        "window",
        windows.pending(answerer, anchor) / f"{name}.parquet",
        lambda: _cells(sweep, answerer, prepared.corpus.name, anchor, number),
    )
    yield from _as_bytes_and_rows(
        "window of raw audio",
        windows.pending(answerer, raw) / f"{name}.parquet",
        lambda: sweep.failed(Task(answerer, raw, number), prepared.corpus.name, raw, raw.arms[0]),
    )
    yield from _as_bytes_and_rows(
        "window of scores",
        out / "scores" / anchor.kind / f"{name}.parquet",
        lambda: offers(sweep, anchor, prepared.steps, clips, prepared.compressors, prepared.streams),
    )


def _of_walks(folder: Path) -> Iterator[Target]:
    """What a shard of a walk has of a block: the rows that were asked together."""
    decided = {"window = 2": 'window = 2\nuntil = "decided"', "tolerances = [0.3]": "tolerances = [0.95]"}
    spec = sweeps.spec(sweeps.SMALLER, decided)
    out = folder / "walk"
    run(spec, out, shard=Shard(0, 2), load=sweeps.answerers(), load_compressor=sweeps.compressor)
    windows, (raw, *_) = SweepFolder(out).windows, prepare(spec, out, sweeps.compressor).steps
    part = next(windows.pending(spec.answerers[0].name, raw).glob("window-*.*.parquet"))

    def read() -> None:
        windows.parts_written(spec.answerers[0].name, raw)
        list(windows.parts(spec.answerers[0].name, raw))

    yield from _as_bytes_and_rows("part of a window", part, read)


def _of_spools(folder: Path) -> Iterator[Target]:
    """Where recordings are that were copied out of a table."""
    path = folder / "embedded.parquet"
    pq.write_table(pa.table({"audio": pa.array([layouts.encoded(400)] * 3, pa.binary())}), path)
    audios = [TableAudio(str(path), 0, row, "audio", str(row)) for row in range(3)]

    def read() -> None:
        for audio in spool(audios, folder / "spooled", 1 << 24, silent, never).values():
            with suppress(AudioError):
                audio.waveform()

    read()
    index = next((folder / "spooled").rglob("index.json"))
    yield replacing("index of a spool", index, read, structured=True, share=0.5)


def _results(windows: Windows, answerer: str, identity: str, number: int) -> None:
    with windows.results(answerer, number) as path, journal.opened(path, identity):
        pass


def _cells(sweep: SweepFolder, answerer: str, corpus: str, step: Step, number: int) -> None:
    """Make cells of a block, elsewhere."""
    into = sweep.run.with_name("cells-of-a-block")
    try:
        sweep.windows.check_rows(answerer, step, [number])
        for arm, key in step.keys(answerer, corpus).items():
            sweep.write_cell(key, sweep.windows.rows(answerer, step, arm, [number]), into)
    finally:
        shutil.rmtree(into, ignore_errors=True)


def _as_bytes_and_rows(name: str, path: Path, read: Read) -> Iterator[Target]:
    yield replacing(name, path, read, share=0.1)
    yield table(f"rows of a {name}", path, read, share=0.1)


def _section_in(model_card: Path) -> str:
    """The card with another section in the place of the one that it has."""
    return card_section.placed(card_section.read_card(model_card), ["now"], model_card)


def _of_a_sign_off(folder: Path) -> Iterator[Target]:
    """Certificates, alone and one after the other, the plan that they keep to, and what lies beside them."""
    out, rule = folder / "run", replace(sweeps.spec(sweeps.SMALLER).rule, looks=3)
    plan = out / plan_file.PLAN
    yield replacing("plan that is judged by", plan, lambda: certify(out, rule), structured=True, share=0.02)
    first = signed_files.write(certify(out, rule), out, folder / "first")
    follows = follow(first, certificates.read(first), out, rule)
    second = signed_files.write(certify(out, rule, follows=follows), out, folder / "second")
    for path, share in ((first, 0.05), (second, 0.05)):
        yield replacing(
            f"{path.parent.name} certificate of a chain",
            path,
            lambda: follow(second, certificates.read(second), out, rule),
            structured=True,
            share=share,
        )
    yield replacing("certificate that is verified", second, lambda: verify(second), structured=True, share=0.01)
    page = second.with_name(signed_files.REPORT)
    yield replacing("page that is verified", page, lambda: verify(second), share=0.003)
    stated = folder / "stated" / certificates.CERTIFICATE_FILE
    stated.parent.mkdir()
    stated.write_text(json.dumps(certificate(claim="routing")))
    yield replacing("certificate", stated, lambda: certificates.read(stated), structured=True, share=0.3)
    model_card = folder / "README.md"
    model_card.write_text(f"# A model\n\n{card_section.BEGIN}\nas before\n{card_section.END}\n\nIts licence.\n")
    yield replacing("model card", model_card, lambda: _section_in(model_card), share=0.3)
    routed = certificates.read(stated)
    wanted = policy.content(routed)
    assert wanted is not None, "it routes"
    beside_it = stated.with_name(policy.POLICY_FILE)
    beside_it.write_bytes(wanted)
    yield replacing("policy", beside_it, lambda: _policy(routed, stated.parent), structured=True, share=0.3)
    yield replacing(
        "certificate of a policy", stated, lambda: policy.check_ours(stated.parent, None), structured=True, share=0.1
    )


def _policy(routed: certificates.Certificate, folder: Path) -> None:
    policy.difference(routed, folder)
    policy.check_ours(folder, None)


def _merged(shard: Path, into: Path) -> None:
    try:
        merge(into, [shard])
    finally:
        shutil.rmtree(into, ignore_errors=True)


def _recipes(run: Path, data: bytes) -> None:
    path = run / store.PARTITIONS
    whole = path.read_bytes()
    pq.write_table(pq.read_table(path).replace_schema_metadata({recipes.RECIPES_KEY: data}), path)
    try:
        recipes.read_recipes(run)
    finally:
        path.write_bytes(whole)


def _journal(path: Path) -> None:
    with journal.opened(path, IDENTITY):
        pass


def _of_corpora(folder: Path) -> Iterator[Target]:
    """Manifests, archives, and recordings."""
    for form in ("jsonl", "csv", "parquet"):
        place = layouts.manifest(folder / f"manifest-{form}", form)
        yield replacing(
            f"manifest in {form}",
            place / f"manifest.{form}",
            lambda place=place: open_corpus(place),
            structured=form == "jsonl",
        )
    corpus = open_corpus(folder / "manifest-jsonl")
    names = [example.sample_id for example in corpus.examples]
    families = [{"sample_id": name, "room": f"room {len(name) % 2}"} for name in names]
    sides = {
        "CSV": log_fixtures.write_csv(folder / "side.csv", families),
        "JSONL": log_fixtures.write_lines(folder / "side.jsonl", families),
        "Parquet": folder / "side.parquet",
    }
    pq.write_table(pa.Table.from_pylist(families), sides["Parquet"])
    for form, path in sides.items():
        yield replacing(
            f"side file in {form}", path, lambda path=path: side_file(corpus, path), structured=form == "JSONL"
        )
    rows = layouts.hub_table(layouts.HUB_ROWS)
    dataset, saved = layouts.hub(folder / "hub"), layouts.saved(folder / "saved", rows)
    shard, arrow = next((dataset / "data").glob("*.parquet")), next(saved.glob("*.arrow"))
    yield replacing("shard of a dataset", shard, lambda: _heard(dataset), share=0.3)
    yield replacing("saved dataset", arrow, lambda: _heard(saved), share=0.5)
    yield replacing("state of a saved dataset", saved / "state.json", lambda: open_corpus(saved), structured=True)
    texts = [row | {"audio": "a.wav", "options": json.dumps(row["options"])} for row in layouts.HUB_ROWS]
    lines = log_fixtures.write_lines(folder / "dataset.jsonl", texts)
    yield replacing("dataset in JSONL", lines, lambda: open_corpus(lines, "hub"), structured=True, share=0.5)
    features = json.dumps({"info": {"features": {"label": {"_type": "ClassLabel", "names": ["a", "b"]}}}}).encode()
    yield Target("features of a dataset", (features,), lambda data: _featured(folder, rows, data), True, 0.5)
    packed = folder / "packed"
    layouts.downloaded(folder / "downloaded")
    zipped = layouts.mmau(packed, packed=True)
    for number, archive in enumerate(sorted(p for p in zipped.rglob("*") if p.suffix in (".zip", ".gz", ".tar"))):
        yield replacing(f"archive {number}", archive, lambda: _heard(zipped), share=0.2)
    for form, subtype in (("WAV", None), ("FLAC", None), ("OGG", None), ("MP3", None)):
        recording = folder / f"recording.{form.lower()}"
        layouts.write(recording, layouts.encoded(300, form, subtype=subtype))
        yield replacing(form, recording, lambda recording=recording: decode.waveform(str(recording)), share=0.5)


def _featured(folder: Path, rows: pa.Table, features: bytes) -> None:
    """Read a dataset in which this stands about its columns."""
    path = folder / "featured" / "test.parquet"
    path.parent.mkdir(exist_ok=True)
    pq.write_table(rows.replace_schema_metadata({b"huggingface": features}), path)
    open_corpus(path)


def _heard(place: Path) -> None:
    for example in islice(open_corpus(place).examples, 3):
        with suppress(AudioError):
            example.audio.waveform()
