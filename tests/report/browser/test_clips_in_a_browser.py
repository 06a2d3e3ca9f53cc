"""Clips in a real browser: raw and compressed audio plays from the page and from the run folder, under its policy."""

import io
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from as_json import page_of, typed
from certificate_example import certificate, flip_entry

from earmark.engine.report import played
from earmark.engine.report.played import played_from

pytestmark = pytest.mark.browser

NAMES = ("chromium", "chromium-browser", "google-chrome")
PLAY = """async () => {
  const durations = [];
  for (const audio of document.querySelectorAll('#heard audio')) {
    audio.muted = true;
    await audio.play();
    durations.push(audio.duration);
    audio.pause();
  }
  return durations;
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs the extra 'browser': make browser")
    program = next((path for path in map(shutil.which, NAMES) if path), None)
    if program is None:
        pytest.skip("no Chromium is installed")
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield started
        started.close()


def flac(seconds: int) -> bytes:
    sink = io.BytesIO()
    soundfile.write(sink, np.zeros(16_000 * seconds, dtype=np.int16), 16_000, format="FLAC", subtype="PCM_16")
    return sink.getvalue()


def report(run: Path) -> Path:
    """The page of a run that keeps a clip of five seconds, and three of them."""
    (run / "clips").mkdir(parents=True)
    flips = flip_entry()
    question = flips["families"][0]["questions"][0]
    (run / question["raw_clip"]).write_bytes(flac(5))
    (run / question["clip"]).write_bytes(flac(3))
    made = typed(certificate(families=("counting", "music"), methods=("energy",), flips=(flips,)) | {"run": "../run"})
    page = run.parent / "signed" / "report.html"
    page.parent.mkdir()
    page.write_text(page_of(made, played_from(made, run)))
    return page


@pytest.mark.parametrize("most_embedded", [1 << 20, 0], ids=["in the page", "beside it"])
@pytest.mark.parametrize("width", [390, 1280])
def test_clips_play(
    browser: Any, width: int, most_embedded: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(played, "MOST_EMBEDDED", most_embedded)
    page = browser.new_page(viewport={"width": width, "height": 900})
    asked_for: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: asked_for.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    path = report(tmp_path / "run")
    page.goto(path.as_uri())
    assert page.evaluate(PLAY) == [5, 3]
    assert complaints == []
    addresses = {address for address in asked_for if not address.startswith("data:")}
    clips = set() if most_embedded else {clip.as_uri() for clip in (tmp_path / "run/clips").iterdir()}
    assert addresses == {path.as_uri()} | clips
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_serious_is_in_the_way_of_anybody(browser: Any, scheme: str, tmp_path: Path) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    context = browser.new_context(viewport={"width": 390, "height": 844}, color_scheme=scheme, bypass_csp=True)
    page = context.new_page()
    page.goto(report(tmp_path / "run").as_uri())
    found_by_axe = axe.run(page, context="#heard").response["violations"]
    assert [(v["id"], v["nodes"][0]["html"]) for v in found_by_axe if v["impact"] in ("serious", "critical")] == []
