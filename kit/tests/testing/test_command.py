"""``python -m wagtail_vector_index.testing``."""

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

from tests.fake_distributions import make_site, offering
from wagtail_vector_index.backends.base import CollectionSpec
from wagtail_vector_index.testing.arguments import WrongUse, read_options, split
from wagtail_vector_index.testing.command import chosen_database, main
from wagtail_vector_index.testing.databases import InvalidDatabaseURL, database_at
from wagtail_vector_index.testing.rules import contract_url

from . import stores
from .forked import run_module
from .stores import FileBackend

HERE = Path(__file__).parent
KEY = "s3cret-0123456789"

PATH = {"PATH": "nowhere", "API_KEY": KEY}

#: What a site has in the same store.
THEIRS = CollectionSpec(name="site_pages", dimensions=3)


@pytest.fixture
def store(tmp_path):
    """A file with a collection of somebody else's."""
    path = tmp_path / "store"
    FileBackend("site", FileBackend.Options(path=str(path))).create(THEIRS)
    return path


@pytest.fixture
def command(store, tmp_path):
    """Runs the command on a backend of stores.py; nothing it says may hold the key."""

    def run(backend, *words, **environment):
        options = tmp_path / "options.json"
        options.write_text(json.dumps({"PATH": str(store), "API_KEY": KEY}))
        return told(f"stores.{backend}", f"--options=@{options}", "--", *words, **environment)

    return run


def told(*words, folder=HERE, **environment):
    """The status of the command and all that it says."""
    status, said = run_module(
        "wagtail_vector_index.testing", words, folder, os.environ | environment
    )
    assert KEY not in said
    return status, said


def names(store):
    return list(pickle.loads(store.read_bytes()))


def test_a_right_backend_passes_what_it_declares(command, store):
    # What the environment wants of pytest does not matter.
    status, said = command(
        "CosineOnly", "-k", "isolation or outlive or new_coll", PYTEST_ADDOPTS="--no-such-option"
    )
    assert status == 0, said
    assert "TestBackend: 11 passed, 2 skipped, 0 failed" in said
    assert "skipped, since metrics does not declare 'dot':\n    test_new_coll" in said
    assert "none left behind" in said
    assert names(store) == [THEIRS.name]


def test_a_broken_rule_is_told_with_its_paragraph_and_without_secrets(command, store):
    status, said = command("Telling", "-k", "test_count and not asynchronous or test_score")
    assert status == 1, said
    assert "RuntimeError: refused: the key ******** is wrong" in said
    assert "asking with ********" in said
    assert "The rule: A count is the number of records that match." in said
    assert f"broken: {contract_url('counts-are-exact')}\n    test_count[synchronous]\n" in said
    assert names(store) == [THEIRS.name]


def test_it_runs_in_one_process(command, store):
    pytest.importorskip("xdist")
    status, said = command("FileBackend", "-p", "xdist", "-n", "2", "-k", "test_count")
    assert status == 2, said
    assert "This command runs its tests in one process" in said
    assert names(store) == [THEIRS.name]


def test_what_a_test_left_behind_is_dropped_at_the_end(command, store):
    status, said = command("DropsLate", "-k", "test_count")
    assert status == 1, said
    assert "the server is busy" in said
    assert "none left behind" in said
    assert names(store) == [THEIRS.name]


def test_what_cannot_be_dropped_is_named(command, store):
    status, said = command("DropsNever", "-k", "test_count and not asynchronous")
    assert status == 1, said
    [left] = set(names(store)) - {THEIRS.name}
    assert f"Not dropped: {left}" in said
    assert left.startswith("conformance")
    assert "the key ******** may not drop" in said


def test_a_run_of_the_command_can_be_thorough(tmp_path):
    name = "wagtail_vector_index.testing.OracleBackend"
    chosen = ("--", "-k", "test_many_are_counted and asynchronous", "--durations=1", "-vv")
    status, said = told(name, "--thorough", *chosen)
    assert status == 0, said
    assert "1 passed" in said


@pytest.mark.parametrize(
    ("backend", "options", "status", "message"),
    [
        ("no_such_backend", {}, 2, "no installed plugin offers a vector backend named"),
        ("no.such.Backend", {}, 2, "there is no module 'no'"),
        (f"{stores.__name__}.Missing", {}, 2, "Missing cannot be imported: AttributeError"),
        (f"{stores.__name__}.NOT_A_BACKEND", {}, 2, "NOT_A_BACKEND is not a subclass of"),
        (f"{stores.__name__}.FileBackend", {}, 2, "'PATH' is missing"),
        (f"{stores.__name__}.FileBackend", {"PAHT": KEY}, 2, "Did you mean 'PATH'?"),
        (f"{stores.__name__}.Misconfigured", PATH, 2, "This cannot work. Set PATH to a file."),
        (f"{stores.__name__}.Away", PATH, 3, "BackendUnavailable: no answer to ********"),
    ],
)
def test_a_backend_that_cannot_be_tested(backend, options, status, message, capsys, monkeypatch):
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", settings.SETTINGS_MODULE)
    words = [backend, "--options", json.dumps(options), "--settings", settings.SETTINGS_MODULE]
    assert main(words) == status
    said = capsys.readouterr().err
    assert message in said
    assert KEY not in said


@pytest.mark.parametrize(
    ("name", "kind", "suite"),
    [
        ("wordllama", "an embedding", "EmbeddingBackendConformance"),
        ("acme", "a reranking", "RerankingBackendConformance"),
        ("acme.Reranker", "a reranking", "RerankingBackendConformance"),
    ],
)
def test_a_backend_of_another_kind(name, kind, suite, tmp_path, monkeypatch, capsys):
    for site in make_site(tmp_path, monkeypatch):
        plugin = offering("reranking", acme='path="acme.Reranker"')
        site.install("acme", {"acme": "acme_plugin"}, acme_plugin=plugin)
        assert main([name]) == 2
    assert capsys.readouterr().err.endswith(
        f"{name!r} is {kind} backend, not a vector one. Write a test class that derives from"
        f" wagtail_vector_index.testing.{suite}, and run it with pytest.\n"
    )


def test_settings_that_are_not_there(capsys, monkeypatch):
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", settings.SETTINGS_MODULE)
    assert main(["numpy", "--settings", "no_such_settings"]) == 2
    assert "--settings no_such_settings: ModuleNotFoundError" in capsys.readouterr().err


def test_a_database_that_cannot_be_reached():
    pytest.importorskip("psycopg")
    url = f"postgres://me:{KEY}@127.0.0.1:1/none"
    status, said = told(
        "stores.FileBackend", "--options", '{"PATH": "nowhere"}', "--database-url", url
    )
    assert status == 3, said
    assert "--database-url: OperationalError" in said


@pytest.mark.parametrize("missing", ["pytest", "hypothesis"])
def test_what_is_missing_is_named_with_its_remedy(missing, tmp_path):
    (tmp_path / f"{missing}.py").write_text("raise ImportError('it is not installed')")
    # In a new process, which has imported neither.
    done = subprocess.run(
        [sys.executable, "-m", "wagtail_vector_index.testing", "numpy"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "wagtail_vector_index.testing needs pytest and Hypothesis (it is not installed). Install"
        ' them with: pip install "wagtail-vector-index[testing]"\n'
    )


def test_help_says_what_is_touched(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert caught.value.code == 0
    assert 'creates collections under new names that begin with "conformance", and drops' in said
    assert "Nothing else on the server is read, changed or deleted" in said
    assert contract_url() in said


@pytest.mark.parametrize(
    "words",
    [["numpy", "--options", '{"API_KEY":', KEY], ["numpy", f"--api-key={KEY}"], [], ["a", KEY]],
)
def test_words_that_are_not_understood_are_not_repeated(words, capsys):
    with pytest.raises(SystemExit) as caught:
        main(words)
    said = capsys.readouterr().err
    assert caught.value.code == 2
    assert KEY not in said


def test_words_for_pytest_stand_behind_two_dashes():
    assert split(["numpy", "--", "-k", "--", "x"]) == (["numpy"], ["-k", "--", "x"])
    assert split(["numpy"]) == (["numpy"], [])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("{", r"^--options is not JSON: .* in line 1, column 2\. On Windows, put it into a file"),
        (f'{{"API_KEY": {KEY}}}', "^--options is not JSON"),
        ("[]", "^--options must be a JSON object"),
        ('{"BACKEND": "numpy"}', "the backend is the first argument"),
        ("@no-such-file", "no-such-file cannot be read: FileNotFoundError"),
    ],
)
def test_wrong_options(given, message):
    with pytest.raises(WrongUse, match=message) as caught:
        read_options(given)
    assert KEY not in str(caught.value)


def test_options_of_a_file_that_is_wrong_name_it(tmp_path):
    file = tmp_path / "acme.json"
    file.write_text('{"A": 1,}')
    with pytest.raises(WrongUse, match=r"acme\.json is not JSON"):
        read_options(f"@{file}")
    file.write_text('{"A": 1}')
    assert read_options(f"@{file}") == {"A": 1}
    file.write_bytes(b'{"A": "\xe4"}')
    with pytest.raises(WrongUse, match=r"acme\.json cannot be read: UnicodeDecodeError"):
        read_options(f"@{file}")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_options_of_a_file_that_windows_wrote(encoding, tmp_path):
    file = tmp_path / "acme.json"
    file.write_text('{"NAME": "größe"}', encoding=encoding)
    assert read_options(f"@{file}") == {"NAME": "größe"}


def test_words_whose_quotes_windows_removed_get_an_advice(capsys):
    with pytest.raises(SystemExit):
        main(["qdrant", "--options", "'{HOST:", "http://localhost:6333}'"])
    assert 'On Windows, put it into a file: --options "@options.json".' in capsys.readouterr().err


def test_database_urls():
    given = database_at("postgresql://m%40e:p%2Fw@db:5433/site?sslmode=require")
    assert (given["USER"], given["PASSWORD"], given["HOST"]) == ("m@e", "p/w", "db")
    assert (given["PORT"], given["NAME"]) == ("5433", "site")
    assert given["OPTIONS"] == {"sslmode": "require"}
    socket = database_at("postgres:///?host=/run/postgresql")
    assert (socket["HOST"], socket["NAME"], socket["PORT"]) == ("/run/postgresql", "postgres", "")


@pytest.mark.parametrize("url", [f"mysql://me:{KEY}@db/site", f"postgres://me:{KEY}@db:x/site"])
def test_wrong_database_urls_are_not_repeated(url):
    with pytest.raises(InvalidDatabaseURL) as caught:
        database_at(url)
    assert KEY not in str(caught.value)
    with pytest.raises(WrongUse, match="--database-url: "):
        chosen_database(url)
