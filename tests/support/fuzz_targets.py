"""Every reader of files that somebody else may have written, each with files as it reads them."""

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

import layouts
import log_fixtures
import pyarrow as pa
import pyarrow.parquet as pq
import small_selectors
import sweeps
from certificate_example import certificate
from fuzzing import Target

from earmark.engine.answerers import journal
from earmark.engine.answerers.request import Result
from earmark.engine.compressors.card import CARD, read_card
from earmark.engine.compressors.chunks.graph_file import check_whole, read_graph_file
from earmark.engine.corpus import decode
from earmark.engine.corpus.corpus import open_corpus
from earmark.engine.corpus.example import AudioError
from earmark.engine.corpus.partition import CorpusRecipes
from earmark.engine.design import spec as specs
from earmark.engine.making import oracle
from earmark.engine.making.edge import edge_folder
from earmark.engine.making.export import export
from earmark.engine.outcomes import plan_file, recipes, run_cards, store
from earmark.engine.outcomes.imports import doubts, inspect_eval, lm_eval, lmms_eval, plain_tables
from earmark.engine.outcomes.imports.logs import CompressedLog, import_logs
from earmark.engine.outcomes.imports.rows import Fields
from earmark.engine.signoff import certificate as certificates
from earmark.engine.signoff import preview
from earmark.engine.signoff.audits import beside
from earmark.engine.sweep.run import run
from earmark.engine.sweep.status import status

IDENTITY = "an answerer"
_RECIPES = CorpusRecipes("manifest", {"native": {"rule": "column", "column": "task"}}, "0" * 64)


def targets(folder: Path) -> list[Target]:
    """All of them; `folder` is emptied by nobody."""
    return [*_of_a_run(folder), *_of_logs(folder), *_of_corpora(folder), *_of_selectors(folder)]


def _of_a_run(folder: Path) -> Iterator[Target]:
    """A small sweep with everything beside it."""
    out = folder / "run"
    run(sweeps.spec(sweeps.SMALLER), out, load=sweeps.answerers(), load_compressor=sweeps.compressor)
    yield _replacing("plan", out / plan_file.PLAN, lambda: status(out), structured=True, share=0.3)
    yield _replacing(
        "flips", next((out / beside.FLIPS).glob("*.json")), lambda: beside.flip_rates(out), structured=True
    )
    yield _replacing("grid", next((out / beside.GRID).rglob("*.parquet")), lambda: beside.score_shares(out), share=0.5)
    cells = {key: paths for key, paths in store.find_cells(out).items() if key.budget == 0.6}
    key, (path,) = next(iter(cells.items()))
    yield _replacing("cell", path, lambda: store.read_cell(out, key, [path]), share=0.5)
    yield _replacing("partitions", out / store.PARTITIONS, lambda: store.read_partitions(out), share=0.5)
    sources = {"trained_on": [{"corpus": "c", "sources": ["0" * 16], "recordings": ["1" * 16]}], "weights": "0" * 64}
    card = run_cards.write_card(out, "fake", 1, small_selectors.made().card | sources)
    yield _replacing("card of a run", card, lambda: run_cards.read_cards(out), structured=True)
    mark = out / preview.PREVIEW_MARK
    mark.write_text('{"examples": 3, "of": 9}\n')
    yield _replacing("preview", mark, lambda: preview.read(out), structured=True)
    mark.unlink()
    yield Target("recipes", (recipes.recipes_content({"c": _RECIPES}),), lambda data: _recipes(out, data), True, 0.5)
    stated = folder / "certificate.json"
    stated.write_text(json.dumps(certificate()))
    yield _replacing("certificate", stated, lambda: certificates.read(stated), structured=True, share=0.3)
    answers = folder / "answers.jsonl"
    with journal.opened(answers, IDENTITY) as opened:
        opened.append([Result(f"{i}", "A", (0.1, 2.0, 3.0), 25) for i in range(3)])
    yield _replacing("journal", answers, lambda: _journal(answers), structured=True, share=0.3)
    text = (Path(__file__).parents[2] / "examples" / "demo.toml").read_bytes()
    spec = folder / "spec.toml"
    spec.write_bytes(text)
    yield _replacing("spec", spec, lambda: specs.read(spec), seeds=(text, sweeps.SPEC.encode()), share=0.5)


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


def _of_logs(folder: Path) -> Iterator[Target]:
    """Logs of the harnesses, and tables."""
    logs = folder / "logs"
    choice = log_fixtures.write_lm_eval(logs / "lm", log_fixtures.lm_eval_choice(log_fixtures.RAW))
    fields = Fields(family="doc.category", metric="acc")
    yield _replacing("lm-eval", choice, lambda: lm_eval.read(choice, fields), structured=True)
    results = next(choice.parent.glob("results_*.json"))
    yield _replacing("lm-eval results", results, lambda: lm_eval.read(choice, fields), structured=True)
    lmms = log_fixtures.write_lmms_eval(logs / "lmms", log_fixtures.lmms_eval(log_fixtures.RAW))
    yield _replacing(
        "lmms-eval", lmms, lambda: lmms_eval.read(lmms, Fields(family="mmar_accuracy.category")), structured=True
    )
    samples = log_fixtures.inspect_samples(log_fixtures.RAW)
    packed = log_fixtures.write_inspect(logs / "raw.eval", samples)
    yield _replacing("inspect", packed, lambda: inspect_eval.read(packed, Fields(family="metadata.task")))
    rows = log_fixtures.table(log_fixtures.RAW)
    tables = {
        "CSV": (log_fixtures.write_csv(logs / "t.csv", rows), plain_tables.read_csv, False),
        "JSONL": (log_fixtures.write_lines(logs / "t.jsonl", rows), plain_tables.read_jsonl, True),
    }
    parquet = logs / "t.parquet"
    pq.write_table(pa.Table.from_pylist(rows), parquet)
    tables["Parquet"] = (parquet, plain_tables.read_parquet, False)
    for name, (path, reader, structured) in tables.items():
        yield _replacing(
            f"{name} of outcomes", path, lambda path=path, reader=reader: reader(path, Fields()), structured=structured
        )
    rows = log_fixtures.table(log_fixtures.COMPRESSED)
    arm = CompressedLog("energy", 0.4, 0, log_fixtures.write_csv(logs / "compressed.csv", rows))
    out = folder / "imported"
    import_logs("csv", logs / "t.csv", [arm], Fields(), out, answerer="a", corpus="c")
    yield _replacing("record of an import", out / doubts.FILE, lambda: doubts.read(out), structured=True)


def _of_corpora(folder: Path) -> Iterator[Target]:
    """Manifests, archives, and recordings."""
    for form in ("jsonl", "csv", "parquet"):
        place = layouts.manifest(folder / f"manifest-{form}", form)
        yield _replacing(
            f"manifest in {form}",
            place / f"manifest.{form}",
            lambda place=place: open_corpus(place),
            structured=form == "jsonl",
        )
    packed = folder / "packed"
    layouts.downloaded(folder / "downloaded")
    zipped = layouts.mmau(packed, packed=True)
    for number, archive in enumerate(sorted(p for p in zipped.rglob("*") if p.suffix in (".zip", ".gz", ".tar"))):
        yield _replacing(f"archive {number}", archive, lambda: _heard(zipped), share=0.2)
    for form, subtype in (("WAV", None), ("FLAC", None), ("OGG", None), ("MP3", None)):
        recording = folder / f"recording.{form.lower()}"
        layouts.write(recording, layouts.encoded(300, form, subtype=subtype))
        yield _replacing(form, recording, lambda recording=recording: decode.waveform(str(recording)), share=0.5)


def _heard(place: Path) -> None:
    for example in islice(open_corpus(place).examples, 3):
        with suppress(AudioError):
            example.audio.waveform()


def _of_selectors(folder: Path) -> Iterator[Target]:
    """What training leaves, and what is exported for devices."""
    trained = small_selectors.saved(folder / "selector")
    yield _replacing("card", trained / CARD, lambda: read_card(trained / CARD), structured=True)
    device = folder / "device"
    export(trained, device)
    for name in ("edge.json", "vectors.json"):
        if (device / name).exists():
            read = edge_folder.read_manifest if name == "edge.json" else edge_folder.read_vectors
            yield _replacing(name, device / name, lambda read=read: read(device), structured=True)
    graph = device / "waveform.onnx"
    yield _replacing("graph", graph, lambda: check_whole(read_graph_file(graph)), share=0.5)
    measured = folder / "oracle.parquet"
    row = oracle.Relevance("a", "b", "c", "d", "e" * 32, 2, [0.5, 0.25], "ok")
    oracle.write([row], dict.fromkeys(("answerer", "identity", "corpus", "kind", "path"), "c"), measured)
    yield _replacing("oracle", measured, lambda: oracle.read(measured))


def _replacing(
    name: str,
    path: Path,
    read: Callable[[], object],
    *,
    seeds: tuple[bytes, ...] = (),
    structured: bool = False,
    share: float = 1.0,
) -> Target:
    """A target whose input stands at a path while it is read, and is what it was before afterwards."""
    whole = path.read_bytes()

    def shown(data: bytes) -> object:
        path.write_bytes(data)
        try:
            return read()
        finally:
            path.write_bytes(whole)

    return Target(name, seeds or (whole,), shown, structured, share)
