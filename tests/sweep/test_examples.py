"""The specs under examples/: each runs on its benchmark's real layout with a tiny model of its answerer's kind."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import fakes
import layouts
import pytest

from earmark.engine.answerers.loading import load
from earmark.engine.design.sections import AnswererSpec, MachineSpec, PartitionsSpec
from earmark.engine.design.spec import parse, read
from earmark.engine.outcomes import store
from earmark.engine.sweep.run import run

SPECS = sorted((Path(__file__).parents[2] / "examples" / "specs").glob("*.toml"))
FOLDERS = {
    "dcase2026": (layouts.dcase2026, 3),
    "audiomcq": (layouts.audiomcq, 5),
    "mmsu": (layouts.mmsu, 4),
    "mmar": (layouts.mmar, 5),
    "big-bench-audio": (layouts.big_bench_audio, 5),
}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders as they are downloaded, of random models of both kinds."""
    made = {"Qwen/Qwen2-Audio-7B-Instruct": fakes.qwen2_audio(), "Qwen/Qwen2.5-Omni-7B": fakes.qwen25_omni()}
    folders = {}
    for name, answerer in made.items():
        folders[name] = tmp_path_factory.mktemp("model")
        for part in (answerer.model, answerer.tokenizer, answerer.extractor):
            part.save_pretrained(folders[name])
    return folders


def test_each_runs_as_its_own_comment_says() -> None:
    assert len(SPECS) == 2
    for path in SPECS:
        assert f"earmark run examples/specs/{path.name}" in path.read_text()


@pytest.mark.parametrize("kind", FOLDERS)
@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_it_runs_on_every_benchmark_of_the_paper(
    path: Path, kind: str, models: dict[str, Path], tmp_path: Path
) -> None:
    spec = read(path)
    layout, examples = FOLDERS[kind]
    layout(tmp_path / "data")
    (tmp_path / "side.csv").write_text("sample_id,topic\n" + "".join(f"dev_{i:04d},t{i % 2}\n" for i in range(3)))
    brings_no_families = kind == "dcase2026"
    families = PartitionsSpec(side=str(tmp_path / "side.csv")) if brings_no_families else PartitionsSpec()
    here = replace(
        spec,
        corpus=replace(spec.corpus, path=str(tmp_path / "data"), kind=kind, name=kind),
        partitions=families,
        audits=replace(spec.audits, flip_rate=2),
    )

    def loaded(answerer: AnswererSpec, machine: MachineSpec) -> Any:
        return load(replace(answerer, model=str(models[answerer.model]), dtype="float32"), machine)

    here = replace(here, machine=replace(here.machine, device="cpu"))
    assert run(here, tmp_path / "run", load=loaded).complete
    cells = store.find_cells(tmp_path / "run")
    assert len(cells) == 1 + 1 + 3 * 4
    for key, paths in cells.items():
        cell = store.read_cell(tmp_path / "run", key, paths)
        assert len(cell) == examples
        assert set(cell.status.to_pylist()) == {"ok"}


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_what_is_commented_out_can_be_taken_in(path: Path) -> None:
    content = read(path).text
    more = re.sub(r"^# (\[|name|selector|seeds|permuted|naive)", r"\1", content, flags=re.MULTILINE)
    spec = parse(more)
    assert [method.name for method in spec.methods][-1] == "learned_conditioned"
    assert spec.streams.permuted_global == 10
