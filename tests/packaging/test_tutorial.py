"""The tutorial, followed word for word from an empty folder, with the built wheels.

Where it says pip, uv installs, which is quicker; with TUTORIAL_WITH_PIP=1, it is pip.
"""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from html import unescape
from http.cookiejar import CookieJar
from pathlib import Path
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, OpenerDirector, build_opener

import pytest
from distributions import ROOT, Built
from following import Reader, outside

TUTORIAL = ROOT / "docs" / "tutorial.md"
ADDRESS = re.compile(r"http://127\.0\.0\.1:8000(/[^>)\s]*)")

ACCOUNT = {
    "DJANGO_SUPERUSER_USERNAME": "reader",
    "DJANGO_SUPERUSER_EMAIL": "reader@example.org",
    "DJANGO_SUPERUSER_PASSWORD": "a long password",
}
SECONDS = 60


class Visitor:
    """A browser, as far as it takes."""

    def __init__(self, site: str) -> None:
        self.site = site
        self.cookies = CookieJar()
        self.browser: OpenerDirector = build_opener(HTTPCookieProcessor(self.cookies))

    def is_answered(self) -> bool:
        try:
            self.get("/")
        except URLError:
            return False
        return True

    def get(self, path: str) -> str:
        with self.browser.open(self.site + path, timeout=SECONDS) as response:
            return unescape(response.read().decode())

    def post(self, path: str, **fields: str) -> str:
        """Send a form, after looking at it."""
        self.get(path)
        [token] = [cookie.value for cookie in self.cookies if cookie.name == "csrftoken"]
        data = urlencode({"csrfmiddlewaretoken": token or "", **fields}).encode()
        with self.browser.open(self.site + path, data, timeout=SECONDS) as response:
            return unescape(response.read().decode())


@contextmanager
def served(reader: Reader) -> Iterator[Visitor]:
    """The site, started as the tutorial says, but on a port that is free."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    command = ["env", *reader.server, "--noreload", f"127.0.0.1:{port}"]
    with subprocess.Popen(
        command,
        cwd=reader.folder,
        env=reader.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            visitor = Visitor(f"http://127.0.0.1:{port}")
            until(visitor.is_answered, "The site answers.")
            yield visitor
        finally:
            process.terminate()


def until(holds: object, what: str) -> None:
    """Wait until something holds that another process does."""
    assert callable(holds)
    end = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < end, f"It never came true: {what}"
        time.sleep(0.1)


def titles(page: str) -> list[str]:
    return re.findall(r"<h2><a href=[^>]*>(.*?)</a></h2>", page)


@pytest.mark.skipif(sys.platform == "win32", reason="The commands are those of a POSIX shell.")
def test_tutorial_works_word_for_word(tmp_path: Path, built: Built) -> None:
    text = TUTORIAL.read_text(encoding="utf-8")
    reader = Reader(tmp_path, {**outside(built), **ACCOUNT})
    reader.follow_all(text)

    located, admin, drink, nonsense, related = ADDRESS.findall(text)
    [(title, body)] = re.findall(r'^"(.*)" and a body such as "(.*)"$', text, re.MULTILINE)
    with served(reader) as visitor:
        assert titles(visitor.get(located))[0] == "How to find us"

        visitor.post(
            f"{admin}login/",
            username=ACCOUNT["DJANGO_SUPERUSER_USERNAME"],
            password=ACCOUNT["DJANGO_SUPERUSER_PASSWORD"],
        )
        publish(visitor, admin, title, body)
        until(lambda: title in titles(visitor.get(drink)), "The published page is found.")
        assert titles(visitor.get(drink))[0] == title
        assert "Nothing was found." in visitor.get(nonsense)

        page = visitor.get(related)
    after = page.partition("<h2>Related</h2>")[2]
    assert re.findall(r"<li><a href=[^>]*>(.*?)</a></li>", after)[0] == "Your first loaf"


def publish(visitor: Visitor, admin: str, title: str, body: str) -> None:
    """What an editor does in the form for a new page below "Home"."""
    form = f"{admin}pages/add/blog/blogpage/3/"
    ranges: dict[str, list[str]] = {"inlineStyleRanges": [], "entityRanges": []}
    block = {"key": "a", "text": body, "type": "unstyled", "depth": 0, **ranges}
    content = json.dumps({"blocks": [block], "entityMap": {}})
    fields = {"title": title, "slug": "published", "body": content}
    comments = {f"comments-{name}_FORMS": "0" for name in ("TOTAL", "INITIAL")}
    answer = visitor.post(form, **fields, **comments, **{"action-publish": "action-publish"})
    assert f"'{title}'" in answer, "The page was not published."
