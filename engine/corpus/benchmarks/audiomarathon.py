"""AudioMarathon (Hezep/AudioMarathon): a folder per task with its JSON, or with `real/` and `fake/` recordings.

Options stand in a list, in choice_a.. or in a mapping; answers are letters for some tasks and texts for others. Clips
last up to 300 s and are cut like all others.
"""

from collections.abc import Iterator
from pathlib import Path

from earmark.engine.corpus.benchmarks.benchmark import Benchmark, ExampleOrReason, read_examples
from earmark.engine.corpus.example import Example, Question
from earmark.engine.corpus.folder import Folder
from earmark.engine.corpus.right_answers import options, resolve
from earmark.engine.corpus.table_files import TableRow

TASKS = {
    "race_benchmark.json": "race",
    "desed_sound_event_detection_task.json": "desed",
    "music_genre_classification_meta.json": "gtzan",
    "acoustic_scene_task_meta.json": "tau",
    "audio_emotion_dataset.json": "vesus",
    "age_classification_task_meta.json": "vox_age",
    "gender_id_task_meta.json": "vox_gender",
    "merged_audio_data.json": "slue",
}
_AUTHENTICITY = "Is this recording completely authentic (real) or does it contain synthesized segments (fake)?"
_CHOICES = ("choice_a", "choice_b", "choice_c", "choice_d", "choice_e", "choice_f")
_SOUNDS = ("wav", "flac", "mp3")


def _tables(folder: Folder) -> list[Path]:
    return folder.files(*(f"**/{name}" for name in TASKS))


def _read(folder: Folder) -> Iterator[ExampleOrReason]:
    def example(path: Path, row: TableRow) -> Example:
        task = TASKS[path.name]
        lettered = options(*_choices(row))
        answer = row.data.get("answer")
        audio = row.text("audio_path", "path")
        number = row.where.rpartition("[")[2].rstrip("]")
        source = row.optional("article_id") or audio
        sample = row.optional("uniq_id") or number
        if "question_idx" in row.data:
            sample = f"{source}/{row.text('question_idx')}"
        return Example(
            sample_id=f"{task}/{sample}",
            source_id=f"{task}/{source}",
            audio=folder.audio(audio, row.where, beside=path.parent),
            question=Question(
                row.text("question"),
                lettered.texts,
                resolve(row.data.get("answer_gt") if answer is None else answer, lettered),
            ),
            labels={"task": task},
        )

    yield from read_examples(folder, _tables(folder), example)
    yield from _authenticity(folder)
    for path in folder.files("**/*ibri*peech*/**/*.flac"):
        yield folder.name(path), "not multiple choice: it asks for a transcript"


def _choices(row: TableRow) -> tuple[object, list[str] | None]:
    """The options of a row, and the letters that its table declares for them (None where it declares none).

    Options are a list, a mapping {A: ..., B: ...} of their letters, or columns.
    """
    choices = row.data.get("options", row.data.get("choices"))
    if isinstance(choices, dict):
        return [choices[letter] for letter in sorted(choices)], sorted(choices)
    return [row.data.get(name) for name in _CHOICES] if choices is None else choices, None


def _authenticity(folder: Folder) -> Iterator[ExampleOrReason]:
    """The examples of HAD, which has no table: a recording's folder is its answer."""
    kinds = ("real", "fake")
    for answer, kind in enumerate(kinds):
        for path in folder.files(*(f"**/*HAD*/**/{kind}/*.{ending}" for ending in _SOUNDS)):
            name = folder.name(path)
            audio = folder.audio(name, name)
            yield (
                name,
                Example(
                    f"had/{kind}/{path.name}", name, audio, Question(_AUTHENTICITY, kinds, answer), {"task": "had"}
                ),
            )


AUDIOMARATHON = Benchmark("audiomarathon", _tables, _read, native=("task",), category=("task",))
