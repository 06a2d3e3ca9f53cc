"""Small things that stand in for what the pages name, in a folder: benchmarks, models, recordings, logs."""

import json
import re
import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path

import layouts
import log_fixtures as logs
import pyarrow as pa
import pyarrow.parquet as pq
from small_encoder import save_encoder

from earmark.engine.answerers.tiny import TINY_A
from earmark.engine.corpus.semantic import PREFIX

ROOT = Path(__file__).parents[2]
HUB_DATASET = ROOT / "tests" / "fixtures" / "hub_datasets" / "pushed"
SHARES = {"60": "0.6", "40": "0.2", "20": "0.2"}  # that the harnesses were asked for, by what stands in a place
HARNESS_LOGS = ROOT / "tests" / "fixtures" / "harness_logs" / "logs.zip"
MODELS = ("Qwen/Qwen2-Audio-7B-Instruct", "models/Qwen2-Audio-7B-Instruct")
ENCODERS = ("models/my-encoder", "intfloat/e5-large-v2")
# What is typed otherwise here, so that it takes seconds and no GPU
TYPED = (
    ("--device cuda", "--device cpu"),
    ("--answerer MODEL", "--answerer tiny"),
    ("openai:http://127.0.0.1:8765/v1#listener", "tiny"),
    ("--limit 40", "--limit 2"),
    ("--limit 64", "--limit 2"),
    ("certification:200", "certification:4"),
    ("two-factor:selector:200", "two-factor:selector:4"),
    ("probe synthetic:selector:500", "probe synthetic:selector:4"),
    ("selector train oracle.parquet", "selector train oracle.parquet --epochs 1"),
    ("--epochs 1 --out sweep", "--epochs 1 --seed 7 --out sweep"),
    ("--semantic 12", "--semantic 2"),
)
# What a spec asks for otherwise
SPECIFIED = (
    (r"^window = .*", "window = 2"),
    (r"^flip_rate = .*", "flip_rate = 2"),
    (r'^device = "cuda"', 'device = "cpu"'),
    (r'^dtype = "bfloat16"', 'dtype = "float32"'),
)


def typed(line: str) -> str:
    """A command line as it is typed among stand-ins."""
    for named, here in TYPED:
        line = line.replace(named, here)
    return line


def lay_out(folder: Path) -> None:
    """Everything that a page may name and no command of it makes."""
    shutil.copytree(ROOT / "examples", folder / "examples")
    layouts.mmsu(folder / "data" / "MMSU")
    layouts.audiomcq(folder / "data" / "AudioMCQ")
    shutil.copytree(HUB_DATASET, folder / "data" / "my-benchmark")
    write_numbers(folder / "numbers")
    for name in MODELS:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to(TINY_A)
    for name in ENCODERS:
        save_encoder(folder / name, [*PREFIX.replace(":", " :").split(), "what", "is", "it", "?"])
    for name, form in (("clips/a.wav", "WAV"), ("clips/b.flac", "FLAC"), ("clip.wav", "WAV")):
        layouts.write(folder / name, layouts.encoded(440, form, 3.0))
    for spec in (folder / "examples" / "specs").glob("*.toml"):
        make_small(spec)


def write_numbers(folder: Path) -> None:
    """A manifest as examples/first_hour/make_corpus.py writes it, of a few tones."""
    rows = []
    for clip in range(8):
        audio = f"audio/{clip:03}.wav"
        layouts.write(folder / audio, layouts.encoded(220 + 20 * clip, "WAV", 3.0))
        for family in ("first", "last", "count", "pause"):
            question = {"question": f"Which {family}?", "choices": ["3", "4", "5", "6"], "answer": str(3 + clip % 4)}
            rows.append({"sample_id": f"{clip:03}-{family}", "audio": audio, "family": family, **question})
    layouts.write(folder / "manifest.jsonl", "".join(f"{json.dumps(row)}\n" for row in rows).encode())


def make_small(spec: Path) -> None:
    """Let a spec ask for little: small windows, few repeated questions, the CPU."""
    text = spec.read_text()
    for line, here in SPECIFIED:
        text = re.sub(line, here, text, flags=re.MULTILINE)
    spec.write_text(text)


def write_logs(words: Sequence[str], folder: Path) -> None:
    """The logs that `earmark import KIND RAW LOG...` names, of its kind, where it names them.

    Logs whose budget is typed are made here; those that say it themselves were written by the harness.
    """
    kind, raw, *rest = words
    arms = rest[: next((place for place, word in enumerate(rest) if word.startswith("--")), len(rest))]
    if kind == "vlmeval" or not all("=" in arm for arm in arms) or not arms:
        for place in (raw, *(arm.rpartition("=")[2] for arm in arms)):
            _inspect_folder(folder / place) if kind == "inspect" else _unpack(kind, place, folder / place)
        return
    _write_log(kind, folder / raw, logs.RAW)
    for arm in arms:
        _write_log(kind, folder / arm.partition("=")[2], logs.COMPRESSED)


def _inspect_folder(folder: Path) -> None:
    """Two logs that say themselves what was done to the audio."""
    for name, answers, arguments in (
        ("raw", logs.RAW, {}),
        ("energy", logs.COMPRESSED, {"method": "energy", "budget": 0.4}),
    ):
        header = logs.inspect_header()
        header["eval"] |= {"model_args": arguments}
        layouts.write_json(
            folder / f"2026-01-02T03-04-05-00-00_mmau_{name}.json", header | {"samples": logs.inspect_samples(answers)}
        )


def _unpack(kind: str, place: str, path: Path) -> None:
    """What a harness wrote, of the budget that a place speaks of, or of raw audio."""
    share = next((share for percent, share in SHARES.items() if percent in place), "1")
    with zipfile.ZipFile(HARNESS_LOGS) as archive:
        for name in (name for name in archive.namelist() if name.startswith(f"{kind}/{share}/")):
            if path.suffix != ".xlsx":
                layouts.write(path / Path(name).name.replace("mock-ears_", "qwen_"), archive.read(name))
            elif name.endswith("_result.xlsx"):
                layouts.write(path, archive.read(name))


def _write_log(kind: str, path: Path, answers: logs.Answers) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "lm-eval":
        logs.write_lm_eval(path, logs.lm_eval_choice(answers))
    elif kind == "lmms-eval":
        logs.write_lmms_eval(path, logs.lmms_eval(answers))
    elif kind == "inspect":
        (logs.write_inspect_json if path.suffix == ".json" else logs.write_inspect)(path, logs.inspect_samples(answers))
    elif kind == "csv":
        logs.write_csv(path, logs.table(answers))
    elif kind == "parquet":
        pq.write_table(pa.Table.from_pylist(logs.table(answers)), path)
    else:
        assert kind == "jsonl", kind
        logs.write_lines(path, [_other_names(row) for row in logs.table(answers)])


def _other_names(row: dict[str, object]) -> dict[str, object]:
    """A row of a table whose columns are called otherwise."""
    return {
        "question": row["sample_id"],
        "topic": row["query_family"],
        "clip": row["source_id"],
        "correct": row["loss"] == 0,
        "choices": list(logs.OPTIONS),
    }
