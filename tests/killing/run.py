"""One run of the kill test: ``python -m tests.killing.run KILLS SEED``.

Django is set up once; editors and indexers are forks of this process.
"""

import json
import os
import random
import signal
import sys
import traceback
from collections import Counter
from pathlib import Path

import django

INDEXERS = 4


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
    from tests.killing.indexing import INDEXES

    call_command("migrate", run_syncdb=True, verbosity=0)
    make_site()
    call_command("update_vector_indexes", *INDEXES, verbosity=0)


def judge(log, killed):
    from tests.killing.judging import judge as judged

    print(json.dumps({"kills": killed, **judged(log)}))


class Role:
    """Keeps processes of one kind running: until a process is killed, in ways that take turns."""

    def __init__(self, function, fates, number, seed):
        self.function = function
        self.fates = fates
        self.number = number
        self.chosen = random.Random(seed)
        self.next = []
        self.running = {}

    def killed(self, counts):
        return sum(counts[fate] for fate in self.fates)

    def fill(self):
        while len(self.running) < self.number:
            self.next = self.next or self.chosen.sample(list(self.fates), len(self.fates))
            fate = self.next.pop()
            self.running[fork(self.function, fate, self.chosen.random())] = fate


def kill(kills, seed):
    """Keep an editor and indexers running until so many were killed; how often in which way."""
    from tests.killing import editing, indexing

    roles = [
        Role(editing.edit_until_killed, editing.FATES, 1, seed),
        Role(indexing.index_until_killed, indexing.FATES, INDEXERS, seed),
    ]
    killed = Counter()
    # Editors are killed sooner than indexers.
    while killed.total() < kills or any(
        role.killed(killed) < max(kills // 4, len(role.fates)) for role in roles
    ):
        for role in roles:
            role.fill()
        process, status = os.wait()
        assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL, "a process failed; see above"
        (role,) = (role for role in roles if process in role.running)
        killed[role.running.pop(process)] += 1
    for process in [process for role in roles for process in role.running]:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
    return killed


def main(kills, seed):
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.killing.settings"
    django.setup()
    # Every process needs this module, which imports Hypothesis and pytest: here, once for all.
    import tests.killing.backends  # noqa: F401

    folder = Path(os.environ["SITE_FOLDER"])
    waited_for(fork(prepare))
    killed = kill(kills, seed)
    waited_for(fork(judge, folder / "embeddings.log", killed))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
