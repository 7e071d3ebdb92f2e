"""Records outlive an instance of the backend, and a fork harms neither process."""

from __future__ import annotations

import os
import signal
import time
import traceback
import warnings
from collections.abc import Callable

from wagtail_vector_index.contract import CollectionSpec

from .capabilities import FORKS, PERSISTENT
from .examples import id_of
from .expect import expect, expect_equal, expect_ids
from .harness import Harness
from .rules import about

__all__ = ["ProcessTests"]

QUERY = [1.0, 2.0, 3.0, 4.0]

#: The report of a child process that ran to its end.
_DONE = "done"


class ProcessTests(Harness):
    #: The number of seconds that a child process may take.
    fork_timeout = 30.0

    @about("persistence-is-declared")
    def test_records_outlive_the_instance(self) -> None:
        self.need(PERSISTENT, self.backend.persistent)
        spec = self.collection(fields={"n": "int"})
        self.describe(spec, {"a": {"n": 1}})
        self.backend.close()
        other = self.make_backend()
        try:
            other.create(spec)
            expect(spec.name in other.collections(), "Another instance sees the collection.")
            expect_equal(other.count(spec), 1, "Another instance sees the records.")
            other.delete(spec, [id_of("a")])
        finally:
            other.close()
        expect_equal(
            self.backend.count(spec),
            0,
            "A record that another instance deletes is gone in this one.",
        )

    @about("persistence-is-declared")
    def test_instances_in_one_process_are_apart_unless_persistent(self) -> None:
        spec = self.collection()
        self.put(spec, {"a": QUERY})
        other = self.make_backend()
        try:
            listed = spec.name in other.collections()
        finally:
            other.close()
        rule = "Instances share their collections if persistent is True, and only then."
        expect_equal(listed, self.backend.persistent, rule)

    @about("forks-harm-nobody")
    def test_fork(self) -> None:
        spec = self.collection()
        self.put(spec, {"a": QUERY})
        made, reshaped = self.spec(), self.collection(dimensions=2)
        shape = self.spec(name=reshaped.name, dimensions=3)
        # The parent asks first, and could remember the answers.
        self.seen_by_the_parent(spec, ["a"])
        expect(made.name not in self.backend.collections(), "Nobody has created this collection.")
        self.put(reshaped, {"a": [1.0, 2.0]})

        def work() -> None:
            self.work_in_child(spec)
            self.backend.create(made)
            self.backend.drop(reshaped)
            self.backend.create(shape)
            self.put(shape, {"of the child": [1.0, 2.0, 3.0]})
            self.backend.close()

        self.in_child(work)
        if self.backend.persistent:
            rule = "A parent sees the collections and shapes that its child changed."
            expect(made.name in self.backend.collections(), rule)
            expect_ids(self.names(shape), [id_of("of the child")], rule, "search()")
            self.put(shape, {"a": [3.0, 2.0, 1.0]})
            expect_equal(self.backend.count(shape), 2, rule)
        names = ["a", "of the child"] if self.backend.persistent else ["a"]
        self.seen_by_the_parent(spec, names)
        found = [match.id for match in self.backend.search(spec, QUERY, limit=1)]
        expect_equal(found, [id_of("a")], "After a fork, the parent's backend still works.")
        self.put(spec, {"b": QUERY})
        expected = 3 if self.backend.persistent else 2
        rule = "The parent sees a child's writes if the backend is persistent, and only then."
        expect_equal(self.backend.count(spec), expected, rule)

    def seen_by_the_parent(self, spec: CollectionSpec, names: list[str]) -> None:
        """Fail unless every kind of read gives exactly these records."""
        rule = "A parent sees its child's writes if the backend is persistent, and only then."
        ids = [id_of(name) for name in names]
        expect_equal(self.backend.count(spec), len(ids), f"{rule} count():")
        expect_ids(self.names(spec), ids, rule, "search()")
        expect_ids(self.stored(spec), ids, rule, "scan()")
        got = self.backend.get(spec, [id_of("a"), id_of("of the child")])
        expect_ids(got.uuids, ids, rule, "get()")

    def work_in_child(self, spec: CollectionSpec) -> None:
        if self.backend.persistent:
            # The settings' handler does the same: no instance is used in a child process.
            self.__dict__["backend"] = self.make_backend()
        expect_equal(self.backend.count(spec), 1, "The child sees the records.")
        self.put(spec, {"of the child": [4.0, 3.0, 2.0, 1.0]})
        expect_equal(len(self.names(spec)), 2, "The child can write and search.")
        self.backend.close()

    def in_child(self, task: Callable[[], None]) -> None:
        """Run a task in a forked process; fail with its traceback, or if it hangs."""
        self.need(FORKS, hasattr(os, "fork"))
        reading, writing = os.pipe()
        with warnings.catch_warnings():
            # Python warns of forks in a process with threads, which this test makes on purpose.
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if child == 0:
            report = "unknown"
            try:
                task()
                report = _DONE
            except BaseException:  # noqa: BLE001  # any error, which the parent reports
                report = traceback.format_exc()
            finally:
                os.write(writing, report.encode()[-60_000:])
                os._exit(0)
        os.close(writing)
        ended = self.wait_for(child)
        with os.fdopen(reading, "rb") as pipe:
            report = pipe.read().decode(errors="replace")
        expect(ended, f"The child process was still busy after {self.fork_timeout} s.")
        expect(report, f"The child process {ended}.")
        expect(report == _DONE, f"The backend failed in a child process:\n{report}")

    def wait_for(self, child: int) -> str:
        """Return how a child process ended, or "" if it had to be killed in the end."""
        deadline = time.monotonic() + self.fork_timeout
        while (found := os.waitpid(child, os.WNOHANG)) == (0, 0):
            if time.monotonic() > deadline:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                return ""
            time.sleep(0.002)
        code = os.waitstatus_to_exitcode(found[1])
        if code >= 0:
            return f"exited with {code}"
        names = {each.value: f" ({each.name})" for each in signal.Signals}
        return f"was killed by signal {-code}{names.get(-code, '')}"
