"""Each test of the suite names its rule, and its failures tell of it."""

import pytest

from wagtail_vector_index.testing import VectorBackendConformance
from wagtail_vector_index.testing.rules import RULES, about, contract_url, rule_of

from .runner import STATEFUL, cases_of

TESTS = [*dict.fromkeys(name for name, _ in cases_of()), STATEFUL]


@pytest.mark.parametrize("test", TESTS)
def test_each_test_names_a_rule(test):
    assert rule_of(VectorBackendConformance, test) in RULES


def test_each_rule_has_a_test():
    assert {rule_of(VectorBackendConformance, test) for test in TESTS} == set(RULES)


def test_a_test_that_is_replaced_keeps_its_rule():
    class Suite(VectorBackendConformance):
        def test_fork(self):
            """Another way to do it."""

        def test_of_its_own(self):
            """Not one of the suite's."""

    assert rule_of(Suite, "test_fork") == "forks-harm-nobody"
    assert rule_of(Suite, "test_of_its_own") == ""


def test_a_rule_must_exist():
    with pytest.raises(KeyError, match="no-such-rule"):
        about("no-such-rule")


@pytest.mark.parametrize("error", [AssertionError("as it is"), KeyError("of the backend")])
def test_a_failure_tells_of_its_rule(error):
    @about("limits")
    def test():
        raise error

    with pytest.raises(type(error)) as caught:
        test()
    assert caught.value is error
    assert caught.value.__notes__ == [
        f"The rule: {RULES['limits']}\nMore about it: {contract_url('limits')}"
    ]


def test_the_link_leads_to_the_documentation():
    assert contract_url("limits") == f"{contract_url()}#limits"
    assert contract_url().startswith("https://github.com/wagtail/wagtail-vector-index/")
    assert contract_url().endswith("/docs/contract.md")
