"""One run of the kill test: ``python -m tests.killing.run KILLS SEED``.

Django is set up once; editor and indexers are forks of this process.
"""

import json
import os
import random
import signal
import sys
import traceback
from collections import Counter
from contextlib import suppress
from pathlib import Path

import django

INDEXERS = 2


def fork(function, *arguments):
    """Run a function in a process of its own, which ends with it."""
    process = os.fork()
    if process:
        return process
    status = 1
    try:
        function(*arguments)
        status = 0
    except BaseException:  # noqa: BLE001  # the parent must not run in two processes
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def waited_for(process):
    _, status = os.waitpid(process, 0)
    assert os.waitstatus_to_exitcode(status) == 0, "a process failed; see above"


def prepare():
    from django.core.management import call_command

    from tests.killing.editing import make_site

    call_command("migrate", run_syncdb=True, verbosity=0)
    make_site()


def edit(end, seed):
    from tests.killing.editing import edit_until

    print(f"{edit_until(end.exists, seed)} edits")


def judge(log, killed):
    from tests.killing.judging import judge as judged

    print(json.dumps({"kills": killed, **judged(log)}))


def kill_indexers(kills, seed):
    """Keep indexers running until so many were killed; how often in which way."""
    from tests.killing.indexing import FATES, index_until_killed

    chosen = random.Random(seed)
    fates, running, killed = [], {}, Counter()
    while killed.total() < kills:
        while len(running) < INDEXERS:
            fates = fates or chosen.sample(list(FATES), len(FATES))
            fate = fates.pop()
            running[fork(index_until_killed, fate, chosen.random())] = fate
        process, status = os.wait()
        assert process in running, "the editor failed; see above"
        assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL, "an indexer failed; see above"
        killed[running.pop(process)] += 1
    for process in running:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
    return killed


def main(kills, seed):
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.killing.settings"
    django.setup()
    folder = Path(os.environ["KILL_FOLDER"])
    waited_for(fork(prepare))
    editor = fork(edit, folder / "end", seed)
    try:
        killed = kill_indexers(kills, seed)
    finally:
        (folder / "end").touch()
    with suppress(ChildProcessError):
        waited_for(editor)
    waited_for(fork(judge, folder / "embeddings.log", killed))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
