"""What is asked, to the letter: the chat templates as the models ship them and MMSU's own words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earmark.engine.answerers.prompt import AUDIO_TOKEN, QWEN2_AUDIO, QWEN25_OMNI, letters, question_text

ASKED = (
    "Choose the most suitable answer from options A, B, C, and D. You must respond with only A, B, C, or D.\n\n"
    "Question: Who speaks?\n\nA. Ann\nB. Bob\nC. Cem\nD. Dee"
)
NAMES = ["Ann", "Bob", "Cem", "Dee"]


def test_qwen2_audio():
    assert QWEN2_AUDIO.prompt("Who speaks?", NAMES).text(2) == (
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\nAudio 1: <|audio_bos|>"
        f"<|AUDIO|><|AUDIO|><|audio_eos|>\n{ASKED}<|im_end|>\n<|im_start|>assistant\n"
    )


def test_qwen25_omni_has_no_audio_number_and_no_newline_after_the_audio():
    assert QWEN25_OMNI.prompt("Who speaks?", NAMES).text() == (
        "<|im_start|>system\nYou are Qwen, a virtual human developed by the Qwen Team, Alibaba Group, capable of "
        "perceiving auditory and visual inputs, as well as generating text and speech.<|im_end|>\n<|im_start|>user\n"
        f"<|audio_bos|><|AUDIO|><|audio_eos|>{ASKED}<|im_end|>\n<|im_start|>assistant\n"
    )


@pytest.mark.parametrize(
    ("count", "start"),
    [
        (1, "Choose the most suitable answer from options A. You must respond with only A.\n"),
        (2, "Choose the most suitable answer from options A and B. You must respond with only A or B.\n"),
        (3, "Choose the most suitable answer from options A, B, and C. You must respond with only A, B, or C.\n"),
        (
            5,
            "Choose the most suitable answer from options A, B, C, D, and E. You must respond with only A, B, C, D, ",
        ),
    ],
)
def test_the_letters_follow_the_number_of_options(count, start):
    assert question_text("?", ["x"] * count).startswith(start)
    assert question_text("?", ["x"] * count).count("\n") == 3 + count


@pytest.mark.parametrize("count", [0, 27])
def test_options_beyond_the_alphabet_are_refused(count):
    with pytest.raises(ValueError, match=f"{count} options"):
        letters(count)


@given(st.text(), st.lists(st.text(), min_size=1, max_size=26), st.integers(0, 20))
def test_parts_are_the_whole_and_the_prefix_never_changes(question, choices, tokens):
    for template in (QWEN2_AUDIO, QWEN25_OMNI):
        prompt = template.prompt(question, choices)
        assert prompt.prefix == template.prompt("other", ["options"]).prefix
        assert prompt.text(tokens) == prompt.prefix + AUDIO_TOKEN * tokens + prompt.question
        assert prompt.prefix.endswith("<|audio_bos|>")
        assert prompt.question.startswith("<|audio_eos|>")
        assert question_text(question, choices) in prompt.question
