"""What an answerer is asked: the text around the audio, as each model's chat template has it, in parts that
tokenise separately.

Pure text: knows no tokenizer, no model and no audio. A part begins and ends at a special token, so the tokens of the
parts, one after the other, are the tokens of the whole; that is what lets a prefix or an audio be computed once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_uppercase

MOST_OPTIONS = len(ascii_uppercase)  # of a question
AUDIO_TOKEN = "<|AUDIO|>"  # in the text once per audio; the processor repeats it once per audio token


@dataclass(frozen=True, slots=True)
class Prompt:
    """One question: `prefix + AUDIO_TOKEN x n + question`, and then the answer's first token."""

    prefix: str  # the same for every example; ends with <|audio_bos|>
    question: str  # begins with <|audio_eos|>, ends where the answer begins

    def text(self, audio_tokens: int = 1) -> str:
        """The whole prompt: with one placeholder it is what a Hugging Face processor expects."""
        return self.prefix + AUDIO_TOKEN * audio_tokens + self.question


@dataclass(frozen=True, slots=True)
class Template:
    """How one model's chat is written, and how much audio it can hear at once."""

    prefix: str
    before_question: str
    after_question: str
    longest_s: float  # what lies beyond, the model's extractor cuts without a word: refuse it before

    def prompt(self, question: str, choices: Sequence[str]) -> Prompt:
        """The prompt of a multiple-choice question."""
        question = question_text(question, choices)
        return Prompt(self.prefix, self.before_question + question + self.after_question)


QWEN2_AUDIO = Template(
    prefix=("<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\nAudio 1: <|audio_bos|>"),
    before_question="<|audio_eos|>\n",
    after_question="<|im_end|>\n<|im_start|>assistant\n",
    longest_s=30.0,
)

QWEN25_OMNI = Template(
    prefix=(
        "<|im_start|>system\nYou are Qwen, a virtual human developed by the Qwen Team, Alibaba Group, capable of "
        "perceiving auditory and visual inputs, as well as generating text and speech.<|im_end|>\n"
        "<|im_start|>user\n<|audio_bos|>"
    ),
    before_question="<|audio_eos|>",
    after_question="<|im_end|>\n<|im_start|>assistant\n",
    longest_s=300.0,
)


def letters(count: int) -> str:
    """The letters of so many options: "ABCD"."""
    if not 1 <= count <= MOST_OPTIONS:
        raise ValueError(f"{count} options: a question has 1 to {MOST_OPTIONS}")
    return ascii_uppercase[:count]


def question_text(question: str, choices: Sequence[str]) -> str:
    """The question as MMSU asks it; the letters follow the real number of options."""
    named = letters(len(choices))
    options = "\n".join(f"{letter}. {choice}" for letter, choice in zip(named, choices, strict=True))
    return (
        f"Choose the most suitable answer from options {_listed(named, 'and')}. "
        f"You must respond with only {_listed(named, 'or')}.\n\nQuestion: {question}\n\n{options}"
    )


def _listed(named: str, last: str) -> str:
    if len(named) <= 2:
        return f" {last} ".join(named)
    return f"{', '.join(named[:-1])}, {last} {named[-1]}"
