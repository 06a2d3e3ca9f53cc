"""The shipped answerers: plain Qwen2-Audio folders that hear."""

import json
import subprocess
import sys

import numpy as np
import pytest
import soundfile
import torch
from transformers import AutoConfig, AutoProcessor, Qwen2AudioForConditionalGeneration

from earmark.engine.answerers.prompt import QWEN2_AUDIO, letters
from earmark.engine.answerers.tiny import FOLDERS
from earmark.engine.corpus.synthetic.questions import FAMILIES
from earmark.engine.corpus.synthetic.splits import Split
from earmark.engine.corpus.synthetic.synthetic_corpus import examples
from earmark.engine.making.tiny.evaluate import held_out, parts
from earmark.engine.making.tiny.judge import answer_options, embed_audio
from earmark.engine.making.tiny.state import Learner

ALONE = """
import sys
sys.modules["earmark"] = None
import json, soundfile, torch
from transformers import AutoProcessor, Qwen2AudioForConditionalGeneration
torch.set_num_threads(1)
folder, path, questions = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
processor = AutoProcessor.from_pretrained(folder)
model = Qwen2AudioForConditionalGeneration.from_pretrained(folder)
audio, rate = soundfile.read(path, dtype="float32")
for question in questions:
    content = [{"type": "audio", "audio_url": path}, {"type": "text", "text": question}]
    chat = [{"role": "user", "content": content}]
    text = processor.apply_chat_template(chat, add_generation_prompt=True, tokenize=False)
    inputs = processor(text=text, audio=[audio], sampling_rate=rate, return_tensors="pt")
    said = model.generate(**inputs)[:, inputs["input_ids"].shape[1]:]
    print(processor.batch_decode(said, skip_special_tokens=True)[0])
"""


@pytest.fixture(scope="module", params=sorted(FOLDERS))
def folder(request):
    return FOLDERS[request.param]


@pytest.fixture(scope="module")
def learner(folder):
    torch.set_num_threads(1)
    return Learner.opened(folder)


def test_plain_transformers_answers_a_wav_file_without_earmark(folder, tmp_path):
    rows = list(examples(Split.CERTIFICATION, 1, seed=Split.CERTIFICATION.seeds.start + 4))
    soundfile.write(tmp_path / "clip.wav", rows[0].audio.waveform(), 16_000, subtype="PCM_16")
    asked = [QWEN2_AUDIO.prompt(row.question.text, row.question.choices).question for row in rows]
    asked = [text.removeprefix("<|audio_eos|>\n").split("<|im_end|>")[0] for text in asked]
    done = subprocess.run(
        [sys.executable, "-c", ALONE, str(folder), str(tmp_path / "clip.wav"), json.dumps(asked)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["ABCD"[row.question.answer] for row in rows]


def test_the_folder_is_complete_and_small(folder):
    assert (folder / "model.safetensors").stat().st_size <= 6_000_000
    for name in ("config.json", "generation_config.json", "preprocessor_config.json", "tokenizer.json", "README.md"):
        assert (folder / name).stat().st_size > 0, name
    assert AutoConfig.from_pretrained(folder).architectures == ["Qwen2AudioForConditionalGeneration"]
    template = AutoProcessor.from_pretrained(folder).chat_template
    assert "Audio {{ audio_count.value }}: <|audio_bos|><|AUDIO|><|audio_eos|>" in template


def test_it_hears_what_it_never_met(learner):
    rates = held_out(learner, n_clips=50)
    for family in FAMILIES:
        assert rates["raw", family].share >= 0.90, family
    for condition in ("silence", "noise", "no audio", "another clip"):
        hits = sum(rates[condition, family].hits for family in FAMILIES)
        assert abs(hits / 300 - 0.25) < 0.08, condition


def test_processor_with_forward_generate_and_the_packed_forward_agree(folder, learner):
    processor = AutoProcessor.from_pretrained(folder)
    model = Qwen2AudioForConditionalGeneration.from_pretrained(folder)
    (part,) = parts(4, first=200)
    packed = answer_options(learner, embed_audio(learner, part.waves), part.questions)
    for wave, asked, ours in zip(part.waves, part.questions, packed, strict=True):
        texts = [QWEN2_AUDIO.prompt(question.text, question.choices).text() for question in asked]
        inputs = processor(
            text=texts, audio=[wave] * len(texts), sampling_rate=16_000, padding=True, return_tensors="pt"
        )
        with torch.inference_mode():
            forward = model(**inputs).logits[:, -1].argmax(-1)
            generated = model.generate(**inputs)[:, inputs["input_ids"].shape[1] :]
        said = processor.batch_decode(generated, skip_special_tokens=True)
        assert processor.batch_decode(forward[:, None]) == said
        assert said == [letters(4)[answer] for answer in ours]


def test_both_models_differ():
    one, other = (Learner.opened(folder).model.state_dict() for folder in FOLDERS.values())
    assert one.keys() == other.keys()
    assert all(not torch.equal(one[name], other[name]) for name in one if name.endswith("q_proj.weight"))


def test_the_card_reports_its_record(folder):
    text, record = (folder / "README.md").read_text(), json.loads((folder / "training.json").read_text())
    assert f"--seed {record['seed']} " in text
    assert "n = 2,000 questions in each cell" in text
    joint = record["stages"][-1]["measured"]
    assert all(f"{family} {joint[family]:.3f}" in text for family in FAMILIES)
    raw = next(line for line in text.splitlines() if line.startswith("| raw |"))
    assert np.array([float(cell) for cell in raw.split("|")[2:8]]).min() >= 95
