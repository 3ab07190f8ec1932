"""Take pictures of the pages from the empty one to the export, as a new user sees them.

    python benchmarks/film_strip.py PHOTOS OUT

Serves a folder of photos with an empty store, scans it from the page, and saves each step at 1280
and 390 pixels, light and dark, as OUT/STEP-WIDTH-SCHEME.png, to be looked at. Needs Chromium, and
so many photos that they are still being judged when the live page is taken: some hundred.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from playwright.sync_api import Page

WIDTHS, HEIGHT = (1280, 390), 900
SCAN_MS = 600_000


def main() -> None:
    """Serve, drive a browser through the steps, and save the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path)
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as home:
        env = os.environ | {
            f"XDG_{name}_HOME": home for name in ("DATA", "STATE", "CONFIG", "CACHE")
        }
        command = [sys.executable, "-m", "scanner", "serve", "--port", "0"]
        served = subprocess.Popen(
            [*command, "--root", f"photos={given.photos.resolve()}"],
            env=env,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            address = served.stdout.readline().strip() if served.stdout else ""
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(
                    executable_path=shutil.which("chromium"),
                    args=["--no-sandbox"] if os.geteuid() == 0 else [],
                )
                walk(browser.new_page(locale="en-US"), address, given.out)
        finally:
            served.terminate()
            served.wait()


def walk(page: Page, address: str, out: Path) -> None:
    """Go through the steps, and save each."""
    page.goto(address)
    shoot(page, out / "1-empty")
    page.get_by_role("link", name="photos", exact=True).click()
    page.get_by_role("button", name="Scan this folder").wait_for()
    shoot(page, out / "2-folder")
    page.get_by_role("button", name="Scan this folder").click()
    page.wait_for_url("**/scan/*")
    page.locator("progress:not([value='0'])").first.wait_for(timeout=SCAN_MS)
    shoot(page, out / "3-live")
    finished = page.get_by_text("This scan is finished")
    if finished.is_visible():
        sys.exit("the scan was over before its picture was taken: expected a folder of more photos")
    finished.wait_for(timeout=SCAN_MS)
    for step, name in ((4, "report"), (5, "gallery")):
        page.goto(f"{page.url.partition('/scan/')[0]}/scan/1/{name}", wait_until="networkidle")
        shoot(page, out / f"{step}-{name}")
    gallery = page.url
    page.locator(".tiles a").first.click()
    page.wait_for_load_state("networkidle")
    shoot(page, out / "6-why")
    page.goto(gallery.replace("gallery", "review"), wait_until="networkidle")
    shoot(page, out / "7-review")
    page.goto(gallery, wait_until="networkidle")
    page.get_by_text("Export these").click()
    shoot(page, out / "8-export")


def shoot(page: Page, file: Path) -> None:
    """Save the page at both widths in both schemes."""
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": HEIGHT})
            page.screenshot(path=f"{file}-{width}-{scheme}.png", full_page=True)
    page.set_viewport_size({"width": WIDTHS[0], "height": HEIGHT})


if __name__ == "__main__":
    main()
