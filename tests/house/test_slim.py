"""What a base installation can do, with imports of everything else refused; and the line that says what is missing."""

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import base_installation as base
import log_fixtures as logs
import pytest
import sweeps

from earmark.cli.main import COMMANDS
from earmark.cli.selector import selector
from earmark.engine.errors import InputError
from earmark.engine.extras import EXTRAS_OF, MissingPackageError, needs_extra
from earmark.engine.sweep.run import run

ROOT = Path(__file__).parents[2]
HEURISTICS_ONLY = """\
[corpus]
path = "synthetic:certification:3"
[[answerers]]
model = "one"
[sweep]
budgets = [0.5]
window = 2
[[methods]]
name = "energy"
[audits]
flip_rate = 0
"""


def done(*arguments: object, code: int = 0) -> str:
    """What a command printed in the base installation, where it ended as it should."""
    ended = base.earmark(*arguments)
    assert ended.returncode == code, ended.stderr
    return ended.stdout


def test_the_base_is_six_packages_and_what_they_bring() -> None:
    assert base.names(base.PROJECT["dependencies"]) == {"click", "jinja2", "numba", "numpy", "pyarrow", "scipy"}
    assert len(base.base_packages()) < 15
    assert base.base_modules() == {
        "click", "jinja2", "llvmlite", "markupsafe", "numba", "numpy", "pyarrow", "scipy"
    }  # fmt: skip


def test_the_base_certifies_verifies_and_plans(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "examples" / "sounds", tmp_path / "sounds")
    assert "approved: learned_conditioned at budget 0.6" in done("certify", tmp_path / "sounds", "--tolerance", 0.05)
    assert "<html" in (tmp_path / "sounds" / "report.html").read_text()
    assert done("verify", tmp_path / "sounds" / "certificate.json").endswith("holds\n")
    assert "power at 0.05" in done("plan", tmp_path / "sounds")


@pytest.mark.parametrize("kind", ["csv", "lm-eval", "inspect"])
def test_the_base_imports_logs(tmp_path: Path, kind: str) -> None:
    raw, compressed = tmp_path / "raw", tmp_path / "compressed"
    options: list[str]
    if kind == "csv":
        raw = logs.write_csv(tmp_path / "raw.csv", logs.table(logs.RAW))
        compressed = logs.write_csv(tmp_path / "compressed.csv", logs.table(logs.COMPRESSED))
        options = ["--corpus", "sounds", "--answerer", "qwen2-audio"]
    elif kind == "lm-eval":
        logs.write_lm_eval(raw, logs.lm_eval_choice(logs.RAW))
        logs.write_lm_eval(compressed, logs.lm_eval_choice(logs.COMPRESSED))
        options = ["--family", "doc.category", "--metric", "acc"]
    else:
        raw = logs.write_inspect(tmp_path / "raw.eval", logs.inspect_samples(logs.RAW), zstd=True)
        compressed = logs.write_inspect(tmp_path / "compressed.eval", logs.inspect_samples(logs.COMPRESSED))
        options = ["--family", "metadata.task"]
    out = tmp_path / "run"
    assert "next: earmark certify" in done("import", kind, raw, f"energy@0.4={compressed}", "--out", out, *options)
    assert "refused: energy" in done("certify", out, code=3)


def test_the_base_says_how_far_a_sweep_is_and_merges_it(tmp_path: Path) -> None:
    run(sweeps.parse(HEURISTICS_ONLY), tmp_path / "run", load=sweeps.answerers())
    assert "next: earmark certify" in done("status", tmp_path / "run")
    assert "complete" in done("merge", tmp_path / "merged", tmp_path / "run")


def test_the_base_reads_the_tables_of_a_corpus(tmp_path: Path) -> None:
    row = {"sample_id": "a", "audio": "a.wav", "question": "Which?", "choices": ["bell", "dog"], "answer": "dog"}
    (tmp_path / "manifest.jsonl").write_text(json.dumps(row) + "\n")
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    assert "1 question about 1 recording" in done("corpus", tmp_path, "--audio", "none")
    for workers in (0, 1):  # here, and in a process of its own
        refused(
            base.earmark("corpus", tmp_path, "--workers", workers),
            "earmark corpus --audio headers: needs soundfile, which is not installed; "
            "pip install 'earmark[audio]', or look at none with --audio none",
        )
    assert "evaluations" in done("init", tmp_path, "--no-measure", "--out", tmp_path / "spec.toml")


TYPED = [[], *([name] for name in COMMANDS), *(["selector", name] for name in selector.commands)]


@pytest.mark.parametrize("command", TYPED, ids=" ".join)
def test_help_needs_no_numpy(command: list[str]) -> None:
    ended = base.earmark(*command, "--help", only={"click"})
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("Usage: earmark")


def refused(ended: Any, line: str) -> None:
    """The command ended with this line, and nothing else."""
    assert (ended.returncode, ended.stdout, ended.stderr) == (2, "", f"error: {line}\n")


def missing(task: str, package: str, extra: str) -> str:
    return f"{task}: needs {package}, which is not installed; pip install 'earmark[{extra}]'"


def test_a_command_without_its_extra_is_one_line(tmp_path: Path) -> None:
    out, tiny = ("--out", tmp_path / "out"), ROOT / "engine" / "compressors" / "chunks" / "tiny" / "agnostic"
    refused(base.earmark("run", ROOT / "examples" / "demo.toml", *out), missing("earmark run", "torch", "run"))
    refused(base.earmark("score", "x.wav", "--selector", "energy"), missing("earmark score", "soundfile", "edge"))
    refused(base.earmark("selector", "export", tiny, *out), missing("earmark selector export", "torch", "export"))
    refused(base.earmark("selector", "train", "x", *out), missing("earmark selector train", "torch", "run"))
    oracle = base.earmark("selector", "oracle", "synthetic:selector:2", *out)
    refused(oracle, missing("earmark selector oracle", "torch", "run"))
    semantic = base.earmark("corpus", "synthetic:certification:2", "--semantic", 2)
    refused(semantic, missing("semantic families", "torch", "run"))
    init = base.earmark("init", "synthetic:certification:2", *out)
    refused(init, missing("earmark init", "torch", "run") + ", or foresee no time with --no-measure")
    assert not (tmp_path / "out").exists()


def test_a_command_without_half_its_extra_names_what_brings_the_other_half(tmp_path: Path) -> None:
    tiny = ROOT / "engine" / "compressors" / "chunks" / "tiny" / "agnostic"
    export = base.earmark("selector", "export", tiny, "--out", tmp_path, without="onnx")
    refused(export, missing("earmark selector export", "onnx", "export"))
    (tmp_path / "graph.onnx").write_bytes(b"")
    graph = base.earmark("score", "x.wav", "--selector", tmp_path / "graph.onnx", without="onnxruntime")
    twin = " (or 'earmark[edge-gpu]' for CUDA, never both)"
    refused(graph, missing("earmark score", "onnxruntime", "edge") + twin)


@pytest.mark.parametrize("package", ["click", "numba", "pyarrow"])
def test_an_installation_without_a_package_of_the_base_says_so_in_one_line(package: str) -> None:
    command = ("warm",) if package == "numba" else ("certify", "run")  # small sign-offs compile nothing
    done = base.earmark(*command, without=package)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
    assert done.stderr.startswith(
        f"error: this installation of Earmark: lacks {package}, which all others have; pip install {package}"
    )


FROM_PYTHON = """
from earmark.engine.answerers.loading import load_model
from earmark.engine.compressors import loading
from earmark.engine.corpus.audio import FileAudio
from earmark.engine.corpus.stream import durations
from earmark.engine.errors import InputError
calls = [
    lambda: load_model("tiny"),
    lambda: loading.load_selector("tiny-agnostic"),
    lambda: list(durations([FileAudio("/x.wav", "x.wav")], workers=0)),
]
for call in calls:
    try:
        call()
    except InputError as error:
        print(error)
"""


def test_from_python_it_is_the_same_line() -> None:
    ended = base.python("-c", FROM_PYTHON)
    assert ended.stdout.splitlines() == [
        missing("an answerer", "torch", "run"),
        missing("a trained selector", "torch", "run"),
        missing("hearing recordings", "soundfile", "audio"),
    ], ended.stderr


def test_the_outermost_task_speaks() -> None:
    def raised(name: str) -> str:
        with (
            pytest.raises(MissingPackageError) as caught,
            needs_extra("a sweep", "run"),
            needs_extra("a graph", "edge", ", or give token ids"),
        ):
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)
        assert isinstance(caught.value, InputError)
        return str(caught.value)

    assert raised("torch") == missing("a sweep", "torch", "run")
    assert raised("onnx") == missing("a sweep", "onnx", "export")


@pytest.mark.parametrize("name", ["earmark.engine.nothing", "torch.nothing", "scipy", None])
def test_another_module_that_is_missing_is_a_defect(name: str | None) -> None:
    with pytest.raises(ModuleNotFoundError, match="here"), needs_extra("a sweep", "run"):
        raise ModuleNotFoundError("here", name=name)


def _whole(extra: str, extras: Mapping[str, list[str]]) -> set[str]:
    """The packages of an extra, with those of the extras that it is made of."""
    packages = set()
    for requirement in extras[extra]:
        parts = re.fullmatch(r"earmark\[(.+)\]", requirement)
        packages |= set().union(*(_whole(part, extras) for part in parts[1].split(","))) if parts else set()
        packages |= set() if parts else base.names([requirement])
    return packages


def test_the_extras_are_those_of_the_project() -> None:
    extras: dict[str, list[str]] = base.PROJECT["optional-dependencies"]
    roles = ["audio", "edge", "run", "export", "serve", "codecs", "ray", "remote"]
    brought = {extra: _whole(extra, extras) for extra in extras}
    for package, names in EXTRAS_OF.items():
        assert set(names) == {extra for extra in roles if package in brought[extra]}, package
    assert set().union(*(brought[extra] for extra in roles)) == set(EXTRAS_OF)
    assert brought["all"] == set(EXTRAS_OF)
    assert brought["edge-gpu"] == brought["edge"] - {"onnxruntime"} | {"onnxruntime-gpu"}
    assert brought["run-gpu"] == brought["run"] | brought["edge-gpu"]
    assert not (set(extras) & {"cpu", "gpu"}), "these mean torch elsewhere"
