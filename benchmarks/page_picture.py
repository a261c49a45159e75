"""Draw the picture of a run's page that README shows, from a run's own report.html.

python benchmarks/page_picture.py runs/giglemiani2024-demo docs/images/page.png
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

# Relative paths, a sample with next tokens, real and random targets alone, half way along.
VIEW = "curves?f.mode=1&s=11&t=14&k=2.3.4.6.7"
COLORS = 128


def main() -> None:
    """Open the page in Chromium, go to a sample's card, and save what is seen."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--view", default=VIEW, help="what the page's address names")
    asked = parser.parse_args()
    with sync_playwright() as started:
        browser = started.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        tab = browser.new_page(viewport={"width": 1120, "height": 1400}, color_scheme="light")
        tab.goto(f"{(asked.run / 'report.html').resolve().as_uri()}#{asked.view}")
        tab.wait_for_selector("html[data-ready=yes]")
        tab.evaluate("document.getElementById('curves').scrollIntoView()")
        tab.wait_for_timeout(1000)
        tab.screenshot(path=asked.picture)
        browser.close()
    with Image.open(asked.picture) as seen:
        seen.convert("RGB").quantize(COLORS).save(asked.picture, optimize=True)


if __name__ == "__main__":
    main()
