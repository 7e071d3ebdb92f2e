"""Options are checked against a dataclass, and their secrets are never seen."""

from __future__ import annotations

import dataclasses
import logging
import re
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Optional
from urllib.parse import quote

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy
from hypothesis import example, given
from hypothesis import strategies as st

from wagtail_vector_index.backends.base import VectorBackend
from wagtail_vector_index.contract.option_checks import check_absolute, check_headers, check_host
from wagtail_vector_index.contract.options import (
    Options,
    is_secret,
    parse_options,
    secret,
)
from wagtail_vector_index.exceptions import InvalidOptions, PluginBroken
from wagtail_vector_index.wording import HIDDEN

WHERE = "SETTING['default']"

KEY = "abc123"

Mode = Literal["fast", "exact"]


class AcmeBackend(VectorBackend):
    """Options as backends declare them: nested, their annotations kept as texts."""

    @dataclass(frozen=True, kw_only=True)
    class Options(VectorBackend.Options):
        host: str
        port: int = 80
        timeout: float = 10.0
        secure: bool = True
        mode: Mode = "fast"
        level: Literal[1, 2] = 1
        flag: Literal[True] | int = 3
        share: int | Literal["half", "ALL"] | None = None
        prefix: str | None = None
        limit: Optional[int] = None  # noqa: UP045  # authors write it as well
        hosts: list[str] = field(default_factory=list)
        ports: tuple[int, ...] = ()
        weights: list[float] = field(default_factory=list)
        sizes: set[int] = field(default_factory=set)
        headers: dict[str, str] = field(default_factory=dict)
        counts: dict[str, int] = field(default_factory=dict)
        extra: dict[str, Any] = field(default_factory=dict)
        derived: str = field(default="", init=False)

        def __post_init__(self) -> None:
            if self.port < 1:
                raise ValueError(f"'PORT' must be at least 1, not {self.port}.")


class ChildBackend(AcmeBackend):
    """Options that extend those of another backend."""

    @dataclass(frozen=True, kw_only=True)
    class Options(AcmeBackend.Options):
        path: str = ""


def parse(cls=AcmeBackend, **raw):
    return parse_options(cls.Options, {"HOST": "x"} | raw, WHERE)


def error(cls=AcmeBackend, *, expected=InvalidOptions, **raw):
    with pytest.raises(expected) as caught:
        parse_options(cls.Options, raw, WHERE)
    assert str(caught.value).startswith(f"{WHERE}: ")
    return str(caught.value).removeprefix(f"{WHERE}: ")


class TestParsing:
    def test_capitals_of_a_choice_do_not_matter(self):
        assert parse(MODE="EXACT").mode == "exact"
        assert [parse(SHARE=share).share for share in ("Half", "all", 3)] == ["half", "ALL", 3]

    def test_defaults(self):
        options = parse()
        assert options == AcmeBackend.Options(host="x")
        assert options.port == 80

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("PORT", 8080),
            ("TIMEOUT", 2),
            ("TIMEOUT", 2.5),
            ("SECURE", False),
            ("MODE", "exact"),
            ("LEVEL", 2),
            ("FLAG", True),
            ("PREFIX", None),
            ("PREFIX", "p"),
            ("LIMIT", None),
            ("LIMIT", 3),
            ("HOSTS", ["a", "b"]),
            ("HOSTS", []),
            ("PORTS", (1, 2, 3)),
            ("WEIGHTS", [1, 2.5]),
            ("SIZES", {1, 2}),
            ("HEADERS", {"a": "b"}),
            ("COUNTS", {"a": 1}),
            ("EXTRA", {"a": [True, None, {"b": 1}]}),
        ],
    )
    def test_what_is_right(self, key, value):
        assert getattr(parse(**{key: value}), key.lower()) == value

    @pytest.mark.parametrize(
        ("key", "value", "expected", "shown"),
        [
            ("HOST", 5, "str", "5"),
            ("HOST", None, "str", "None"),
            ("PORT", "80", "int", "'80'"),
            ("PORT", 80.0, "int", "80.0"),
            ("PORT", True, "int", "True"),
            ("PORT", None, "int", "None"),
            ("TIMEOUT", False, "float", "False"),
            ("TIMEOUT", "1", "float", "'1'"),
            ("SECURE", 1, "bool", "1"),
            ("SECURE", "yes", "bool", "'yes'"),
            ("MODE", "slow", "one of 'fast', 'exact'", "'slow'"),
            ("LEVEL", True, "one of 1, 2", "True"),
            ("LEVEL", 3, "one of 1, 2", "3"),
            ("PREFIX", 5, "str | None", "5"),
            ("LIMIT", True, "Optional[int]", "True"),
            ("HOSTS", "a", "list[str]", "'a'"),
            ("HOSTS", ["a", 1], "list[str]", "['a', 1]"),
            ("HOSTS", ("a",), "list[str]", "['a']"),
            ("PORTS", (1, True), "tuple[int, ...]", "[1, True]"),
            ("WEIGHTS", [1.0, True], "list[float]", "[1.0, True]"),
            ("SIZES", {True}, "set[int]", "{True}"),
            ("HEADERS", {"a": 1}, "dict[str, str]", "{'a': 1}"),
            ("HEADERS", {1: "a"}, "dict[str, str]", "{1: 'a'}"),
            ("HEADERS", ["a"], "dict[str, str]", "['a']"),
            ("COUNTS", {"a": True}, "dict[str, int]", "{'a': True}"),
            ("HOST", gettext_lazy("x"), "str", "'x', which is translated lazily"),
        ],
    )
    def test_what_is_wrong_names_key_type_and_value(self, key, value, expected, shown):
        message = error(**{"HOST": "x"} | {key: value})
        assert message.startswith((f"{key!r} must be of type ", f"{key!r} must be one of "))
        assert message.endswith(f", not {shown}.")
        # Python 3.14 writes Optional[int] as "int | None".
        assert expected in message or "int | None" in message

    @pytest.mark.parametrize("key", ["HOST", "PREFIX"])
    def test_a_path_becomes_text(self, key):
        """Django's settings name files and folders as ``BASE_DIR / "vectors"``."""
        assert getattr(parse(**{key: Path("/srv") / "vectors"}), key.lower()) == "/srv/vectors"

    def test_a_path_stays_a_path_if_the_option_is_one(self):
        class Filed(VectorBackend):
            Options = dataclasses.make_dataclass(
                "Options", [("folder", Path)], bases=(Options,), frozen=True, kw_only=True
            )

        parsed = parse_options(Filed.Options, {"FOLDER": Path("/srv")}, WHERE)
        assert parsed.folder == Path("/srv")

    def test_a_path_is_no_number(self):
        assert "'PORT' must be of type int, not" in error(HOST="x", PORT=Path("/srv"))

    def test_an_unknown_key_with_a_close_match(self):
        message = error(HOST="x", TIME_OUT=5)
        assert message.startswith(
            "unknown key 'TIME_OUT'. Did you mean 'TIMEOUT'? Allowed: BACKEND,"
        )
        assert "PORT" in message

    def test_an_unknown_key_without_one(self):
        assert "Did you mean" not in error(HOST="x", NONSENSE=5)

    @pytest.mark.parametrize("key", ["host", "Host", "hOST"])
    def test_a_key_in_small_letters(self, key):
        assert f"unknown key {key!r}. Did you mean 'HOST'?" in error(**{key: "x"})

    @pytest.mark.parametrize("key", [5, None, ("HOST",), b"HOST"])
    def test_a_key_that_is_no_text(self, key):
        with pytest.raises(InvalidOptions, match="unknown key"):
            parse_options(AcmeBackend.Options, {key: 1}, WHERE)

    def test_a_missing_key(self):
        message = error(PORT=5)
        assert message.startswith("'HOST' is missing. Required: HOST. Allowed: COUNTS, ")

    def test_what_is_not_an_argument_is_no_key(self):
        assert "unknown key 'DERIVED'" in error(HOST="x", DERIVED="y")

    def test_a_range(self):
        assert error(HOST="x", PORT=0) == "'PORT' must be at least 1, not 0."

    def test_the_options_of_a_child(self):
        options = parse(ChildBackend, PATH="/data", PORT=5)
        assert (options.path, options.port, options.host) == ("/data", 5, "x")
        assert "'PORT' must be at least 1" in error(ChildBackend, HOST="x", PORT=0)
        assert "'HOST' is missing" in error(ChildBackend, PATH="/data")
        assert "must be of type str" in error(ChildBackend, HOST="x", PATH=5)

    def test_they_are_frozen(self):
        with pytest.raises(dataclasses.FrozenInstanceError):
            parse().port = 5

    def test_a_backend_without_options(self):
        class Plain(VectorBackend):
            pass

        assert parse_options(Plain.Options, {}, WHERE) == VectorBackend.Options()
        assert error(Plain, HOST="x") == "unknown key 'HOST'. Allowed: BACKEND."

    @given(st.dictionaries(st.text() | st.integers(), st.none() | st.booleans() | st.text()))
    def test_nothing_but_our_own_errors(self, raw):
        with pytest.raises(InvalidOptions):
            parse_options(AcmeBackend.Options, raw | {"": 1}, WHERE)

    @pytest.mark.once
    @given(st.sampled_from(["PORT", "HOSTS", "HEADERS", "MODE", "EXTRA", "FLAG"]), st.data())
    def test_any_value(self, key, data):
        value = data.draw(
            st.recursive(
                st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
                lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
                max_leaves=5,
            )
        )
        try:
            parse(**{key: value})
        except InvalidOptions as caught:
            assert key in str(caught)  # noqa: PT017


class Unreadable(VectorBackend):
    """Its types are known to a type checker only."""

    @dataclass(frozen=True, kw_only=True)
    class Options(VectorBackend.Options):
        size: NoSuchType = 1  # noqa: F821


class Raising(VectorBackend):
    """What it raises is its own mistake."""

    @dataclass(frozen=True, kw_only=True)
    class Options(VectorBackend.Options):
        api_key: str = ""
        error: str = ""

        def __post_init__(self) -> None:
            kind = {"foreseen": ImproperlyConfigured, "value": ValueError}.get(self.error, KeyError)
            raise kind(f"no good: {self.api_key}")


class TestBrokenOptions:
    def test_annotations_that_cannot_be_read(self):
        message = error(Unreadable, expected=PluginBroken)
        assert "annotations of" in message
        assert "Unreadable.Options cannot be read: NameError: name 'NoSuchType'" in message

    @pytest.mark.parametrize("raised", ["foreseen", "value"])
    def test_what_is_raised_about_values(self, raised):
        assert error(Raising, ERROR=raised) == "no good: "

    def test_what_is_raised_otherwise(self):
        message = error(Raising, expected=PluginBroken, ERROR="other")
        assert message == "KeyError: 'no good: '"

    @pytest.mark.parametrize("raised", ["foreseen", "value", "other"])
    def test_with_a_secret_it_is_neither_shown_nor_chained(self, raised):
        with pytest.raises((InvalidOptions, PluginBroken)) as caught:
            parse_options(Raising.Options, {"ERROR": raised, "API_KEY": KEY}, WHERE)
        assert HIDDEN in str(caught.value)
        assert KEY not in "".join(traceback.format_exception(caught.value))
        assert caught.value.__cause__ is caught.value.__context__ is None

    def test_without_one_the_cause_is_chained(self):
        with pytest.raises(InvalidOptions) as caught:
            parse_options(Raising.Options, {"ERROR": "value"}, WHERE)
        assert isinstance(caught.value.__cause__, ValueError)


class Secretive(VectorBackend):
    """Some say they are secrets, others forgot."""

    @dataclass(frozen=True, kw_only=True)
    class Options(VectorBackend.Options):
        host: str = ""
        certificate: str = secret("")
        needed: str = secret()
        api_key: str = ""
        apikey: str = ""
        key: str = ""
        password: str = ""
        db_password: str = ""
        passwd: str = ""
        token: str = ""
        access_token: str = ""
        secret: str = ""
        client_secret: str = ""
        credentials: str = ""
        passphrase: str = ""
        pwd: str = ""
        auth: str = ""
        accesskey: str = ""
        secretkey: str = ""
        tokens: list[str] = field(default_factory=list)
        auth_tokens: list[str] = field(default_factory=list)
        api_keys: list[str] = field(default_factory=list)
        pin: int = dataclasses.field(default=0, metadata={"secret": True})
        headers: dict[str, str] = field(default_factory=dict)
        max_tokens: int = 5
        tokenizer: str = "words"
        keyspace: str = "main"
        monkey: str = "mandrill"


FORGOTTEN = [
    "API_KEY", "APIKEY", "KEY", "PASSWORD", "DB_PASSWORD", "PASSWD", "TOKEN", "ACCESS_TOKEN",
    "SECRET", "CLIENT_SECRET", "CREDENTIALS", "PASSPHRASE", "PWD", "AUTH", "ACCESSKEY", "SECRETKEY",
]  # fmt: skip


def options(**raw):
    return parse_options(Secretive.Options, {"NEEDED": ""} | raw, WHERE)


#: Texts that are not taken for what hides a secret.
PLAIN = st.text(st.characters(exclude_categories=["Cs"], exclude_characters=HIDDEN))


class TestSecrets:
    @pytest.mark.parametrize("key", ["CERTIFICATE", "NEEDED", *FORGOTTEN])
    def test_are_not_shown(self, key, caplog):
        found = options(**{key: "abc123"})
        logging.getLogger(__name__).warning("made with %s", found)
        shown = f"{found} {found!r} {[found]} {found.redact('failed with abc123')} {caplog.text}"
        assert "abc123" not in shown
        assert f"{key.lower()}='{HIDDEN}'" in repr(found) or f"{key.lower()}={HIDDEN}" in repr(
            found
        )
        assert getattr(found, key.lower()) == "abc123"

    @pytest.mark.parametrize("key", ["CERTIFICATE", "NEEDED", *FORGOTTEN, "API_KEYS"])
    def test_are_not_shown_by_errors(self, key):
        value = {"abc123": "abc123"}
        message = error(Secretive, **{"NEEDED": ""} | {key: value})
        assert message.endswith(", not dict.")

    @pytest.mark.parametrize(
        "name", ["host", "max_tokens", "tokenizer", "keyspace", "monkey", "headers"]
    )
    def test_what_is_none_is_shown(self, name):
        (found,) = (f for f in dataclasses.fields(Secretive.Options) if f.name == name)
        assert not is_secret(found)

    def test_without_a_default_it_is_required(self):
        assert "'NEEDED' is missing" in error(Secretive)

    @pytest.mark.parametrize("key", ["API_KEYS", "TOKENS", "AUTH_TOKENS"])
    def test_lists_of_them(self, key):
        found = options(**{key: ["abc123", "def456"]})
        assert "abc123" not in repr(found)
        assert found.redact("abc123, def456 and ghi") == f"{HIDDEN}, {HIDDEN} and ghi"

    def test_numbers(self):
        found = options(PIN=7391)
        assert "7391" not in repr(found)
        assert found.redact("PIN 7391 refused") == f"PIN {HIDDEN} refused"

    def test_in_a_dict_by_their_names(self):
        found = options(HEADERS={"X-Api-Key": "abc123", "Authorization": "Bearer x", "Accept": "*"})
        assert f"'X-Api-Key': {HIDDEN}" in repr(found)
        assert "'Accept': '*'" in repr(found)
        assert found.redact("abc123, Bearer x, *") == f"{HIDDEN}, {HIDDEN}, *"
        message = error(Secretive, NEEDED="", HEADERS={"token": "abc123", "a": 1})
        assert "abc123" not in message
        assert message.endswith(f"{{'token': {HIDDEN}, 'a': 1}}.")

    @pytest.mark.parametrize("value", ["Bearer abc123", "Api-Key  abc123 ", "abc123"])
    def test_in_a_header_with_its_scheme(self, value):
        """Services quote only what follows the scheme."""
        found = options(HEADERS={"Authorization": value})
        assert found.redact("the key abc123 is wrong") == f"the key {HIDDEN} is wrong"

    def test_only_a_header_has_a_scheme(self):
        assert options(PASSWORD="correct horse").redact("a horse at 1") == "a horse at 1"

    def test_the_longer_one_first(self):
        found = options(KEY="abc", TOKEN="abcdef")
        assert found.redact("abcdef abc") == f"{HIDDEN} {HIDDEN}"

    def test_empty_ones_hide_nothing(self):
        assert options().redact("a text") == "a text"

    def test_a_child_that_writes_its_own_repr(self):
        @dataclass(frozen=True, kw_only=True)
        class Talkative(Options):
            api_key: str = ""

            def __repr__(self):
                return f"my key is {self.api_key}"

        assert "abc123" not in repr(Talkative(api_key="abc123"))

    @pytest.mark.parametrize("value", ["p@ss/w:rd", "50% off+more", "a'b\\c", "naïve ключ"])
    def test_in_the_forms_they_take_elsewhere(self, value):
        found = options(PASSWORD=value)
        for form in (value, quote(value), quote(value, safe=""), repr(value)):
            assert found.redact(f"<{form}>") in (f"<{HIDDEN}>", f"<'{HIDDEN}'>", f'<"{HIDDEN}">')

    # A "0" is the default of another secret.
    @example(value="10", around="001")
    @example(value="1a", around="0a1")
    @given(PLAIN.filter(bool), PLAIN)
    def test_any_text(self, value, around):
        found = options(TOKEN=value)
        for part in found.redact(f"{around}{value}{around}").split(HIDDEN):
            assert value not in part


class TestUrls:
    @pytest.mark.parametrize(
        ("url", "seen"),
        [
            ("https://me:s3cret@db.example/x", f"https://me:{HIDDEN}@db.example/x"),
            ("redis://:s3cret@db.example", f"redis://:{HIDDEN}@db.example"),
            ("postgres://me:s3%40cret@db", f"postgres://me:{HIDDEN}@db"),
            # Not escaped as it should be: Python's own parser does not see a password.
            ("postgres://me:s3/cret@db", f"postgres://me:{HIDDEN}@db"),
            ("postgres://me:s3#cret@db", f"postgres://me:{HIDDEN}@db"),
            ("postgres://me:s3@cret@db", f"postgres://me:{HIDDEN}@db"),
            ("http://me:s3[cret@db", f"http://me:{HIDDEN}@db"),
            (
                "https://db.example/x?api_key=s3cret&a=1",
                f"https://db.example/x?api_key={HIDDEN}&a=1",
            ),
            ("https://db.example?a=1&sig=s3%2Fcret", f"https://db.example?a=1&sig={HIDDEN}"),
            ("https://db.example?key=k3y#part", f"https://db.example?key={HIDDEN}#part"),
            ("https://db.example?page=2", "https://db.example?page=2"),
            ("host=db password=s3cret port=1", f"host=db password={HIDDEN} port=1"),
            ("password = 's3 cret' host=db", f"password = '{HIDDEN}' host=db"),
            ("Server=db;Pwd=s3cret;Port=1", f"Server=db;Pwd={HIDDEN};Port=1"),
            ("https://db.example:6333/x", "https://db.example:6333/x"),
            ("https://me@db.example", "https://me@db.example"),
            ("me:pw@db", "me:pw@db"),
        ],
    )
    def test_passwords_in_them(self, url, seen):
        found = options(HOST=url)
        assert f"host={seen!r}" in repr(found)
        assert found.redact(f"cannot reach {url}") == f"cannot reach {seen}"
        assert found.host == url

    def test_decoded_by_a_client(self):
        found = options(HOST="https://me:p%40ss%2Fword@db.example")
        assert found.redact("password p@ss/word refused") == f"password {HIDDEN} refused"

    def test_in_a_list_and_in_a_dict(self):
        found = options(HEADERS={"Proxy": "http://me:s3cret@proxy"})
        assert "s3cret" not in repr(found)
        assert "s3cret" not in found.redact("s3cret")

    def test_in_a_secret(self):
        found = options(CERTIFICATE="https://me:s3cret@db")
        assert found.redact("s3cret is wrong") == f"{HIDDEN} is wrong"

    def test_in_errors_about_their_type(self):
        message = error(Secretive, NEEDED="", MAX_TOKENS="https://me:s3cret@db")
        assert message.endswith(f"not 'https://me:{HIDDEN}@db'.")
        message = error(Secretive, NEEDED="", MAX_TOKENS=["https://me:s3cret@db"])
        assert "s3cret" not in message

    @pytest.mark.parametrize("value", [b"https://me:s3cret@db", {"https://me:s3cret@db"}])
    def test_in_errors_about_what_is_no_text(self, value):
        message = error(Secretive, NEEDED="", MAX_TOKENS=value)
        assert f"https://me:{HIDDEN}@db" in message


class TestKeysInTheWrongSetting:
    KEYS = (
        "sk-proj-4fGh7Jk9Lm2Np5Qr",
        "pcsk_6Yq8Ab3Zt5Xc7Vb9Nm1Lk",
        "9f86d081884c7d659a2feaa0c55ad015",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.4Fk9Zq1",
    )
    NAMES = (
        "qdrant.example.org:6333",
        "https://a1b2c3.eu-central-1.aws.cloud.example.io",
        "wagtail_vector_index.backends.pgvector.backend.PgvectorBackend",
        "text-embedding-3-small",
        "sentence-transformers/all-MiniLM-L6-v2",
        "acme_vectors_for_postgresql_16",
    )

    @pytest.mark.parametrize("key", KEYS)
    def test_are_not_shown(self, key):
        with pytest.raises(ValueError, match="'HOST' is a URL") as raised:
            check_host(key, "https://db.example")
        assert key not in str(raised.value)
        assert HIDDEN in str(raised.value)
        message = error(Secretive, NEEDED="", MAX_TOKENS=key)
        assert key not in message

    @pytest.mark.parametrize("name", NAMES)
    def test_names_and_hosts_are_shown(self, name):
        assert error(Secretive, NEEDED="", MAX_TOKENS=name).endswith(f"not {name!r}.")


class TestHeaders:
    @pytest.mark.parametrize("value", ["", "x", "open sesame", "Bearer a=b"])
    def test_that_can_be_sent(self, value):
        check_headers({"X-Proxy.of_1": value})

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("", "s3cret"),
            ("X Proxy", "s3cret"),
            ("X-Pröxy", "s3cret"),
            ("X-Proxy\n", "s3cret"),
            (":path", "s3cret"),
            ("X-Proxy-Bin", "s3cret"),
            ("X-Proxy", "s3cret\n"),
            ("X-Proxy", " s3cret"),
            ("X-Proxy", "s3cret "),
            ("X-Proxy", "s3crét"),
            ("X-Proxy", "s3\x00cret"),
        ],
    )
    def test_that_cannot(self, name, value):
        with pytest.raises(ValueError, match=f"^'HEADERS': .*{re.escape(repr(name))}") as raised:
            check_headers({"X-Fine": "s3cret", name: value})
        assert "s3" not in str(raised.value)


@pytest.mark.parametrize(
    "host",
    [
        "https://me:hunter2@acme.example.com",
        "me:hunter2@acme.example.com",
        "hunter2@acme.example.com:6333",
        "//me:hunter2@acme.example.com",
        "https://acme.example.com?key=hunter2",
        "https://acme.example.com#hunter2",
    ],
)
def test_a_secret_in_a_host_is_refused_and_not_shown(host):
    with pytest.raises(ValueError, match="'HOST'") as caught:
        check_host(host, "https://acme.example.com")
    assert "hunter2" not in str(caught.value)


EXAMPLE = "https://acme.example.com"


@pytest.mark.parametrize(
    "host",
    [
        "http://localhost",
        "http://localhost:1",
        "https://acme.example.com:65535/v1",
        "https://acme.example.com./v1/",
        "http://vector_db:6333",
        "http://127.0.0.1:8000",
        "http://[::1]:8000",
        "https://b\u00fccher.example",
    ],
)
def test_a_host_that_a_client_can_use(host):
    assert check_host(host, EXAMPLE).hostname


@pytest.mark.parametrize("place", [0, 5, 12, 24, 35])
@pytest.mark.parametrize(
    "character", [" ", "\n", "\r\n", "\t", "\u00a0", "\u200b", "\ufeff", "\x00"]
)
def test_white_space_in_a_host_is_refused(place, character):
    host = "https://acme.example.com:6333/v1/abc"
    host = f"{host[:place]}{character}{host[place:]}"
    with pytest.raises(ValueError, match=r"'HOST' contains a space, a line break or an invis"):
        check_host(host, EXAMPLE)


@pytest.mark.parametrize(
    "host",
    [
        "https://acme.example.com:0",
        "https://acme.example.com:65536",
        "https://acme.example.com:99999/v1",
        "https://acme.example.com:-1",
        "https://acme.example.com:",
        "https://acme.example.com:port",
        "https://:6333",
        "https://",
        "https:///v1",
        "https://.example.com",
        "https://acme..example.com",
        "https://.",
        "https://acme.example.com..",
        f"https://{'a' * 64}.example.com",
        "https://one,two:6333",
        "https://acme\\example.com",
        "https://*.example.com",
        "acme.example.com:6333",
        "",
    ],
)
def test_a_host_without_a_name_or_port_that_can_be_is_refused(host):
    with pytest.raises(ValueError, match=r"'HOST' is a URL such as .*1 to 65535\.$"):
        check_host(host, EXAMPLE)


@dataclass(frozen=True, kw_only=True)
class WithFolder(Options):
    folder: str | Path | None = ""


@pytest.mark.parametrize("folder", ["models", "./models", "~/models", Path("models")])
def test_a_path_that_leads_elsewhere_in_each_process_is_refused(folder: Any) -> None:
    shown = re.escape(repr(str(folder)))
    with pytest.raises(ValueError, match=f"'FOLDER' must be an absolute path, not {shown}"):
        check_absolute(WithFolder(folder=folder), "folder")


@pytest.mark.parametrize("folder", ["", None, str(Path.cwd()), Path.cwd()])
def test_an_absolute_path_or_none_is_taken(folder: Any) -> None:
    check_absolute(WithFolder(folder=folder), "folder")
