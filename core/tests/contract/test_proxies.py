"""One rule for the variables of proxies, whatever the client."""

from __future__ import annotations

import pytest

from wagtail_vector_index.contract.services import proxy_of, without_credentials

URL = "https://vectors.example.org/v1"
NAMES = [
    name
    for lower in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "request_method")
    for name in (lower, lower.upper())
]


@pytest.fixture
def proxies(monkeypatch):
    """Sets variables, and no other ones."""
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    return lambda **variables: [monkeypatch.setenv(*pair) for pair in variables.items()]


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, ""),
        ({"https_proxy": "http://one:3128"}, "http://one:3128"),
        ({"HTTPS_PROXY": "http://one:3128"}, "http://one:3128"),
        ({"http_proxy": "http://one:3128"}, ""),
        ({"all_proxy": "http://all:3128"}, "http://all:3128"),
        ({"ALL_PROXY": "socks5://all:1080", "http_proxy": "http://one"}, "socks5://all:1080"),
        ({"all_proxy": "http://all", "https_proxy": "http://one"}, "http://one"),
        ({"https_proxy": "one:3128"}, "http://one:3128"),
        ({"https_proxy": ""}, ""),
    ],
)
def test_the_proxy_of_a_url(proxies, variables, expected):
    proxies(**variables)
    assert proxy_of(URL) == expected


@pytest.mark.parametrize(
    ("no_proxy", "url", "is_direct"),
    [
        ("*", URL, True),
        ("other, *", URL, True),
        ("vectors.example.org", URL, True),
        ("other.org, vectors.example.org", URL, True),
        ("VECTORS.example.org", URL, True),
        ("example.org", URL, True),
        (".example.org", URL, True),
        ("*.example.org", URL, True),
        ("ample.org", URL, False),
        ("other.org", URL, False),
        ("", URL, False),
        (" , ", URL, False),
        ("vectors.example.org:443", URL, True),
        ("vectors.example.org:8443", URL, False),
        ("vectors.example.org:8443", "https://vectors.example.org:8443", True),
        ("https://vectors.example.org", URL, True),
        ("localhost", "http://localhost:11434/v1", True),
        ("127.0.0.1", "http://127.0.0.1:8000", True),
        ("10.0.0.0/8", "http://10.1.2.3", True),
        ("10.0.0.0/8", "http://11.1.2.3", False),
        ("10.0.0.0/8", URL, False),
        ("::1", "http://[::1]:8000", True),
        ("[::1]:8000", "http://[::1]:8000", True),
        ("[::1]:8001", "http://[::1]:8000", False),
        ("fd00::/8", "http://[fd00::1]", True),
    ],
)
def test_hosts_that_need_no_proxy(proxies, no_proxy, url, is_direct):
    proxies(all_proxy="http://proxy:3128", no_proxy=no_proxy)
    assert proxy_of(url) == ("" if is_direct else "http://proxy:3128")


def test_a_header_of_a_visitor_is_no_proxy(proxies):
    """Under CGI, HTTP_PROXY is the header "Proxy" of a request."""
    proxies(HTTP_PROXY="http://visitor:3128", REQUEST_METHOD="GET")
    assert proxy_of("http://vectors.example.org") == ""


@pytest.mark.parametrize(
    ("proxy", "shown"),
    [
        ("http://proxy:3128", "http://proxy:3128"),
        ("http://me:s3cret@proxy:3128", "http://proxy:3128"),
        ("http://me:s3@cret@proxy", "http://proxy"),
        ("", ""),
    ],
)
def test_a_proxy_is_shown_without_its_password(proxy, shown):
    assert without_credentials(proxy) == shown
