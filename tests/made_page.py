"""A page in a browser that notes what a page must not do."""

import re
from contextlib import contextmanager

import pytest

from poseemo_lib.report.page import find_browser

needs_chromium = pytest.mark.skipif(find_browser() is None, reason="needs Chromium (Debian: apt-get install chromium)")


@contextmanager
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=find_browser(), args=["--no-sandbox"])
        yield opened
        opened.close()


@contextmanager
def reading(opened, page, **options):
    """A tab with the page, offline; at the end there was no error, no dialog and no request for anything else."""
    tab, faults = opened.new_context(offline=True, **options).new_page(), []
    own = re.compile(f"data:|blob:|{re.escape(page.as_uri())}")
    tab.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    tab.on("pageerror", lambda error: faults.append(str(error)))
    tab.on("dialog", lambda dialog: (faults.append(dialog.message), dialog.dismiss()))
    tab.on("request", lambda request: None if own.match(request.url) else faults.append(request.url))
    tab.goto(page.as_uri())
    yield tab
    tab.context.close()
    assert faults == []
