import ctypes
import os
import pickle
import threading
import warnings

import pytest

from wagtail_vector_index.contract.services import Deadline, LateError, waiting


@pytest.fixture
def deadline():
    deadline = Deadline()
    deadline.set(60)
    return deadline


@pytest.fixture(autouse=True)
def no_idle_threads():
    waiting.end_idle()
    yield
    waiting.end_idle()


def test_one_call_after_another_takes_the_same_thread(deadline):
    threads = {deadline.within(threading.current_thread) for _ in range(5)}
    assert len(threads) == 1
    assert threading.current_thread() not in threads


def test_calls_at_once_have_a_thread_each(deadline):
    both, threads = threading.Barrier(2), []

    def call():
        both.wait(60)
        return threading.current_thread()

    callers = [
        threading.Thread(target=lambda: threads.append(deadline.within(call))) for _ in range(2)
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert len(set(threads)) == 2


def test_a_call_that_hangs_holds_up_no_other(deadline):
    hung, answered = threading.Event(), threading.Event()

    def hang():
        answered.wait(60)
        hung.set()

    deadline.set(0.05)
    with pytest.raises(LateError):
        deadline.within(hang)
    deadline.set(60)
    assert deadline.within(lambda: 1) == 1
    answered.set()
    assert hung.wait(60)


def test_a_thread_takes_calls_after_an_error(deadline):
    def fail():
        raise ValueError(threading.current_thread().name)

    with pytest.raises(ValueError, match="waiting for a service"):
        deadline.within(fail)
    assert deadline.within(lambda: 1) == 1


def test_a_thread_without_calls_ends(deadline, monkeypatch):
    monkeypatch.setattr(waiting, "IDLE", 0.01)
    thread = deadline.within(threading.current_thread)
    thread.join(60)
    assert not thread.is_alive()
    assert deadline.within(threading.current_thread) is not thread


def test_a_greenlet_is_not_kept(deadline, monkeypatch):
    """Under gevent, a "thread" is a greenlet of the caller's thread, and wakes up only there."""
    monkeypatch.setattr(threading, "get_native_id", lambda: 1)
    thread = deadline.within(threading.current_thread)
    thread.join(60)
    assert not thread.is_alive()
    assert deadline.within(lambda: 1) == 1


can_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")


@can_fork
def test_forks_are_not_warned_of_and_the_child_has_its_own_threads(deadline):
    thread = deadline.within(threading.current_thread)
    with warnings.catch_warnings():
        # Python warns since 3.12, if there is another thread.
        warnings.simplefilter("error")
        child = os.fork()
        if not child:
            exit_with_the_answer(deadline)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert not thread.is_alive()
    assert deadline.within(lambda: 1) == 1


@can_fork
def test_a_server_may_fork_in_c(deadline):
    """As uWSGI does: none of Python's hooks runs."""
    deadline.within(threading.current_thread)
    if not (child := ctypes.PyDLL(None).fork()):
        exit_with_the_answer(deadline)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def exit_with_the_answer(deadline):
    """End this process with 0, or with 1 after an error."""
    code = 1
    try:
        deadline.set(10)
        code = deadline.within(lambda: 0)
    finally:
        os._exit(code)


def test_a_late_error_survives_a_journey_to_another_process():
    error = pickle.loads(pickle.dumps(LateError(2.5)))
    assert (str(error), error.seconds) == ("no answer within 2.5 s", 2.5)
