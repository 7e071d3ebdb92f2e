"""One rule for the variables of proxies, whatever the client."""

from __future__ import annotations

import pytest

from wagtail_vector_index.contract.services import (
    grpc_proxy_options,
    proxy_of,
    without_credentials,
)
from wagtail_vector_index.exceptions import ConfigurationError

URL = "https://vectors.example.org/v1"
NAMES = [
    name
    for lower in (
        "http_proxy",
        "https_proxy",
        "all_proxy",
        "no_proxy",
        "no_grpc_proxy",
        "request_method",
    )
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
        ({"ALL_PROXY": "http://all:1080", "http_proxy": "http://one"}, "http://all:1080"),
        ({"all_proxy": "https://me:s3cret@all"}, "https://me:s3cret@all"),
        ({"all_proxy": "socks5://all:1080", "https_proxy": "http://one"}, "http://one"),
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
        ("10.1.2.3", "http://10.1.2.3:8000", True),
        ("10.0.0.0/8", "http://10.1.2.3", True),
        ("10.0.0.0/8", "http://11.1.2.3", False),
        ("10.0.0.0/8", URL, False),
        ("fd00::1", "http://[fd00::1]:8000", True),
        ("[fd00::1]:8000", "http://[fd00::1]:8000", True),
        ("[fd00::1]:8001", "http://[fd00::1]:8000", False),
        ("fd00::/8", "http://[fd00::1]", True),
    ],
)
def test_hosts_that_need_no_proxy(proxies, no_proxy, url, is_direct):
    proxies(all_proxy="http://proxy:3128", no_proxy=no_proxy)
    assert proxy_of(url) == ("" if is_direct else "http://proxy:3128")


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST.",
        "vectors.localhost",
        "127.0.0.1",
        "127.0.0.1:8080",
        "127.1.2.3",
        "[::1]:8080",
    ],
)
def test_this_machine_needs_no_proxy(proxies, host):
    proxies(all_proxy="http://proxy:3128", http_proxy="socks5://proxy:1080")
    assert proxy_of(f"http://{host}/v1") == ""


@pytest.mark.parametrize("host", ["notlocalhost", "localhost.example.org", "10.0.0.1", "[fd00::1]"])
def test_other_machines_need_one(proxies, host):
    proxies(all_proxy="http://proxy:3128")
    assert proxy_of(f"http://{host}/v1") == "http://proxy:3128"


@pytest.mark.parametrize(
    "proxy",
    [
        "socks5://me:s3cret@all:1080",
        "socks4://all",
        "http://proxy:notaport",
        "http://me:s3cret@proxy:notaport",
        "http://proxy:65536",
        "http://proxy:0",
        "http://:3128",
        "http://[::1",
        "proxy:s3cret",
    ],
)
@pytest.mark.parametrize("variable", ["all_proxy", "ALL_PROXY", "https_proxy", "HTTPS_PROXY"])
def test_a_variable_that_names_no_proxy(proxies, variable, proxy):
    proxies(**{variable: proxy})
    with pytest.raises(ConfigurationError, match=f"The environment variable {variable} ") as raised:
        proxy_of(URL)
    assert "s3cret" not in str(raised.value)
    proxies(no_proxy="example.org")
    assert proxy_of(URL) == ""


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


GRPC_URL = "https://db.myexample.org:50051"


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, {"grpc.enable_http_proxy": 0}),
        ({"https_proxy": "http://one:3128"}, {"grpc.http_proxy": "http://one:3128"}),
        ({"https_proxy": "http://me:s3@cret@one"}, {"grpc.http_proxy": "http://me:s3@cret@one:80"}),
        ({"all_proxy": "one"}, {"grpc.http_proxy": "http://one:80"}),
        ({"all_proxy": "http://one:/"}, {"grpc.http_proxy": "http://one:80"}),
        ({"all_proxy": "http://[fd00::1]"}, {"grpc.http_proxy": "http://[fd00::1]:80"}),
        # What has no proxy cannot be bypassed.
        (
            {"all_proxy": "https://one", "no_proxy": "db.myexample.org:50051"},
            {"grpc.enable_http_proxy": 0},
        ),
        ({"all_proxy": "http://one", "no_proxy": "org"}, {"grpc.enable_http_proxy": 0}),
        # gRPC prefers the first variable, and has no capitals.
        (
            {"all_proxy": "http://one", "no_proxy": "example.org", "no_grpc_proxy": ""},
            {"grpc.http_proxy": "http://one:80"},
        ),
        (
            {"all_proxy": "http://one", "NO_PROXY": "example.org"},
            {"grpc.http_proxy": "http://one:80"},
        ),
        (
            {"all_proxy": "http://one", "no_proxy": "other.org,,xdb.myexample.org"},
            {"grpc.http_proxy": "http://one:80"},
        ),
    ],
)
def test_the_proxy_of_a_channel(proxies, variables, expected):
    proxies(**variables)
    assert grpc_proxy_options(GRPC_URL) == expected


@pytest.mark.parametrize("variable", ["https_proxy", "ALL_PROXY"])
def test_grpc_cannot_use_a_proxy_over_https(proxies, variable):
    proxies(**{variable: "https://me:s3cret@proxy"})
    said = f"variable {variable} .* HTTPS.* add 'db.myexample.org:50051' to no_proxy"
    with pytest.raises(ConfigurationError, match=said) as raised:
        grpc_proxy_options(GRPC_URL)
    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize(
    ("variable", "value", "url"),
    [
        ("no_proxy", "other.org, Example.ORG", GRPC_URL),
        ("no_proxy", "other.org, ", GRPC_URL),
        ("no_proxy", "0.0.0.1", "http://10.0.0.1:50051"),
        ("no_proxy", "10.0.0.1/40", "http://10.0.0.1:50051"),
        ("no_grpc_proxy", "db.myexample.org", GRPC_URL),
    ],
)
def test_a_channel_that_would_bypass_the_proxy(proxies, variable, value, url):
    proxies(all_proxy="http://proxy:3128", **{variable: value})
    assert proxy_of(url)
    with pytest.raises(ConfigurationError, match=f"variable {variable} has") as raised:
        grpc_proxy_options(url)
    assert f"add {url.partition('//')[2]!r} to no_proxy" in str(raised.value)
    assert "set no_grpc_proxy to an empty text" in str(raised.value)
