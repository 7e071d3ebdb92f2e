"""Unusual failures, at the calls that a test chooses."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Fault:
    """What goes wrong, and when.

    Args:
        kind: ``refuse`` (nothing is done, the connection breaks), ``drop`` (it is done, and the
            answer is lost), ``delay``, ``401``, ``403``, ``429``, ``500``, ``partial``
            (some records of a batch are not written), or ``crash`` (a batch is stored, but not
            indexed, and the answer is lost).
        at: the number of calls that go well before.
        times: how many fail, of those that follow.
        on: the method of gRPC, or of HTTP with the path's first part, that is meant; or any.
        seconds: of a ``delay``. A call that is still delayed when a test resets the faults is not
            done any more: what it would change belongs to the next test.
        text: what the server says.
        ids: of a ``partial`` failure.
    """

    kind: str
    at: int = 0
    times: int = 1
    on: str = ""
    seconds: float = 30.0
    text: str = "told to fail"
    ids: tuple[str, ...] = ()
    given_up: threading.Event = field(default_factory=threading.Event)

    def delay(self) -> bool:
        """Wait as long as is said; whether the call is to be done then."""
        return not self.given_up.wait(self.seconds)


class Faults:
    """Counts calls, and says of each whether it fails."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def reset(self, faults: list[dict[str, Any]]) -> None:
        """Begin to count anew, with other faults; give up delayed calls."""
        with self._lock:
            for fault in self._faults:
                fault.given_up.set()
            self.calls = []
            self._faults = [Fault(**given) for given in faults]

    def next(self, name: str) -> Fault | None:
        """What goes wrong with the call that has come now."""
        with self._lock:
            self.calls.append(name)
            for fault in self._faults:
                if not name.startswith(fault.on) or fault.times == 0:
                    continue
                if fault.at:
                    fault.at -= 1
                    continue
                fault.times -= 1
                return fault
        return None
