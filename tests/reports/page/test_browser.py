"""The page in a browser: from claim to figure, from curve to sample, an address that is kept."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from tests.reports.page.conftest import HOSTILE

from steppe.reports.page import Page, write_page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
playwright = pytest.importorskip("playwright.sync_api")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium: apt-get install chromium")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        found = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def address(page: Page, tmp_path: Path) -> str:
    write_page(tmp_path / "report.html", page)
    return (tmp_path / "report.html").as_uri()


@pytest.fixture
def tab(browser: Any) -> Iterator[Any]:
    """A tab in which no error is logged and nothing is asked of a network."""
    opened, faults = browser.new_page(viewport={"width": 1280, "height": 900}), []
    opened.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
    opened.on("pageerror", lambda fault: faults.append(str(fault)))
    opened.on(
        "request",
        lambda asked: None if asked.url.startswith(("file:", "data:", "blob:"))
        else faults.append(asked.url),
    )  # fmt: skip
    yield opened
    assert opened.evaluate("window.broken") is None
    opened.close()
    assert faults == []


def visit(tab: Any, address: str) -> None:
    tab.goto("about:blank")
    tab.goto(address)
    tab.wait_for_selector("html[data-ready=yes]")


def test_a_claim_leads_to_what_decides_it(tab: Any, address: str) -> None:
    visit(tab, address)
    assert tab.title() == f"A run {HOSTILE}"
    row = tab.locator("#claim-P1")
    assert "holds (undecided after Holm's correction)" in row.inner_text()
    assert tab.locator("#claims-chart .point").count() == 1
    row.get_by_role("link", name="figure 1").click()
    assert tab.evaluate("document.activeElement.id") == "output-figure_1"
    tab.locator("#claims-chart .point").click(force=True)
    assert tab.evaluate("document.activeElement.id") == "output-figure_1"


def test_texts_and_tables_are_there_before_the_plotting_library(tab: Any, address: str) -> None:
    tab.add_init_script(
        """Object.defineProperty(window, "Plotly", { configurable: true, set(library) {
          const parts = ["#claim-P1", "#output-table_1", "#facts dd"];
          window.before = parts.map((one) => !!document.querySelector(one));
          Object.defineProperty(window, "Plotly", { value: library, writable: true });
        } });"""
    )
    visit(tab, f"{address}#output-table_1")
    assert tab.evaluate("window.before") == [True, True, True]
    assert tab.evaluate("document.activeElement.id") == "output-table_1"


def test_a_long_table_is_ordered_searched_and_leads_on(tab: Any, address: str) -> None:
    visit(tab, address)
    rows = tab.locator("#output-long tbody tr")
    assert rows.count() == 500
    assert "The first 500 of 600 rows" in tab.locator("#output-long caption").inner_text()
    head = tab.locator("#output-long th", has_text="mean")
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert rows.first.locator("td").nth(1).inner_text() == "-300.00"
    head.get_by_role("button").click()
    assert rows.first.locator("td").nth(1).inner_text() == "299.00"
    tab.get_by_label("rows that contain").fill("LATENT 3")
    found = rows.locator("td:first-child").all_inner_texts()
    assert len(found) == 111
    # What has no number is last, whichever way it is ordered.
    assert found[-1] == "latent 3"
    assert rows.last.get_by_role("link").get_attribute("href").endswith("neuronpedia.org/m/1/3")
    tab.get_by_label("rows that contain").fill("elsewhere")
    assert (rows.count(), rows.get_by_role("link").count()) == (1, 0)


def test_a_curve_leads_to_its_sample(tab: Any, address: str) -> None:
    visit(tab, address)
    assert not tab.locator("#card").is_visible()
    # In the second trace of three a kind are its single curves; its first point is sample 100's.
    tab.evaluate(
        "document.getElementById('curves-chart').emit('plotly_click',"
        " {points: [{curveNumber: 1, pointIndex: 25}]})"
    )
    card = tab.locator("#card")
    assert "Sample 101" in card.inner_text()
    assert [one.inner_text() for one in tab.locator(".tokens span").all()] == [" the", " sea"]
    assert "41" in card.inner_text()
    tab.get_by_role("button", name="next").click()
    assert "Sample 102" in card.inner_text()
    assert HOSTILE in tab.locator(".tokens span").last.inner_text()
    tab.keyboard.press("Escape")
    assert not card.is_visible()


def test_a_slider_says_what_the_model_would_say(tab: Any, address: str) -> None:
    visit(tab, f"{address}#card?s=101")
    rows = tab.locator("#next-tokens tr")
    assert rows.count() == 2
    assert rows.first.locator("td").first.inner_text().strip() == "the 75%"
    tab.locator("#place").fill("1")
    assert rows.first.locator("td").first.inner_text().strip() == "sea 75%"
    assert rows.last.locator("td.new").count() == 1
    assert HOSTILE in rows.last.inner_text()
    assert "t=1" in tab.url
    assert tab.locator("output").inner_text() == "step 10 (0.5 fraction)"
    visit(tab, f"{address}#card?s=108")
    assert "not for this one" in tab.locator("#card").inner_text()


def test_planes_are_seen_from_each_corner(tab: Any, address: str) -> None:
    visit(tab, address)
    tab.select_option("#choice-ms", "1")
    tab.select_option("#choice-mc", "2")
    visit(tab, tab.url)
    drawn = "document.getElementById('map-chart').data"
    # Sample 1 from corner 2: the sixth of the grids of 20 values, counted modulo 53.
    assert abs(tab.evaluate(f"{drawn}[0].z[3][4]") - (119 % 53)) < 1e-2
    assert tab.evaluate(f"{drawn}[1].text") == ["base", "second", "third"]
    assert " sea sea" in tab.locator("#map-note").inner_text()


def test_a_triangle_shows_its_values_and_what_its_corners_are(tab: Any, address: str) -> None:
    visit(tab, f"{address}#maps?md=1&ms=1&mc=1")
    drawn = "document.getElementById('map-chart').data"
    assert tab.evaluate(f"{drawn}.map((trace) => [trace.type, trace.a.length])") == [
        ["scatterternary", 6]
    ]
    # The last place of the last triangle.
    assert abs(tab.evaluate(f"{drawn}[0].marker.color[5]") - 53) < 1e-2
    tab.select_option("#choice-ms", "0")
    assert tab.evaluate(f"{drawn}.map((trace) => trace.a.length)") == [5, 1]
    tab.select_option("#choice-mc", "0")
    told = tab.locator("#map-corners li").all_inner_texts()
    assert told == ["first: sea sea", "second: drawn, of no prompt", "third: drawn, of no prompt"]


def lines(tab: Any) -> int:
    """How many single curves of the first kind are drawn."""
    found: int = tab.evaluate(
        "document.getElementById('curves-chart').data[1].x.filter((x) => x === null).length"
    )
    return found


def test_filters_leave_what_they_say(tab: Any, address: str) -> None:
    visit(tab, address)
    assert lines(tab) == 12
    tab.fill("#choice-q", "SEA")
    tab.keyboard.press("Enter")
    assert lines(tab) == 3
    assert "leave 3 of them" in tab.locator("#curves-note").inner_text()
    tab.click("#reset")
    assert lines(tab) == 12
    # Real curves on straight paths rise at steps 3 to 7: every fourth first.
    tab.evaluate(
        "document.getElementById('numbers-chart').emit('plotly_selected', {range: {x: [1, 4.2]}})"
    )
    assert lines(tab) == 3
    assert "b=1_4.2" in tab.url


def test_an_address_shows_what_was_seen(tab: Any, address: str) -> None:
    visit(tab, address)
    tab.select_option("#choice-m", "1")
    tab.select_option("[id='choice-f.mode']", "1")
    tab.select_option("#choice-h", "histogram")
    tab.select_option("#choice-s", "103")
    tab.evaluate(
        "document.getElementById('curves-chart').emit('plotly_relayout',"
        " {'xaxis.range[0]': 2, 'xaxis.range[1]': 9})"
    )
    kept = tab.url
    visit(tab, kept)
    assert tab.input_value("#choice-m") == "1"
    assert tab.input_value("[id='choice-f.mode']") == "1"
    assert "Sample 103" in tab.locator("#card").inner_text()
    assert tab.evaluate("document.getElementById('curves-chart').layout.xaxis.range") == [2, 9]
    assert tab.evaluate("document.getElementById('numbers-chart').data[0].type") == "histogram"
    assert "cosine" in tab.evaluate(
        "document.getElementById('curves-chart').layout.yaxis.title.text"
    )
    tab.select_option("#choice-d", "1")
    assert not tab.locator("#card").is_visible()


def test_data_and_drawings_are_saved(tab: Any, address: str, tmp_path: Path) -> None:
    visit(tab, address)
    with tab.expect_download() as saved:
        tab.locator("#numbers-save").get_by_role("button", name="CSV").click()
    saved.value.save_as(tmp_path / "numbers.csv")
    rows = (tmp_path / "numbers.csv").read_text().splitlines()
    assert rows[0] == "kind,sample,step of the largest slope"
    assert len(rows) == 1 + 2 * 12
    with tab.expect_download() as saved:
        tab.locator("#curves-save").get_by_role("button", name="SVG").click()
    saved.value.save_as(tmp_path / "curves.svg")
    assert (tmp_path / "curves.svg").read_text().startswith("<svg")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_that_keeps_people_out(tab: Any, address: str, scheme: str) -> None:
    axe = files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")
    tab.emulate_media(color_scheme=scheme)
    visit(tab, f"{address}#curves?s=101")
    tab.evaluate(axe)
    found = tab.evaluate("axe.run()")
    assert len(found["passes"]) > 15
    assert [(one["id"], one["nodes"][0]["html"]) for one in found["violations"]] == []


@pytest.mark.parametrize("width", [390, 800])
def test_nothing_is_wider_than_a_narrow_screen(tab: Any, address: str, width: int) -> None:
    tab.set_viewport_size({"width": width, "height": 800})
    visit(tab, f"{address}#curves?s=101")
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
