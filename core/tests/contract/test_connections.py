"""Connections to a file are lent to one thread at a time, and kept for the next one."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from wagtail_vector_index.contract import FileConnections


class Connection:
    def __init__(self):
        self.closed = False

    def close(self):
        self.closed = True


@pytest.fixture
def made():
    return []


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "store"
    path.touch()
    return path


@pytest.fixture
def connections(file, made):
    def connect():
        made.append(Connection())
        return made[-1]

    return FileConnections(str(file), connect)


def test_a_connection_is_kept_for_the_next_caller(connections, made):
    with connections.lent() as first:
        pass
    with ThreadPoolExecutor(1) as pool, connections.lent() as second:
        assert second is first
        assert pool.submit(lambda: len(made)).result() == 1
    assert not first.closed


def test_no_two_threads_use_one_at_once(connections, made):
    barrier, used = threading.Barrier(4, timeout=20), []

    def use(_):
        with connections.lent() as connection:
            barrier.wait()
            used.append(connection)

    with ThreadPoolExecutor(4) as pool:
        for _ in range(2):
            list(pool.map(use, range(4)))
            assert len({*map(id, used[-4:])}) == 4
    assert len(made) == 4


def test_a_connection_is_closed_if_its_block_fails(connections, made):
    with pytest.raises(KeyError), connections.lent():
        raise KeyError("a broken statement")
    assert made[0].closed
    with connections.lent() as connection:
        assert connection is not made[0]


def test_close_closes_those_that_are_lent_when_they_come_back(connections, made):
    with connections.lent():
        pass
    with connections.lent(), connections.lent():
        connections.close()
        assert not any(connection.closed for connection in made)
    assert [connection.closed for connection in made] == [True, True]
    with connections.lent() as connection:
        assert not connection.closed


@pytest.mark.parametrize("is_gone", [False, True])
def test_another_file_in_its_place_is_opened(connections, made, file, is_gone):
    with connections.lent() as connection:
        pass
    if is_gone:
        file.unlink()
    else:
        other = file.with_name("other")
        other.touch()
        other.replace(file)
    with connections.lent() as following:
        assert following is not connection
    assert connection.closed


def test_a_file_that_the_first_connection_creates(file):
    file.unlink()

    def connect():
        file.touch()
        return Connection()

    connections = FileConnections(str(file), connect)
    with connections.lent() as first:
        pass
    with connections.lent() as second:
        assert second is first


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_child_process_leaves_the_connections_of_its_parent(connections, made):
    with connections.lent():
        pass
    child = os.fork()
    if not child:
        with connections.lent() as connection:
            right = connection is not made[0] and not made[0].closed
        connections.close()
        os._exit(0 if right and not made[0].closed else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    with connections.lent() as connection:
        assert connection is made[0]
