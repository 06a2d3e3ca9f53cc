"""Leave-one-out relevance: right by definition, resumable, and it finds what answers a question."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from answering import answer_all, identity
from evidence import relevant_slots
from fakes import FakeAnswerer, Sound

from earmark.engine.answerers import journal
from earmark.engine.answerers.loading import load
from earmark.engine.answerers.request import Answer, Request
from earmark.engine.answerers.shared.scheduler import AnswerOptions
from earmark.engine.answerers.shared.shared_answerer import SharedAnswerer
from earmark.engine.compressors.compressor import Excerpt
from earmark.engine.corpus.corpus import Corpus, open_corpus
from earmark.engine.corpus.example import Example, Question
from earmark.engine.design.sections import AnswererSpec
from earmark.engine.errors import InputError
from earmark.engine.making import oracle

OPTIONS = AnswerOptions()


def example(i, seconds=3.0, broken=False, audio=None, **labels):
    audio = audio or Sound(i, seconds, broken)
    return Example(f"s{i}", f"r{i // 2}", audio, Question(f"Question {i}?", ("a", "b", "c"), i % 3), labels)


def corpus(*examples):
    return Corpus("manifest", "small", examples)


@dataclass
class Stopped:
    """Says stop after so many batches."""

    left: int

    def __call__(self) -> bool:
        self.left -= 1
        return self.left < 0


@pytest.mark.parametrize("i", range(6))
def test_relevance_is_the_rise_of_the_right_answers_nll(i):
    answerer, one = FakeAnswerer(), example(i, 4.0)
    (row,) = oracle.measure(corpus(one), SharedAnswerer(answerer))
    audio = one.audio.waveform()

    def nll(chunks):
        heard = Excerpt.of(one.audio, audio, np.array(chunks))
        (answer,) = answer_all(answerer, [Request("x", heard, one.question)])
        return answer.nll

    expected = [nll([c for c in range(4) if c != t]) - nll([0, 1, 2, 3]) for t in range(4)]
    if max(expected) < oracle.UNMISSED:
        alone = [nll([t]) for t in range(4)]
        expected = [np.mean(alone) - of for of in alone]
    np.testing.assert_allclose(row.relevance, expected, atol=1e-9)
    assert (row.sample_id, row.source_id, row.corpus, row.chunks) == (f"s{i}", f"r{i // 2}", "small", 4)


def test_a_single_chunk_is_worth_nothing_against_others():
    (row,) = oracle.measure(corpus(example(0, 0.4)), SharedAnswerer(FakeAnswerer()))
    assert row.relevance == [0.0]


def test_what_cannot_be_heard_has_a_status_and_no_relevance():
    first, broken, last = oracle.measure(
        corpus(example(0), example(1, broken=True), example(2)), SharedAnswerer(FakeAnswerer())
    )
    assert first.status == last.status == "ok"
    assert broken.relevance is None
    assert broken.status != "ok"


def test_it_goes_on_where_it_was_stopped(tmp_path):
    asked = corpus(*(example(i) for i in range(12)))
    options = replace(OPTIONS, batch_tokens=120)
    whole = oracle.measure(asked, SharedAnswerer(FakeAnswerer(), options))
    path, name = tmp_path / "answers.jsonl", identity(FakeAnswerer(), options)
    attempts = 0
    found = None
    while found is None:
        with journal.opened(path, name) as done:
            found = oracle.measure(asked, SharedAnswerer(FakeAnswerer(), options), done, stop=Stopped(2))
        attempts += 1
        assert attempts < 100
    assert attempts > 2
    assert [row.sample_id for row in found] == [row.sample_id for row in whole]
    for one, other in zip(found, whole, strict=True):
        np.testing.assert_allclose(one.relevance, other.relevance, atol=1e-6)


def test_the_table_holds_rows_and_how_they_were_made_but_no_answers(tmp_path):
    asked = corpus(example(0), example(1, broken=True))
    rows = oracle.measure(asked, SharedAnswerer(FakeAnswerer()))
    path = tmp_path / "oracle.parquet"
    oracle.write(rows, oracle.description(asked, "somewhere", SharedAnswerer(FakeAnswerer(), OPTIONS)), path)
    found = oracle.read(path)
    assert found.origin["identity"] == identity(FakeAnswerer(), OPTIONS)
    assert found.origin["path"] == "somewhere"
    assert [row.status for row in found.rows] == [row.status for row in rows]
    np.testing.assert_allclose(found.rows[0].relevance, rows[0].relevance, rtol=1e-6)
    assert not {"answer", "choices", "labels", "family"} & set(oracle.Relevance._fields)


def test_another_parquet_file_is_refused(tmp_path):
    path = tmp_path / "oracle.parquet"
    with pytest.raises(InputError):
        oracle.read(path)
    path.write_bytes(b"PAR1")
    with pytest.raises(InputError):
        oracle.read(path)


def test_the_certification_split_is_refused():
    with pytest.raises(InputError, match="nothing is trained"):
        oracle.measure(corpus(example(0, split="certification")), SharedAnswerer(FakeAnswerer()))
    with pytest.raises(InputError, match="nothing is trained"):
        oracle.measure(open_corpus(Path("synthetic:certification:1")), SharedAnswerer(FakeAnswerer()))


def test_what_one_chunk_tells_as_well_as_another_is_heard_alone(monkeypatch):
    def answers(_answerer, requests, *_rest):
        for request in requests:  # the first two chunks both tell the answer
            nll = 0.01 if {0, 1} & set(request.excerpt.wave.places) else 2.0
            yield Answer(request.id, "A", "A", nll, 1, request.excerpt.hash, "ok")

    monkeypatch.setattr(oracle, "answer_all", answers)
    (row,) = oracle.measure(corpus(example(0, 4.0)), SharedAnswerer(FakeAnswerer()))
    np.testing.assert_allclose(row.relevance, [0.995, 0.995, -0.995, -0.995], atol=1e-6)


def test_the_truly_relevant_slot_comes_first_for_the_embedded_answerer():
    """Also where a sound is heard twice, so that leaving one of them out changes nothing."""
    asked = open_corpus(Path("synthetic:selector:24:1900000"))
    rows = oracle.measure(asked, load(AnswererSpec("tiny")))
    hits: dict[str, list[bool]] = {}
    for one, row in zip(asked.examples, rows, strict=True):
        top = int(np.argmax(row.relevance))
        hits.setdefault(one.labels["family"], []).append(top in relevant_slots(one))
    assert np.mean(hits["event"]) >= 0.9  # one slot is enough
    assert np.mean(hits["sweep"]) >= 0.9
    for family in ("order", "count", "pitch", "scene"):
        assert np.mean(hits[family]) >= 0.75, family
