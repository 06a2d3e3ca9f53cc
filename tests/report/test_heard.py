"""The page's questions that became wrong: what stands there, in which order, what plays, and from where."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from as_json import page_of, typed
from certificate_example import certificate, flip_entry
from page import Page, words

from earmark.engine.report import played
from earmark.engine.report.heard import became_wrong, played_clips, playing
from earmark.engine.report.played import played_from

RAW, HEARD = f"clips/{'a' * 32}.flac", f"clips/{'b' * 32}.flac"


def stated(*flips: dict[str, Any], **options: Any) -> Any:
    return typed(certificate(families=("counting", "music"), methods=("energy",), flips=flips, **options))


def clips(run: Path, size: int = 30) -> Path:
    (run / "clips").mkdir(parents=True)
    for path in (RAW, HEARD):
        (run / path).write_bytes(path[6:7].encode() * size)
    return run


def test_a_question_stands_with_its_options_both_answers_and_what_was_kept() -> None:
    page = Page(page_of(stated(flip_entry()), {RAW: "data:audio/flac;base64,AA", HEARD: "data:audio/flac;base64,BB"}))
    section = page.by_id("heard")
    text = words(section)
    assert "energy, seed 42 at 80% of the audio" in text
    assert "counting | 41 of 300 became wrong, 3 right (2 below)" in text
    assert "music | 9 of 200 became wrong, 8 right" in text
    assert "mmau-3: raw B ✓, compressed A ✗" in text
    assert "A one ✗ wrong on compressed audio" in text
    assert "B two ✓ right on raw audio" in text
    assert "kept 3 of 5 s" in text
    assert "mmau-17: raw A ✓, compressed none ✗" in text
    assert "4 of 5 s, at 80% of the audio" in text  # and no line: nothing says which four seconds
    assert len(list(section.iter("svg"))) == 1
    assert "Recordings of 1 of the 2 questions here are kept, to play." in text
    assert [(a.get("src"), a.get("preload"), a.get("aria-label")) for a in section.iter("audio")] == [
        ("data:audio/flac;base64,AA", "none", "raw"),
        ("data:audio/flac;base64,BB", "none", "compressed"),
    ]
    first = next(svg for svg in section.iter("svg"))
    assert first.get("aria-label") == "kept 3 of 5 s"
    spans = [(rect.get("x"), rect.get("width")) for rect in first.iter("rect")]
    assert spans == [(None, "5"), ("0", "2"), ("4", "1")]  # the whole clip, then the seconds that were kept


def test_a_run_without_clips_says_how_to_keep_some() -> None:
    text = words(Page(page_of(stated(flip_entry(raw_clip=None, clip=None)))).by_id("heard"))
    assert "No recordings are kept: clips = 20 under [audits] of a spec" in text
    assert "<audio" not in page_of(stated(flip_entry(raw_clip=None, clip=None)))
    assert 'id="heard"' not in page_of(stated())


def test_imported_outcomes_have_no_recordings_to_keep() -> None:
    imported = replace(stated(flip_entry(raw_clip=None, clip=None)), answerers=())
    text = words(Page(page_of(imported)).by_id("heard"))
    assert "No recordings are kept: outcomes that were imported have none." in text
    assert "[audits]" not in text


def test_where_every_question_plays_nothing_is_said_of_recordings() -> None:
    flips = flip_entry()
    flips["families"][0]["questions"].pop()
    made = stated(flips)
    assert playing(became_wrong(made, {RAW: "x"}), made) == ""


def test_a_codec_that_keeps_every_second_has_no_timeline() -> None:
    flips = flip_entry(seconds=5.0, kept_chunks=None, chunks=None)
    (method,) = became_wrong(stated(flips), {})
    question = method.families[0].questions[0]
    assert (question.kept, question.timeline) == ("all 5 s, at 80% of the audio", None)


def test_a_line_shows_all_of_a_clip_in_less_time_only_where_its_time_was_shortened() -> None:
    flips = flip_entry(seconds=4.0, kept_chunks=None, chunks=None)
    made = stated(flips)
    (unknown,) = became_wrong(made, {})
    assert unknown.families[0].questions[0].timeline is None
    results = tuple(replace(result, axis="duration") for result in made.results)
    (shortened,) = became_wrong(replace(made, results=results), {})
    question = shortened.families[0].questions[0]
    assert question.kept == "5 s heard in 4 s"
    assert 'width="4"' in str(question.timeline)


def test_refused_candidates_come_first() -> None:
    refused = flip_entry() | {"method": "energy"}
    other = flip_entry() | {"method": "uniform"}
    made = typed(certificate(methods=("energy", "uniform"), flips=(other, refused), candidates=("energy",), harm=3.0))
    assert [str(method.heading).partition("</code>")[0] for method in became_wrong(made, {})] == [
        "<code>energy",
        "<code>uniform",
    ]


def test_a_question_of_two_partitions_stands_and_plays_once() -> None:
    made = stated(flip_entry(), flip_entry() | {"partition": "need"}, partitions=("query_family", "need"))
    (method,) = became_wrong(made, {RAW: "x", HEARD: "y"})
    assert [len(family.questions) for family in method.families] == [2, 0, 0, 0]
    assert method.families[2].counts == "41 of 300 became wrong, 3 right (2 of them above)"
    assert list(played_clips(made)) == [RAW, HEARD]


def test_names_of_others_are_escaped() -> None:
    hostile = "</li><script>alert(1)</script>"
    flips = flip_entry(sample_id=hostile, question=hostile, options=[hostile, hostile], raw_answer=hostile)
    source = page_of(stated(flips))
    assert "<script>alert" not in source
    assert "&lt;/li&gt;&lt;script&gt;alert(1)" in source


def test_clips_are_in_the_page_where_they_are_small(tmp_path: Path) -> None:
    assert played_from(stated(flip_entry()), clips(tmp_path)) == {
        RAW: "data:audio/flac;base64," + "YWFh" * 10,
        HEARD: "data:audio/flac;base64," + "YmJi" * 10,
    }


def test_large_clips_are_links_from_the_page_to_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(played, "MOST_EMBEDDED", 59)
    content = certificate(families=("counting", "music"), methods=("energy",), flips=(flip_entry(),))
    made = typed(json.loads(json.dumps(content | {"run": "../a run"})))
    assert played_from(made, clips(tmp_path)) == {RAW: f"../a%20run/{RAW}", HEARD: f"../a%20run/{HEARD}"}


def test_the_page_may_play_what_it_holds_and_what_lies_beside_it() -> None:
    assert "media-src data: 'self';" in page_of(stated(flip_entry()))
