"""A backend gives the same answers as the oracle, after any operations in any order."""

from __future__ import annotations

from typing import ClassVar

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from .filtering import FIELDS
from .harness import Harness
from .rules import about
from .stateful import BackendMachine

__all__ = ["CongruenceTests"]


class CongruenceTests(Harness):
    #: How many runs, of how many steps. Each time, the steps are the same.
    stateful_settings: ClassVar[settings] = settings(
        max_examples=20,
        stateful_step_count=25,
        derandomize=True,
        database=None,
        deadline=None,
        print_blob=False,
        report_multiple_bugs=False,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )

    @about("any-order-of-operations")
    def test_behaves_like_the_oracle(self) -> None:
        metrics = sorted(self.backend.metrics)
        specs = [
            self.spec(metrics[0], dimensions=3, fields=FIELDS),
            self.spec(metrics[-1], dimensions=2, fields={"text": "str", "tags": "list[str]"}),
            self.spec(metrics[len(metrics) // 2], dimensions=2, fields={"number": "int"}),
        ]
        backend = self.backend

        class Machine(BackendMachine):
            def __init__(self) -> None:
                super().__init__(backend, specs)

        examples = self.stateful_settings.max_examples * (3 if self.thorough else 1)
        chosen = settings(self.stateful_settings, max_examples=examples)
        run_state_machine_as_test(Machine, settings=chosen)
