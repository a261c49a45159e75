"""The page is one file, and nothing that a run holds takes effect in it."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from tests.reports.page.conftest import HOSTILE

from steppe.reports.page import Page, write_page
from steppe.reports.page.html import render_page

LIMIT = 12_000_000


class Elements(HTMLParser):
    """The elements of a page, and the text of its data."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.data = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.found and self.found[-1][1].get("id") == "data":
            self.data += data


@pytest.fixture
def elements(page: Page) -> Elements:
    found = Elements()
    found.feed(render_page(page))
    return found


def test_nothing_is_loaded_and_texts_of_others_make_no_elements(elements: Elements) -> None:
    tags = [tag for tag, _ in elements.found]
    assert tags.count("script") == 3  # data, the library, the page's own
    assert "img" not in tags
    assert not [attrs for _, attrs in elements.found if "src" in attrs or "onerror" in attrs]
    [policy] = [a["content"] for _, a in elements.found if a.get("http-equiv")]
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    assert "http" not in policy


def test_the_data_is_whole(elements: Elements, page: Page) -> None:
    data = json.loads(elements.data)
    assert data == page.plain()
    assert data["title"] == f"A run {HOSTILE}"
    assert data["claims"][0]["published"] is None
    assert data["claims"][0]["outputs"] == ["figure_1", "table_1"]
    shown = data["tables"][0]["shown"]
    assert shown["rows"][0] == ["Model-generated", "1.00 [0.50, 1.50]"]
    assert shown["numeric"] == [False, True]
    assert re.match(r"data:image/png;base64,[A-Za-z0-9+/=]+$", data["figures"][0]["image"])


def test_the_file_is_written_and_small(page: Page, tmp_path: Path) -> None:
    write_page(tmp_path / "report.html", page)
    assert 4_000_000 < (tmp_path / "report.html").stat().st_size < LIMIT
