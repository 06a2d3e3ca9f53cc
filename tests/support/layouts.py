"""Small folders in exactly the layouts in which the benchmarks are distributed, with real audio in them.

Every recording is a tone of its own pitch, so that a test can tell which one it hears. The rows hold the traps that the
real tables hold; `EXPECTED` of each says what must be read back.
"""

import io
import json
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import soundfile

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"


def tone(hz: float, seconds: float = 0.5, rate: int = 16_000, channels: int = 1) -> np.ndarray:
    wave = 0.3 * np.sin(2 * np.pi * hz * np.arange(int(seconds * rate)) / rate)
    return np.repeat(wave[:, None], channels, axis=1).astype(np.float32)


def encoded(
    hz: float,
    form: str = "WAV",
    seconds: float = 0.5,
    rate: int = 16_000,
    channels: int = 1,
    subtype: str | None = None,
) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, tone(hz, seconds, rate, channels), rate, format=form, subtype=subtype)
    return file.getvalue()


def pitch(waveform: np.ndarray) -> float:
    """The loudest frequency, in Hz."""
    spectrum = np.abs(np.fft.rfft(waveform))
    return float(np.fft.rfftfreq(len(waveform), 1 / 16_000)[spectrum.argmax()])


def write(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def write_lines(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    return write(path, "".join(json.dumps(row) + "\n" for row in rows).encode())


def write_json(path: Path, value: Any) -> Path:
    return write(path, json.dumps(value).encode())


def write_tar(path: Path, members: Mapping[str, bytes], mode: str = "w:gz") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def write_zip(path: Path, members: Mapping[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def downloaded(folder: Path) -> None:
    """What `hf download` leaves beside the data."""
    write(folder / ".cache" / "huggingface" / "download" / "data.jsonl.metadata", b"0123\n")
    write(folder / ".cache" / "huggingface" / "manifest.jsonl", b"not a manifest")
    write(folder / "README.md", b"---\nlicense: mit\n---\n")
    write(folder / ".gitattributes", b"*.wav filter=lfs\n")


# MMSU ------------------------------------------------------------------------------------------------------

MMSU_ROWS: list[dict[str, Any]] = [
    {
        "id": "emotion_recognition_0001",
        "task_name": "emotion_recognition",
        "question": "What does the speaker feel?",
        "choice_a": "joy",
        "choice_b": "anger",
        "choice_c": "fear",
        "choice_d": "grief",
        "answer_gt": "anger",
        "category": "Perception",
        "sub-category": "Paralinguistics",
        "sub-sub-category": "Speaker Traits",
        "linguistics_sub_discipline": "Paralinguistics",
    },
    {  # two options, padded at the end
        "id": "stress_0002",
        "task_name": "stress_perception",
        "question": "Is it stressed?",
        "choice_a": "yes",
        "choice_b": "no",
        "choice_c": None,
        "choice_d": None,
        "answer_gt": "no",
        "category": "Perception",
        "sub-category": "Linguistics",
        "sub-sub-category": "Phonetics",
        "linguistics_sub_discipline": "Phonology",
    },
    {  # and padded in front and in the middle
        "id": "stress_0003",
        "task_name": "stress_perception",
        "question": "Is it stressed?",
        "choice_a": None,
        "choice_b": "yes",
        "choice_c": None,
        "choice_d": "no",
        "answer_gt": "no",
        "category": "Perception",
        "sub-category": "Linguistics",
        "sub-sub-category": "Phonetics",
        "linguistics_sub_discipline": "Phonology",
    },
    {  # the text None is an option, and here the right one
        "id": "disfluency_0004",
        "task_name": "disfluency_detection",
        "question": "Which disfluency is heard?",
        "choice_a": "um",
        "choice_b": "None",
        "choice_c": "uh",
        "choice_d": "er",
        "answer_gt": "None",
        "category": "Reasoning",
        "sub-category": "Linguistics",
        "sub-sub-category": "Phonetics",
        "linguistics_sub_discipline": "Phonology",
    },
    {  # the answer is no option
        "id": "broken_0005",
        "task_name": "word_identification",
        "question": "Which word?",
        "choice_a": "cat",
        "choice_b": "cap",
        "choice_c": "cab",
        "choice_d": "car",
        "answer_gt": "dog",
        "category": "Perception",
        "sub-category": "Linguistics",
        "sub-sub-category": "Phonetics",
        "linguistics_sub_discipline": "Phonology",
    },
]
MMSU_HZ = (300, 400, 500, 600, 700)
MMSU_EXPECTED = [
    ("emotion_recognition_0001", ("joy", "anger", "fear", "grief"), 1, 300),
    ("stress_0002", ("yes", "no"), 1, 400),
    ("stress_0003", ("yes", "no"), 1, 500),
    ("disfluency_0004", ("um", "None", "uh", "er"), 1, 600),
]


def mmsu_audio() -> list[bytes]:
    """MP3 named .wav, stereo, FLAC: what lies in the shards is not what its name says."""
    return [
        encoded(300, "MP3", 1.0),
        encoded(400, channels=2),
        encoded(500, rate=44_100),
        encoded(600, "FLAC"),
        encoded(700),
    ]


def mmsu(folder: Path) -> Path:
    """Two Parquet shards with the audio in them, in row groups of two."""
    audio = [{"bytes": data, "path": f"{row['id']}.wav"} for row, data in zip(MMSU_ROWS, mmsu_audio(), strict=True)]
    rows = [row | {"audio": cell} for row, cell in zip(MMSU_ROWS, audio, strict=True)]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    for shard, part in enumerate((rows[:3], rows[3:])):
        table = pa.Table.from_pylist(part)
        table = table.set_column(
            table.schema.get_field_index("audio"), "audio", pa.array([r["audio"] for r in part], kind)
        )
        path = folder / "data" / f"train-{shard:05d}-of-00002.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, path, row_group_size=2)
    downloaded(folder)
    return folder


def mmsu_lines(folder: Path) -> Path:
    """The older layout: JSON lines with paths of the authors' machine, and a folder of audio."""
    for row, data in zip(MMSU_ROWS, mmsu_audio(), strict=True):
        write(folder / "audio" / f"{row['id']}.wav", data)
    rows = [row | {"audio_path": f"/data/authors/MMSU/audio/{row['id']}.wav"} for row in MMSU_ROWS]
    write_lines(folder / "question" / "mmsu.jsonl", rows)
    return folder


# MMAR ------------------------------------------------------------------------------------------------------

MMAR_ROWS: list[dict[str, Any]] = [
    {
        "id": f"clip{i}_00-00-{i:02d}",
        "audio_path": f"./audio/clip{i}.wav",
        "question": f"What happens in {i}?",
        "choices": choices,
        "answer": answer,
        "modality": modality,
        "category": category,
        "sub-category": sub,
        "language": "en",
        "source": "youtube",
        "url": url,
        "timestamp": "00:00,00:10",
    }
    for i, (choices, answer, modality, category, sub, url) in enumerate(
        [
            (
                ["a dog", "a cat", "a cow", "a bird"],
                "a cow",
                "mix-sound-speech",
                "Semantic Layer",
                "Content Analysis",
                "u/1",
            ),
            (["yes", "no"], "yes", "speech", "Signal Layer", "Acoustic Quality Analysis", "u/1"),
            (["1", "2", "3"], "3", "sound", "Perception Layer", "Counting and Statistics", "u/2"),
            (["C", "D", "A", "G", "E"], "A", "music", "Perception Layer", "Music Theory", "u/3"),
            (["r", "s", "t", "u", "v", "w"], "w", "mix-music-speech", "Cultural Layer", "Culture of Speaker", "u/4"),
            (["left", "right"], "up", "sound", "Perception Layer", "Spatial Analysis", "u/5"),
        ]
    )
]
MMAR_EXPECTED = [
    ("clip0_00-00-00", ("a dog", "a cat", "a cow", "a bird"), 2, 300),
    ("clip1_00-00-01", ("yes", "no"), 0, 350),
    ("clip2_00-00-02", ("1", "2", "3"), 2, 400),
    ("clip3_00-00-03", ("C", "D", "A", "G", "E"), 2, 450),  # the text A, not the letter
    ("clip4_00-00-04", ("r", "s", "t", "u", "v", "w"), 5, 500),
]


def mmar(folder: Path, *, unpacked: bool = False) -> Path:
    write_lines(folder / "MMAR-meta.jsonl", MMAR_ROWS)
    members = {f"audio/clip{i}.wav": encoded(300 + 50 * i) for i in reversed(range(6))}  # in another order
    if unpacked:
        for name, data in members.items():
            write(folder / name, data)
    else:
        write_tar(folder / "mmar-audio.tar.gz", members)
    downloaded(folder)
    return folder


# Big Bench Audio -------------------------------------------------------------------------------------------

BIG_BENCH_ROWS: list[dict[str, Any]] = [
    {"id": 17, "category": "formal_fallacies", "official_answer": "invalid", "file_name": "data/question_17.mp3"},
    {"id": 903, "category": "navigate", "official_answer": "Yes", "file_name": "data\\question_903.mp3"},
    {"id": 2040, "category": "object_counting", "official_answer": "7", "file_name": "data/question_2040.mp3"},
    {"id": 55, "category": "object_counting", "official_answer": 12, "file_name": "data/question_55.mp3"},
    {"id": 4, "category": "web_of_lies", "official_answer": "No", "file_name": "data/question_4.mp3"},
    {"id": 5, "category": "object_counting", "official_answer": "107", "file_name": "data/question_5.mp3"},
    {"id": 6, "category": "haiku", "official_answer": "five", "file_name": "data/question_6.mp3"},
]
COUNTS = tuple(str(n) for n in range(26))
BIG_BENCH_EXPECTED = [
    ("17", ("valid", "invalid"), 1, 300),
    ("903", ("Yes", "No"), 0, 350),
    ("2040", COUNTS, 7, 400),
    ("55", COUNTS, 12, 450),
    ("4", ("Yes", "No"), 1, 500),
]


def big_bench_audio(folder: Path) -> Path:
    for i, row in enumerate(BIG_BENCH_ROWS):
        write(folder / row["file_name"].replace("\\", "/"), encoded(300 + 50 * i, "MP3", 1.0, 24_000))
    write_lines(folder / "metadata.jsonl", BIG_BENCH_ROWS)
    downloaded(folder)
    return folder


# AudioMCQ --------------------------------------------------------------------------------------------------


def audiomcq(folder: Path) -> Path:
    def row(source: str, number: Any, kind: str, path: str, answer: str) -> dict[str, Any]:
        return {
            "source_dataset": source,
            "id": number,
            "question_type": kind,
            "audio_path": path,
            "question": f"{kind} {number}?",
            "choices": ["rain", "wind", "fire", "sea"],
            "answer": answer,
            "gemini_cot": "First I listen. " * 40,
        }

    rows = [
        row("AudioCaps", 1, "sound", "AudioCaps/a.flac", "fire"),
        row("AudioCaps", 2, "temporal", "AudioCaps/a.flac", "rain"),
        row("Clotho", 1, "sound", "Clotho/b.flac", "sea"),  # the same id in another dataset
        row("MusicCaps", 9, "music", "MusicCaps/c.flac", "wind"),
        row("SpeechCraft", 3, "speech", "SpeechCraft/d.flac", "wind"),
        row("SpeechCraft", 3, "speech", "SpeechCraft/d.flac", "sea"),  # a true duplicate of an id
    ]
    for hz, name in ((300, "AudioCaps/a"), (350, "Clotho/b"), (400, "MusicCaps/c"), (450, "SpeechCraft/d")):
        write(folder / f"{name}.flac", encoded(hz, "FLAC"))
    write_lines(folder / "data.jsonl", rows)
    downloaded(folder)
    return folder


AUDIOMCQ_OPTIONS = ("rain", "wind", "fire", "sea")
AUDIOMCQ_EXPECTED = [
    ("AudioCaps/1", AUDIOMCQ_OPTIONS, 2, 300),
    ("AudioCaps/2", AUDIOMCQ_OPTIONS, 0, 300),
    ("Clotho/1", AUDIOMCQ_OPTIONS, 3, 350),
    ("MusicCaps/9", AUDIOMCQ_OPTIONS, 1, 400),
    ("SpeechCraft/3", AUDIOMCQ_OPTIONS, 1, 450),
]


# DCASE -----------------------------------------------------------------------------------------------------


def dcase2026(folder: Path) -> Path:
    rows = []
    for i, answer in enumerate(("hum", "click", "ring")):
        write(folder / "dev_audios" / f"q{i}.wav", encoded(300 + 50 * i))
        rows.append(
            {
                "id": f"dev_{i:04d}",
                "audio_path": f"dev_audios/q{i}.wav",
                "question_text": f"What is heard in {i}?",
                "multi_choice": ["hum", "click", "ring", "buzz"],
                "answer": answer,
            }
        )
    write_lines(folder / "dev.jsonl", rows)
    downloaded(folder)
    return folder


DCASE2026_EXPECTED = [(f"dev_{i:04d}", ("hum", "click", "ring", "buzz"), i, 300 + 50 * i) for i in range(3)]


def dcase2025(folder: Path) -> Path:
    """One JSON per question; letters in options and answers; two to four options; a URL as a path."""
    questions = [
        ("BQA_train", "bqa_0", ["A. Writing", "B. Singing"], "A. Writing", "Species", "https://host/a/seal.wav"),
        ("TSQA_train", "fold1_0", ["A. Once", "B. Twice", "C. Never"], "C. Never", "Order", "../audio/street.wav"),
        ("CQA_train", "audio_0", ["A. One", "B. Two", "C. Three", "D. Four"], "B. Two", "Reasoning", "hall.wav"),
    ]
    for i, (part, name, choices, answer, kind, url) in enumerate(questions):
        value = {"audio_url": url, "question": f"{name}?", "choice": choices, "answer": answer, "question_type": kind}
        write_json(folder / "train" / part / "json" / f"{name}.json", value)
        write(folder / "train" / part / "audio" / url.rpartition("/")[2], encoded(300 + 50 * i))
    downloaded(folder)
    return folder


DCASE2025_EXPECTED = [
    ("train/BQA_train/json/bqa_0", ("Writing", "Singing"), 0, 300),
    ("train/CQA_train/json/audio_0", ("One", "Two", "Three", "Four"), 1, 400),
    ("train/TSQA_train/json/fold1_0", ("Once", "Twice", "Never"), 2, 350),
]


# MMAU ------------------------------------------------------------------------------------------------------


def mmau(folder: Path, *, packed: bool = False) -> Path:
    def row(i: int, choices: list[str], answer: str, **rest: Any) -> dict[str, Any]:
        return {
            "id": f"3fe64f3d-{i}",
            "audio_id": f"./test-mini-audios/3fe64f3d-{i}.wav",
            "question": f"What is {i}?",
            "choices": choices,
            "answer": answer,
            "dataset": "IEMOCAP",
            "task": "speech",
            "split": "test-mini",
            "category": "Reasoning",
            "sub-category": "Dissonant Emotion Interpretation",
            "difficulty": "hard",
        } | rest

    rows = [
        row(0, ["Man", "Woman"], "Woman"),
        row(1, ["Man", "Woman", "Child", "Robot"], "(C) Child"),  # lettered answer, plain options
        row(2, ["(A) 1", "(B) 2", "(C) 3"], "(B) 2"),  # both lettered
        row(3, [str(n) for n in range(8)], "7", category=["Reasoning"]),  # a list of one
        row(4, ["up", "down"], "(B) up"),  # letter and text disagree
    ]
    data = {f"test-mini-audios/3fe64f3d-{i}.wav": encoded(300 + 50 * i) for i in range(5)}
    write_json(folder / "mmau-test-mini.json", rows)
    if packed:
        write_tar(folder / "test-mini-audios.tar.gz", data)
    else:
        for name, content in data.items():
            write(folder / name, content)
    downloaded(folder)
    return folder


MMAU_EXPECTED = [
    ("3fe64f3d-0", ("Man", "Woman"), 1, 300),
    ("3fe64f3d-1", ("Man", "Woman", "Child", "Robot"), 2, 350),
    ("3fe64f3d-2", ("1", "2", "3"), 1, 400),
    ("3fe64f3d-3", tuple("01234567"), 7, 450),
]


def mmau_pro(folder: Path) -> Path:
    """One Parquet table; audio in a zip; lists of one to three clips; no options where the question is open."""

    def row(name: str, clips: int, choices: list[str] | None, answer: str | None, category: str) -> dict[str, Any]:
        return {
            "id": name,
            "audio_path": [f"data/{name}-{i}.wav" for i in range(clips)],
            "question": f"{name}?",
            "answer": answer,
            "choices": choices,
            "length_type": "short",
            "category": category,
            "perceptual_skills": ["pitch", "timbre"],
            "sub-cat": "x",
        }

    rows = [
        row("one", 1, ["a", "b", "c"], "b", "music"),
        row("two", 2, ["a", "b"], "a", "multi"),
        row("three", 3, ["a", "b"], "a", "multi"),
        row("open", 1, [], "A long story.", "open"),
        row("free", 1, None, "A long story.", "open"),
        row("follow", 1, [], None, "instruction following"),
        row("last", 1, ["x", "y"], "y", "sound"),
    ]
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), folder / "test.parquet")
    names = [name for each in rows for name in each["audio_path"]]
    write_zip(folder / "data.zip", {name: encoded(300 + 25 * i) for i, name in enumerate(names)})
    downloaded(folder)
    return folder


MMAU_PRO_EXPECTED = [("one", ("a", "b", "c"), 1, 300), ("last", ("x", "y"), 1, 300 + 25 * 9)]


# AudioMarathon ---------------------------------------------------------------------------------------------


def audiomarathon(folder: Path) -> Path:
    """Three shapes of options, letters and texts as answers, a task without a table, and one of transcripts."""
    race = [
        {"audio_path": "test/high1.wav", "question": f"q{i}?", "options": ["p", "q", "r", "s"], "answer": letter}
        | {"article_id": "high1.txt", "question_idx": i}
        for i, letter in enumerate("CA")
    ]
    write_json(folder / "Race" / "race_audio" / "race_benchmark.json", race)
    write(folder / "Race" / "race_audio" / "test" / "high1.wav", encoded(300))
    genre = {"question": "Genre?", "choice_a": "blues", "choice_b": "rock", "choice_c": "pop", "choice_d": "jazz"}
    write_json(
        folder / "GTZAN" / "music_genre_classification_meta.json",
        [genre | {"path": "wav/b.wav", "answer_gt": "D", "uniq_id": 5}],
    )
    write(folder / "GTZAN" / "wav" / "b.wav", encoded(350))
    gender = {"question": "Who speaks?", "choice_a": "male", "choice_b": "female"}
    write_json(folder / "Vox" / "gender_id_task_meta.json", [gender | {"path": "wav/c.wav", "answer_gt": "female"}])
    write(folder / "Vox" / "wav" / "c.wav", encoded(400))
    event = {"path": "x/d.wav", "task_type": "detection", "question": "Event?", "answer_gt": "B", "uniq_id": 1}
    choices = {"A": "dog", "B": "horn", "C": "phone", "D": "door"}
    write_json(
        folder / "DESED" / "desed_sound_event_detection_task.json",
        {"dataset_info": {"name": "DESED"}, "tasks": [event | {"choices": choices}]},
    )
    write(folder / "DESED" / "x" / "d.wav", encoded(450))
    write(folder / "HAD" / "concatenated_audio" / "real" / "e.wav", encoded(500))
    write(folder / "HAD" / "concatenated_audio" / "fake" / "e.wav", encoded(550))
    write(folder / "LibriSpeech-long" / "test-clean" / "1.flac", encoded(600, "FLAC"))
    downloaded(folder)
    return folder


AUDIOMARATHON_EXPECTED = [
    ("desed/1", ("dog", "horn", "phone", "door"), 1, 450),
    ("gtzan/5", ("blues", "rock", "pop", "jazz"), 3, 350),
    ("race/high1.txt/0", ("p", "q", "r", "s"), 2, 300),
    ("race/high1.txt/1", ("p", "q", "r", "s"), 0, 300),
    ("vox_gender/0", ("male", "female"), 1, 400),
    ("had/real/e.wav", ("real", "fake"), 0, 500),
    ("had/fake/e.wav", ("real", "fake"), 1, 550),
]


# ClothoAQA -------------------------------------------------------------------------------------------------


def clotho_aqa(folder: Path) -> Path:
    """Three rows per question, one per annotator: in agreement, in disagreement, and with a word as the answer."""
    asked = [
        ("rain, far away.wav", "Is it raining?", ("yes", "yes", "Yes")),
        ("rain, far away.wav", "Does a dog bark?", ("no", "no", "no")),
        ("rain, far away.wav", "Is it night?", ("yes", "no", "yes")),
        ("rain, far away.wav", "How many cars?", ("two", "three", "two")),
        ("bells.wav", "Do bells ring?", ("yes", "yes", "yes")),
    ]
    lines = ["file_name,QuestionText,answer,confidence"]
    for file_name, question, answers in asked:
        lines += [f'"{file_name}",{question},{answer},maybe' for answer in answers]
    write(folder / "clotho_aqa_train.csv", "\n".join(lines[:1] + lines[1:13]).encode())
    write(folder / "clotho_aqa_test.csv", "\n".join(lines[:1] + lines[13:]).encode())
    write(folder / "audio_files" / "rain, far away.wav", encoded(300))
    write(folder / "audio_files" / "bells.wav", encoded(350))
    return folder


CLOTHO_EXPECTED = [
    ("bells.wav#1", ("yes", "no"), 0, 350),
    ("rain, far away.wav#1", ("yes", "no"), 0, 300),
    ("rain, far away.wav#2", ("yes", "no"), 1, 300),
]


# Manifest --------------------------------------------------------------------------------------------------

MANIFEST_ROWS: list[dict[str, Any]] = [
    {
        "sample_id": f"s{i}",
        "audio": f"sounds/{i // 2}.wav",
        "question": f"Q{i}?",
        "choices": ["red", "green", "blue"],
        "answer": answer,
        "topic": topic,
        "category": "music theory",
        "level": i,
    }
    for i, (answer, topic) in enumerate([("green", "light"), ("C", "light"), ("A. red", "dark"), ("BLUE", "dark")])
]
MANIFEST_EXPECTED = [
    (f"s{i}", ("red", "green", "blue"), answer, 300 + 50 * (i // 2)) for i, answer in enumerate((1, 2, 0, 2))
]


def manifest(folder: Path, form: str = "jsonl", rows: Sequence[Mapping[str, Any]] = MANIFEST_ROWS) -> Path:
    for i in range(2):
        write(folder / "sounds" / f"{i}.wav", encoded(300 + 50 * i))
    if form == "jsonl":
        write_lines(folder / "manifest.jsonl", rows)
    elif form == "parquet":
        pq.write_table(pa.Table.from_pylist(list(map(dict, rows))), folder / "manifest.parquet")
    else:
        import csv

        with (folder / "manifest.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows([dict(row) | {"choices": json.dumps(row["choices"])} for row in rows])
    return folder


HUB_ROWS: list[dict[str, Any]] = [
    {"id": "h0", "prompt": "Which?", "options": ["a dog", "a cat", "a fish"], "label": 1, "topic": "animals"},
    {"id": "h1", "prompt": "Which?", "options": ["a dog", "a cat", None], "label": 0, "topic": "animals"},
    {"id": "h2", "prompt": "How many?", "options": ["few", "many"], "label": -1, "topic": "numbers"},  # withheld
    {"id": "h3", "prompt": "How many?", "options": ["few", "many"], "label": 1, "topic": "numbers"},
]
HUB_EXPECTED = [
    ("h0", ("a dog", "a cat", "a fish"), 1, 300),
    ("h1", ("a dog", "a cat"), 0, 350),
    ("h3", ("few", "many"), 1, 450),
]


RECORDING = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def recordings(audio: Sequence[bytes], names: Sequence[str | None]) -> pa.Array:
    """A column of recordings as datasets writes it."""
    return pa.array([{"bytes": data, "path": name} for data, name in zip(audio, names, strict=True)], RECORDING)


def hub_table(rows: Sequence[Mapping[str, Any]], audio: Sequence[bytes] | None = None) -> pa.Table:
    """A table of a dataset with a recording in each row, a tone of its own if none is given."""
    audio = audio or [encoded(300 + 50 * i) for i in range(len(rows))]
    column = recordings(audio, [f"{i}.wav" for i in range(len(audio))])
    return pa.Table.from_pylist(list(map(dict, rows))).append_column("audio", column)


def hub(folder: Path) -> Path:
    """Two shards of one split, with the recordings in them."""
    table = hub_table(HUB_ROWS)
    for shard in range(2):
        path = folder / "data" / f"test-{shard:05d}-of-00002.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table.slice(2 * shard, 2), path, row_group_size=1)
    downloaded(folder)
    return folder


def saved(folder: Path, table: pa.Table, shards: int = 1, batch: int = 2) -> Path:
    """A table as save_to_disk leaves it."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"data-{shard:05d}-of-{shards:05d}.arrow" for shard in range(shards)]
    rows = -(-len(table) // shards)
    for shard, name in enumerate(names):
        part = table.slice(shard * rows, rows)
        with pa.OSFile(str(folder / name), "wb") as file, pa.ipc.new_stream(file, part.schema) as stream:
            stream.write_table(part, max_chunksize=batch)
    write_json(folder / "state.json", {"_data_files": [{"filename": name} for name in names], "_split": None})
    write_json(folder / "dataset_info.json", {"citation": "", "features": {}})
    return folder
