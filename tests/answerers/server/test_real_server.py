"""`transformers serve` on the embedded answerer: 60 questions through HTTP come to what they come to in this process.

It needs an environment with `transformers[serving]` and librosa, whose Python EARMARK_TEST_SERVING names:

    EARMARK_TEST_SERVING=OTHER_VENV/bin/python python -m pytest -m soak tests/answerers/server/test_real_server.py
"""

import os
import socket
import subprocess
import time
from collections.abc import Iterator

import pytest

from earmark.engine.answerers.answer_all import answer_all
from earmark.engine.answerers.loading import load
from earmark.engine.answerers.request import Answer, Request
from earmark.engine.answerers.tiny import FOLDERS
from earmark.engine.compressors.compressor import Excerpt
from earmark.engine.corpus.synthetic.splits import Split
from earmark.engine.corpus.synthetic.synthetic_corpus import examples
from earmark.engine.design.sections import AnswererSpec

PYTHON = os.environ.get("EARMARK_TEST_SERVING", "")
CLIPS = 10  # six questions each
MARKS = 8  # "Audio 1: ", and before and behind the audio: they come with it, and a difference holds them too
pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(not PYTHON, reason="EARMARK_TEST_SERVING names no Python with transformers[serving]"),
]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture(scope="module")
def served_model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """What a spec calls the embedded answerer behind `transformers serve`."""
    folder, port = next(iter(FOLDERS.values())), free_port()
    start = "import sys; from transformers.cli.transformers import main; sys.exit(main())"
    command = [PYTHON, "-P", "-c", start, "serve", str(folder), "--device", "cpu", "--port", str(port)]
    log = tmp_path_factory.mktemp("serve") / "log"
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, cwd=log.parent)
    try:
        for _ in range(600):
            with socket.socket() as client:
                if client.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert process.poll() is None, log.read_text()[-2000:]
            time.sleep(0.2)
        yield f"openai:http://127.0.0.1:{port}/v1#{folder}"
    finally:
        process.kill()
        process.wait()


def by_id(spec: AnswererSpec, requests: list[Request]) -> dict[str, Answer]:
    answerer = load(spec)
    try:
        return {answer.id: answer for answer in answer_all(answerer, requests)}
    finally:
        answerer.close()


def test_sixty_questions_through_http_come_to_the_same(served_model: str) -> None:
    requests = []
    for number, example in enumerate(examples(Split.CERTIFICATION, CLIPS)):
        places = range(10) if number % 3 else range(2, 6)
        requests.append(
            Request(example.sample_id, Excerpt.of(example.audio, example.audio.waveform(), places), example.question)
        )
    assert len(requests) == 60
    here = by_id(AnswererSpec("tiny", generate=5), requests)
    served = by_id(AnswererSpec(served_model, "tiny", generate=5, connections=2), requests)
    assert {answer.status for answer in served.values()} == {"ok"}
    assert {key: answer.predicted_label for key, answer in served.items()} == {
        key: answer.predicted_label for key, answer in here.items()
    }
    assert {key: answer.lm_positions for key, answer in served.items()} == {
        key: answer.lm_positions for key, answer in here.items()
    }
    around = {served[key].num_audio_tokens - here[key].num_audio_tokens for key in here}
    assert around == {MARKS}
