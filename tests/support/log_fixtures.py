"""Small logs in exactly the layouts that lm-eval, lmms-eval and inspect write: the rows, and writers of the files.

Six questions about three recordings, in two families; an arm is the list of what was answered (None: nothing that
could be parsed). Everything else is as a harness would have it.
"""

import hashlib
import io
import json
import struct
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import pyarrow as pa

Answers = Sequence[int | None]
Rows = list[dict[str, Any]]

OPTIONS = ("dog", "cat", "bell")
TARGETS = (0, 1, 2, 0, 1, 2)
FAMILIES = ("sound", "speech", "sound", "speech", "sound", "speech")
RECORDINGS = ("a.wav", "a.wav", "b.wav", "b.wav", "c.wav", "c.wav")

RAW: Answers = (0, 1, 2, 0, 1, None)  # the last one could not be parsed
COMPRESSED: Answers = (0, 1, 1, 2, 1, None)  # and two more are wrong


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def question(i: int) -> str:
    return f"What is heard in clip {i}?\nAnswer:"


def doc(i: int) -> dict[str, Any]:
    return {
        "question": question(i),
        "answer": TARGETS[i],
        "category": FAMILIES[i],
        "audio": {"path": RECORDINGS[i], "array": "[0.1 0.2 ... 0.1]", "sampling_rate": 16000},
    }


# lm-eval ---------------------------------------------------------------------------------------------------


def _lm_eval_row(i: int, **rest: Any) -> dict[str, Any]:
    return {
        "doc_id": i,
        "doc": doc(i),
        **rest,
        "doc_hash": sha(json.dumps(doc(i))),
        "prompt_hash": sha(question(i)),
        "target_hash": sha(str(rest["target"])),
    }


def lm_eval_choice(answers: Answers) -> Rows:
    """A multiple-choice task: a log-likelihood per option, as texts."""
    rows = []
    for i, answer in enumerate(answers):
        likelihoods = [-3.0 - option for option in range(3)]
        likelihoods[answer if answer is not None else (TARGETS[i] + 1) % 3] = -0.25
        pairs = [[str(value), str(value == -0.25)] for value in likelihoods]
        row = _lm_eval_row(
            i,
            target=str(TARGETS[i]),
            arguments={f"gen_args_{k}": {"arg_0": question(i), "arg_1": f" {OPTIONS[k]}"} for k in range(3)},
            resps=[[pair] for pair in pairs],
            filtered_resps=pairs,
            filter="none",
            metrics=["acc", "acc_norm"],
        )
        rows.append(row | {"acc": float(answer == TARGETS[i]), "acc_norm": 0.0 if i else 1.0})
    return rows


def lm_eval_generate(answers: Answers, filters: Sequence[str] = ("strict", "loose")) -> Rows:
    """A generating task: all rows of the first filter, then all of the next."""
    rows = []
    for name in filters:
        for i, answer in enumerate(answers):
            said = "I cannot hear it" if answer is None else f"It is a {OPTIONS[answer]}"
            parsed = "[invalid]" if answer is None else OPTIONS[answer]
            row = _lm_eval_row(
                i,
                target=OPTIONS[TARGETS[i]],
                arguments={"gen_args_0": {"arg_0": question(i), "arg_1": {"until": ["\n"]}}},
                resps=[[said]],
                filtered_resps=[parsed if name == "strict" else said],
                filter=name,
                metrics=["exact_match"],
            )
            rows.append(row | {"exact_match": float(name == "strict" and answer == TARGETS[i])})
    return rows


def write_lm_eval(
    out: Path,
    rows: Rows,
    *,
    task: str = "sounds",
    model: str | None = "Qwen/Qwen2-Audio",
    model_args: str | dict[str, Any] | None = None,
    date: str = "2026-01-02T03-04-05.678901",
) -> Path:
    """`<out>/<model>/samples_<task>_<date>.jsonl`, with the results file of the run unless `model` is None.

    `model_args` are those of the command; None: they name the model.
    """
    folder = out / (model or "model").replace("/", "__")
    path = write_lines(folder / f"samples_{task}_{date}.jsonl", rows)
    if model:
        config = {"model": "hf", "model_args": f"pretrained={model},dtype=auto" if model_args is None else model_args}
        results = {
            "results": {task: {"acc,none": 0.5}},
            "config": config | {"batch_size": 1},
            "model_source": "hf",
            "model_name": model,
        }
        (folder / f"results_{date}.json").write_text(json.dumps(results, indent=2))
    return path


# lmms-eval -------------------------------------------------------------------------------------------------


def lmms_eval(answers: Answers) -> Rows:
    """A generating audio task whose metric returns a dict; the doc is not logged, `resps` only where it differs."""
    return [
        {
            "doc_id": i,
            "target": "ABC"[TARGETS[i]],
            "filtered_resps": "" if answer is None else f"{'ABC'[answer]}. {OPTIONS[answer]}",
            "token_counts": [{"input_tokens": 100 + i, "output_tokens": 2}],
            "doc_hash": sha("null"),
            "mmar_accuracy": {
                "id": f"clip-{i}",
                "category": FAMILIES[i],
                "modality": "mix",
                "prediction": "" if answer is None else "ABC"[answer],
                "ground_truth": "ABC"[TARGETS[i]],
                "score": float(answer == TARGETS[i]),
            },
            "input": question(i),
        }
        for i, answer in enumerate(answers)
    ]


def write_lmms_eval(
    out: Path,
    rows: Rows,
    *,
    task: str = "mmar",
    model: str | None = "Qwen/Qwen2-Audio",
    date: str = "20260102_030405",
) -> Path:
    """`<out>/<model>/<date>_samples_<task>.jsonl`, with the results file of the run unless `model` is None."""
    folder = out / (model or "model").replace("/", "__")
    path = write_lines(folder / f"{date}_samples_{task}.jsonl", rows)
    if model:
        config = {"model": "qwen2_audio", "model_args": f"pretrained={model}"}
        (folder / f"{date}_results.json").write_text(json.dumps({"config": config, "model_name": model}, indent=2))
    return path


# inspect ---------------------------------------------------------------------------------------------------


def inspect_samples(answers: Answers, epoch: int = 1) -> Rows:
    """Samples with one scorer, `choice`, whose values are C, I and N."""
    return [
        {
            "id": f"q{i}",
            "epoch": epoch,
            "input": [
                {
                    "role": "user",
                    "content": [{"type": "text", "text": question(i)}, {"type": "audio", "audio": f"{i}-{answer}.wav"}],
                }
            ],
            "choices": list(OPTIONS),
            "target": "ABC"[TARGETS[i]],
            "messages": [],
            "output": {"model": "qwen2-audio", "completion": "..."},
            "scores": {
                "choice": {
                    "value": "N" if answer is None else "C" if answer == TARGETS[i] else "I",
                    "answer": None if answer is None else "ABC"[answer],
                    "explanation": "...",
                }
            },
            "metadata": {"task": FAMILIES[i], "recording": RECORDINGS[i]},
            "events": [],
            "attachments": {},
        }
        for i, answer in enumerate(answers)
    ]


def inspect_header(status: str = "success", task: str = "mmau", model: str = "hf/qwen2-audio") -> dict[str, Any]:
    return {"version": 2, "status": status, "eval": {"task": task, "model": model, "created": "2026-01-02"}}


def inspect_entries(samples: Rows, header: dict[str, Any] | None) -> dict[str, bytes]:
    """The files of a `.eval` zip; without a header, those of an evaluation that was killed."""
    entries = {"_journal/start.json": {"version": 2, "eval": inspect_header()["eval"]}}
    entries |= {f"samples/{sample['id']}_epoch_{sample['epoch']}.json": sample for sample in samples}
    if header is not None:
        entries |= {"summaries.json": {}, "header.json": header}
    return {name: json.dumps(content).encode() for name, content in entries.items()}


def write_inspect(path: Path, samples: Rows, *, zstd: bool = False, **header: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    entries = inspect_entries(samples, inspect_header(**header)).items()
    path.write_bytes(zstd_zip(entries) if zstd else deflated_zip(entries))
    return path


Entries = Iterable[tuple[str, bytes]]


def deflated_zip(entries: Entries) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return buffer.getvalue()


def zstd_zip(entries: Entries) -> bytes:
    """A zip whose entries are zstd streams (method 93) of one or two frames, which Python 3.11 cannot write itself."""
    codec = pa.Codec("zstd")
    body, directory, count = b"", b"", 0
    for name, content in entries:
        half = len(content) // 2
        packed = b"".join(codec.compress(part, asbytes=True) for part in (content[:half], content[half:]))
        sizes = (zlib.crc32(content), len(packed), len(content))
        offset, raw_name = len(body), name.encode()
        body += struct.pack("<4s5H3L2H", b"PK\3\4", 63, 0, 93, 0, 33, *sizes, len(raw_name), 4) + raw_name + b"\0" * 4
        body += packed
        directory += struct.pack(
            "<4s6H3L5H2L", b"PK\1\2", 63, 63, 0, 93, 0, 33, *sizes, len(raw_name), *[0] * 5, offset
        )
        directory += raw_name
        count += 1
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count, count, len(directory), len(body), 0)
    return body + directory + end


def write_inspect_json(path: Path, samples: Rows, **header: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(inspect_header(**header) | {"samples": samples}, indent=2))
    return path


# VLMEvalKit ------------------------------------------------------------------------------------------------

XLSX_PARTS = ("xl/worksheets/sheet1.xml", "xl/sharedStrings.xml")


def vlmeval(answers: Answers) -> Rows:
    """A scored table of multiple-choice questions."""
    return [
        {
            "index": i,
            "question": question(i),
            **dict(zip("ABC", OPTIONS, strict=True)),
            "answer": "ABC"[TARGETS[i]],
            "category": FAMILIES[i],
            "l2-category": "hearing",
            "prediction": "I cannot hear it" if answer is None else f"{'ABC'[answer]}. {OPTIONS[answer]}",
            "hit": int(answer == TARGETS[i]),
            "log": "Failed to predict, thus randomly generate one. " if answer is None else "Match Log: ...",
        }
        for i, answer in enumerate(answers)
    ]


def write_vlmeval(out: Path, rows: Rows, end: str = ".xlsx", *, model: str = "qwen", dataset: str = "MMAU") -> Path:
    """`<out>/<model>/<model>_<dataset>_exact_matching_result.xlsx`, .tsv or .json."""
    path = out / model / f"{model}_{dataset}_exact_matching_result{end}"
    path.parent.mkdir(parents=True, exist_ok=True)
    if end == ".xlsx":
        path.write_bytes(deflated_zip(xlsx_entries(rows).items()))
    elif end == ".json":
        path.write_text(json.dumps(rows, indent=4))
    else:
        lines = [list(rows[0]), *(["" if value is None else value for value in row.values()] for row in rows)]
        path.write_text("".join("\t".join(f'"{value}"' for value in line) + "\n" for line in lines))
    return path


def xlsx_entries(rows: Rows) -> dict[str, bytes]:
    """The parts of a workbook that a table needs, with its texts in one place, as xlsxwriter has them."""
    texts: dict[str, int] = {}

    def cell(column: int, row: int, value: Any) -> str:
        reference = f"{chr(ord('A') + column)}{row}"
        if value is None:
            return f'<c r="{reference}"/>'
        if not isinstance(value, str):
            return f'<c r="{reference}"><v>{value}</v></c>'
        return f'<c r="{reference}" t="s"><v>{texts.setdefault(value, len(texts))}</v></c>'

    lines = [list(rows[0]), *(list(row.values()) for row in rows)]
    body = "".join(
        f'<row r="{number}">{"".join(cell(i, number, value) for i, value in enumerate(line))}</row>'
        for number, line in enumerate(lines, start=1)
    )
    space = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    items = "".join(f"<si><t>{escape(text)}</t></si>" for text in texts)
    sheet, shared = f"<worksheet {space}><sheetData>{body}</sheetData></worksheet>", f"<sst {space}>{items}</sst>"
    return dict(zip(XLSX_PARTS, (sheet.encode(), shared.encode()), strict=True)) | {"xl/workbook.xml": b"<workbook/>"}


# Tables ----------------------------------------------------------------------------------------------------


def table(answers: Answers) -> Rows:
    """Rows with the column names of a cell."""
    return [
        {
            "sample_id": f"{i:03d}",
            "source_id": RECORDINGS[i],
            "query_family": FAMILIES[i],
            "loss": float(answer != TARGETS[i]),
            "nll": 0.25 * i,
            "num_audio_tokens": 50 + i,
            "predicted_label": None if answer is None else OPTIONS[answer],
            "correct_label": OPTIONS[TARGETS[i]],
        }
        for i, answer in enumerate(answers)
    ]


def write_lines(path: Path, rows: Rows) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def write_csv(path: Path, rows: Rows) -> Path:
    lines = [",".join(rows[0])]
    lines += [",".join("" if value is None else str(value) for value in row.values()) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
