"""Pages in a real browser: they read well and stay within 390 px, ask no network, and do what their script is for.

Run by `make browser`, in a Chromium that is installed; skipped where there is none.
"""

import base64
import io
import shutil
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from as_json import render
from certificate_example import certificate, error_entry
from walk_example import decided_certificate

pytestmark = pytest.mark.browser

NAMES = ("chromium", "chromium-browser", "google-chrome")
NEEDED = "needs the extra 'browser': make browser"
WIDTHS = {390: 844, 1280: 900}
LONG = "a family of questions whose name is long, and has aVeryLongWordThatNobodyBreaksAnywhere in it"
PAGES: dict[str, dict[str, Any]] = {
    "approved": {
        "methods": ("learned_agnostic", "learned_conditioned"),
        "tolerances": (0.05, 0.02),
        "partitions": ("keyword", "native"),
        "warnings": ("Mind the gap.",),
    },
    "refused": {"harm": 0.9, "tolerances": (0.02,), "errors": (error_entry(),), "hearing": {"music": "vacuous"}},
    "routed": {"claim": "routing", "deployable": False, "rare": True},
    "long names": {"families": (LONG, "music", "录音里有几个人在说话"), "methods": ("m" * 60, "uniform")},
}
DECIDED: dict[str, dict[str, Any]] = {
    "decided": {"methods": ("m" * 60, "uniform"), "families": (LONG, "music", "speech"), "tolerances": (0.05, 0.02)},
    "completed": {"methods": ("uniform",), "completed": True},
}
OPEN_ALL = "document.querySelectorAll('details').forEach((details) => { details.open = true; })"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason=NEEDED)
    program = next((path for path in map(shutil.which, NAMES) if path), None)
    if program is None:
        pytest.skip("no Chromium is installed")
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield started
        started.close()


class Tab:
    """A page that is open in a browser, every address that it asked for, and whatever went wrong."""

    def __init__(self, browser: Any, path: Path, width: int = 1280, scheme: str = "light", script: bool = True) -> None:
        size = {"width": width, "height": WIDTHS[width]}
        self.context = browser.new_context(viewport=size, color_scheme=scheme, java_script_enabled=script)
        self.page = self.context.new_page()
        self.page.set_default_timeout(5000)
        self.addresses: list[str] = []
        self.stopped: list[tuple[str, str]] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self.addresses.append(request.url))
        self.page.on("requestfailed", lambda request: self.stopped.append((request.url, request.failure)))
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto(path.as_uri())


@pytest.fixture(params=[*PAGES, *DECIDED])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """One of PAGES, or of those of runs that stopped when it was decided."""
    page, name = tmp_path / "report.html", request.param
    content = certificate(**PAGES[name]) if name in PAGES else decided_certificate(**DECIDED[name])
    page.write_text(render(content))
    return page


@pytest.fixture
def approved(tmp_path: Path) -> Path:
    page = tmp_path / "report.html"
    page.write_text(render(certificate(**PAGES["approved"])))
    return page


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_stands_in_the_way_of_any_reader(browser: Any, path: Path, width: int, scheme: str) -> None:
    axe_playwright = pytest.importorskip("axe_playwright_python.sync_playwright", reason=NEEDED)
    tab = Tab(browser, path, width, scheme)
    tab.page.evaluate(OPEN_ALL)
    violations = axe_playwright.Axe().run(tab.page).response["violations"]
    assert [(v["id"], v["nodes"][0]["target"]) for v in violations] == []


@pytest.mark.parametrize("width", WIDTHS)
def test_everything_fits_the_screen_or_scrolls_by_itself(browser: Any, path: Path, width: int) -> None:
    tab = Tab(browser, path, width)
    tab.page.evaluate(OPEN_ALL)
    assert tab.page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", WIDTHS)
def test_the_decision_and_a_doubt_are_on_the_first_screens(browser: Any, approved: Path, width: int) -> None:
    tab = Tab(browser, approved, width)
    for selector, screens in (("h1", 1), (".claim dl", 1), (".beware", 1 if width > 1000 else 2)):
        box = tab.page.locator(selector).first.bounding_box()
        assert box["y"] < screens * WIDTHS[width], selector


def test_nothing_is_asked_of_a_network_and_nothing_goes_wrong(browser: Any, path: Path) -> None:
    tab = Tab(browser, path)
    assert tab.addresses == [path.as_uri()]
    assert tab.complaints == []


def test_the_policy_of_the_page_stops_another_script_and_a_request(browser: Any, approved: Path) -> None:
    other = (
        "<script>document.title = 'another'; fetch('https://example.org/')</script><img src='https://example.org/x'/>"
    )
    approved.write_text(approved.read_text().replace("<main>", f"<main>{other}"))
    tab = Tab(browser, approved)
    assert tab.page.title().startswith("Earmark")
    assert tab.stopped == [("https://example.org/x", "csp")]
    assert len(tab.complaints) == 2  # of the script and of the image: the policy is in force


def test_tables_sort_by_mouse_and_by_keyboard(browser: Any, approved: Path) -> None:
    tab = Tab(browser, approved)
    tab.page.evaluate(OPEN_ALL)
    table = tab.page.locator("table", has_text="Frontiers:").first
    place = table.locator("thead th").all_inner_texts().index("Audio tokens")
    head = table.locator("thead th").nth(place)
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    ascending = _column(table, place)
    assert ascending == sorted(ascending)
    head.locator("button").press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    assert _column(table, place) == sorted(ascending, reverse=True)
    table.locator("thead button").first.press("Space")
    assert head.get_attribute("aria-sort") is None


def _column(table: Any, place: int) -> list[float]:
    rows = table.locator("tbody tr").all()
    return [float(row.locator("th, td").nth(place).inner_text().replace(",", "")) for row in rows]


def test_values_are_read_off_a_figure_by_mouse_and_by_keyboard(browser: Any, approved: Path) -> None:
    tab = Tab(browser, approved)
    figure = tab.page.locator("figure", has_text="excess, points").first
    status, points = figure.locator("[role=status]"), figure.locator(".point")
    titles = [title.text_content() for title in points.locator("title").all()]
    figure.focus()
    tab.page.keyboard.press("ArrowRight")
    assert status.inner_text() == titles[0]
    tab.page.keyboard.press("ArrowLeft")
    assert status.inner_text() == titles[-1]
    points.nth(2).hover()
    assert status.inner_text() == titles[2]
    assert "worst family" in titles[2]


def test_the_page_is_complete_without_its_script(browser: Any, approved: Path) -> None:
    texts = [Tab(browser, approved, script=script).page.locator("main").inner_text() for script in (False, True)]
    without, with_script = ([line for line in text.split("\n") if "Point at a mark" not in line] for text in texts)
    assert [line for line in without if line.strip()] == [line for line in with_script if line.strip()]


def test_names_are_never_read_as_markup(browser: Any, tmp_path: Path) -> None:
    hostile = "<img src=x onerror=\"document.title='owned'\">"
    page = tmp_path / "report.html"
    page.write_text(render(certificate(families=(hostile, "music"), methods=("<i>m</i>", "uniform"))))
    tab = Tab(browser, page)
    tab.page.evaluate(OPEN_ALL)
    tab.page.locator("figure .point").first.hover()
    tab.page.locator("thead button").first.click()
    assert tab.page.locator("main img, main i").count() == 0
    assert tab.page.title().startswith("Earmark")


def test_the_first_printed_page_holds_the_decision_and_its_doubts(browser: Any, approved: Path) -> None:
    tab = Tab(browser, approved)
    tab.page.emulate_media(media="print")
    tab.page.set_viewport_size({"width": 688, "height": 1017})  # A4 within its margins, at 96 px an inch
    for selector in ("h1", ".approvals", ".beware"):
        box = tab.page.locator(selector).first.bounding_box()
        assert box["y"] + box["height"] <= 1017, selector


def test_embedded_audio_plays_under_the_policy_of_the_page(browser: Any, approved: Path) -> None:
    source = base64.b64encode(_second_of_silence()).decode()
    audio = f'<audio controls="" preload="none" src="data:audio/wav;base64,{source}"></audio>'
    approved.write_text(approved.read_text().replace("<main>", f"<main>{audio}"))
    tab = Tab(browser, approved)
    played = tab.page.evaluate(
        "async () => { const audio = document.querySelector('audio'); audio.muted = true; await audio.play();"
        " await new Promise((done) => { audio.ontimeupdate = () => audio.currentTime > 0 && done(); });"
        " return audio.duration; }"
    )
    assert played == 1.0
    assert tab.complaints == []


def _second_of_silence() -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as written:
        written.setnchannels(1)
        written.setsampwidth(2)
        written.setframerate(16_000)
        written.writeframes(bytes(32_000))
    return buffer.getvalue()
