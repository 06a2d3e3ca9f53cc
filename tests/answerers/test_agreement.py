"""The embedded answerer through our scheduler says what it says through Hugging Face's own processor and model."""

import numpy as np
import pytest
import torch
from answering import answer_all
from cut import keep_chunks
from transformers import AutoProcessor, Qwen2AudioForConditionalGeneration

from earmark.engine.answerers.loading import load_model
from earmark.engine.answerers.prompt import QWEN2_AUDIO, letters
from earmark.engine.answerers.request import Request
from earmark.engine.answerers.shared.scheduler import AnswerOptions
from earmark.engine.answerers.tiny import FOLDERS
from earmark.engine.compressors.compressor import Excerpt
from earmark.engine.corpus.synthetic.splits import Split
from earmark.engine.corpus.synthetic.synthetic_corpus import examples


@pytest.mark.parametrize("questions", [100, pytest.param(500, marks=pytest.mark.validity)])
@pytest.mark.parametrize("name", sorted(FOLDERS))
def test_questions_get_the_same_letter_and_likelihood(name: str, questions: int) -> None:
    """Raw and compressed audio by turns, so that sure answers and guesses are compared."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    asked = list(examples(Split.CERTIFICATION, 84, seed=Split.CERTIFICATION.seeds.start + 7))[:questions]
    waves = [row.audio.waveform() for row in asked]
    kept = [keep_chunks(wave, np.sort(rng.permutation(10)[: rng.choice([1, 3, 10])])) for wave in waves]
    requests = [
        Request(row.sample_id, Excerpt.of(row.audio, row.audio.waveform(), heard.chunks), row.question)
        for row, heard in zip(asked, kept, strict=True)
    ]
    answers = {answer.id: answer for answer in answer_all(load_model(name), requests, AnswerOptions())}

    processor = AutoProcessor.from_pretrained(FOLDERS[name])
    model = Qwen2AudioForConditionalGeneration.from_pretrained(FOLDERS[name]).eval()
    for row, heard in zip(asked, kept, strict=True):
        text = QWEN2_AUDIO.prompt(row.question.text, row.question.choices).text()
        inputs = processor(text=text, audio=[heard.audio], sampling_rate=16_000, return_tensors="pt")
        with torch.inference_mode():
            scores = model(**inputs).logits[0, -1].log_softmax(-1)
            written = model.generate(**inputs, max_new_tokens=5, do_sample=False)[:, inputs["input_ids"].shape[1] :]
        ours = answers[row.sample_id]
        letter = letters(len(row.question.choices))[row.question.answer]
        nll = -float(scores[processor.tokenizer.convert_tokens_to_ids(letter)])
        assert ours.status == "ok"
        assert abs(ours.nll - nll) < 1e-3
        assert processor.batch_decode(written, skip_special_tokens=True)[0] == ours.predicted_label
