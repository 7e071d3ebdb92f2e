"""The kit for backends of services, by the example of the documentation and an invented client."""

from __future__ import annotations

import asyncio
import inspect
import os
import re
import sys
import threading
import types
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID

import pytest

from wagtail_vector_index.backends.base import CollectionSpec, RecordBatch
from wagtail_vector_index.contract import Options
from wagtail_vector_index.contract.services import (
    Deadline,
    LateError,
    Pause,
    Request,
    Service,
    ServiceErrors,
    Together,
    Within,
    causes,
    client_timeout,
    repeated,
    said_in,
    unwritten,
    with_deadline,
)
from wagtail_vector_index.exceptions import (
    BackendRefused,
    BackendUnavailable,
    CollectionNotFound,
    WriteFailed,
)

retrying = pytest.importorskip("wagtail_vector_index.contract.services.retrying")

GUIDE = Path(__file__).parents[3] / "docs" / "how-to" / "write-a-backend.md"
KEY = "key-0123456789"
SPEC = CollectionSpec(name="some", dimensions=2, metric="dot")
IDS = [UUID(int=number) for number in range(1, 6)]
BATCH = RecordBatch.of(ids=IDS, vectors=[[float(n), 1.0] for n in range(5)])


class Server(types.ModuleType):
    """The invented library ``acme``, with its server in it."""

    class Error(Exception):
        pass

    class NotFound(Error):
        pass

    class ConnectionFailed(Error):
        pass

    def __init__(self):
        super().__init__("acme")
        self.tables, self.faults, self.asked, self.made, self.closed = {}, [], [], 0, 0
        self.together, self.most, self.lock = 0, 0, threading.Lock()
        server = self

        class Client:
            def __init__(self, host, key):
                server.made += 1

            def __getattr__(self, name):
                return lambda *arguments: server.ask(name, *arguments)

            def close(self):
                server.closed += 1

        class AsyncClient(Client):
            def __getattr__(self, name):
                async def method(*arguments):
                    with server.lock:
                        server.together += 1
                        server.most = max(server.most, server.together)
                    await asyncio.sleep(0.001)
                    server.together -= 1
                    return server.ask(name, *arguments)

                return method

            async def close(self):
                server.closed += 1

        self.Client, self.AsyncClient = Client, AsyncClient

    def ask(self, name, *arguments):
        self.asked.append(name)
        if self.faults and (fault := self.faults.pop(0)):
            raise fault
        if name == "names":
            return [*self.tables]
        table, *rest = arguments
        if name == "create":
            return self.tables.setdefault(table, {})
        if name == "drop":
            return self.tables.pop(table, None)
        if table not in self.tables:
            raise self.NotFound(table)
        return getattr(self, f"_{name}")(self.tables[table], *rest)

    def _put(self, rows, given):
        rows.update({row[0]: row for row in given})

    def _remove(self, rows, ids):
        for id in ids:
            rows.pop(id, None)

    def _nearest(self, rows, vector, limit, filter):
        found = [(id, sum(map(float.__mul__, row[1], vector))) for id, row in rows.items()]
        return sorted(found, key=lambda each: -each[1])[:limit]

    def _count(self, rows, filter):
        return len(rows)

    def _get(self, rows, id):
        return [rows[id]] if id in rows else []

    def _page(self, rows, size, after):
        ids = sorted(id for id in rows if after is None or id > after)
        page = [rows[id] for id in ids[:size]]
        return page, ids[size - 1] if len(ids) > size else None


@pytest.fixture
def acme(monkeypatch):
    server = Server()
    monkeypatch.setitem(sys.modules, "acme", server)
    return server


@pytest.fixture
def example():
    """The names of the guide's example."""
    [code] = re.findall(r"```python\n(# acme_backend.py\n.*?)```", GUIDE.read_text(), re.DOTALL)
    module = types.ModuleType("acme_backend")
    sys.modules["acme_backend"] = module
    exec(code, module.__dict__)  # the guide's code
    yield module
    del sys.modules["acme_backend"]


@pytest.fixture
def backend(acme, example, monkeypatch):
    monkeypatch.setattr(retrying, "FIRST_WAIT", 0.0)
    options = example.AcmeBackend.Options(host="https://acme.example.com", api_key=KEY)
    backend = example.AcmeBackend("default", options)
    yield backend
    backend.close()


class TestBackend:
    def test_with_threads(self, backend):
        backend.create(SPEC)
        backend.upsert(SPEC, BATCH)
        assert backend.collections() == ["some"]
        assert [match.id for match in backend.search(SPEC, [1.0, 0.0], limit=2)] == IDS[:2:-1]
        assert sorted(backend.get(SPEC, IDS[:3]).uuids) == IDS[:3]
        assert [len(page) for page in backend.scan(SPEC, batch_size=2)] == [2, 2, 1]
        backend.delete(SPEC, IDS[:2])
        assert backend.count(SPEC) == 3
        backend.optimize(SPEC)
        assert backend.health().message == "1 collections"
        backend.drop(SPEC)
        with pytest.raises(CollectionNotFound, match="'default': Acme at .* has no collection"):
            backend.count(SPEC)

    def test_with_an_event_loop(self, backend, acme):
        async def main():
            await backend.acreate(SPEC)
            await backend.aupsert(SPEC, BATCH)
            assert await backend.acollections() == ["some"]
            found = await backend.asearch(SPEC, [1.0, 0.0], limit=2)
            assert [match.id for match in found] == IDS[:2:-1]
            assert (await backend.aget(SPEC, IDS)).uuids == IDS
            assert [len(page) async for page in backend.ascan(SPEC, batch_size=2)] == [2, 2, 1]
            await backend.adelete(SPEC, IDS[:2])
            assert await backend.acount(SPEC) == 3
            await backend.aoptimize(SPEC)
            assert (await backend.ahealth()).ok
            await backend.adrop(SPEC)

        asyncio.run(main())
        assert (acme.made, acme.closed) == (1, 1)
        assert acme.most == 4  # requests of one `Together`

    def test_nothing_is_made_before_it_is_needed(self, backend, acme):
        assert backend.check() == []
        backend.close()
        assert not acme.made
        assert backend.collections() == []
        assert acme.made == 1

    def test_threads_share_one_client(self, backend, acme):
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: backend.collections(), range(40)))
        assert acme.made == 1

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
    @pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
    def test_a_child_process_makes_its_own_client(self, backend, acme):
        backend.collections()
        child = os.fork()
        if not child:
            backend.collections()
            os._exit(0 if (acme.made, acme.closed) == (2, 0) else 1)
        assert os.waitpid(child, 0)[1] == 0

    def test_aclose(self, backend, acme):
        async def main():
            await backend.acollections()
            await backend.aclose()
            assert acme.closed == 1
            assert await backend.acollections() == []

        asyncio.run(main())


class TestRetries:
    def test_what_passes_is_not_noticed(self, backend, acme):
        acme.faults = [acme.ConnectionFailed("reset")] * 3
        assert backend.collections() == []
        acme.faults = [acme.ConnectionFailed("reset")] * 3
        assert asyncio.run(backend.acollections()) == []
        assert acme.asked == ["names"] * 8

    def test_attempts_end(self, backend, acme):
        acme.faults = [acme.ConnectionFailed("reset")] * 9
        with pytest.raises(BackendUnavailable, match="cannot be reached. Check HOST. It says: r"):
            backend.collections()
        assert len(acme.asked) == 4

    def test_a_refusal_is_not_tried_again(self, backend, acme):
        acme.faults = [acme.Error("no")]
        with pytest.raises(BackendRefused, match=r"refuses the request. It says: no\."):
            asyncio.run(backend.acollections())
        assert len(acme.asked) == 1

    def test_reads_end_at_the_deadline_and_writes_at_their_limit(self, example, acme):
        options = example.AcmeBackend.Options(host="https://a", timeout=0.05)
        backend = example.AcmeBackend("default", options)
        for operation in (backend.collections, lambda: backend.create(SPEC)):
            acme.faults = [acme.ConnectionFailed("reset")] * 9
            with pytest.raises(BackendUnavailable, match="cannot be reached"):
                operation()
            assert len(acme.faults) == 8

        def longer():
            yield Within(60)
            yield from backend._operations.create(SPEC)

        acme.faults = [acme.ConnectionFailed("reset")]
        backend._service.run(longer())
        assert not acme.faults

    def test_what_is_getting_ready_is_awaited_until_the_deadline(self, backend, acme):
        backend._service.errors.is_getting_ready = lambda error: True
        acme.faults = [acme.ConnectionFailed("starting")] * 20
        assert backend.collections() == []

    @pytest.mark.parametrize("seconds", [0.0, -1.0])
    def test_the_service_says_how_long_to_wait(self, backend, acme, seconds):
        asked = []
        backend._service.errors.retry_after = lambda error: asked.append(error) or seconds
        acme.faults = [acme.ConnectionFailed("busy")]
        backend.collections()
        assert len(asked) == 1

    def test_a_bug_is_neither_explained_nor_tried_again(self, backend, acme):
        acme.faults = [TypeError("a bug")]
        with pytest.raises(TypeError, match="a bug"):
            backend.collections()
        assert len(acme.asked) == 1


class TestErrors:
    @pytest.fixture
    def errors(self, backend):
        return backend._service.errors

    def test_a_secret_is_gone_before_a_quote_is_cut(self, errors):
        text = "x" * (errors.longest_quote - 5) + KEY + "y" * 1_000
        message = errors.sentence("fails", text)
        assert KEY[:5] not in message
        assert " … " in message
        assert "\n" not in errors.sentence("a\nb", "c\nd")

    @pytest.mark.parametrize("told", ["plain", KEY])
    def test_the_cause_is_chained_unless_it_shows_a_secret(self, errors, told):
        cause = ValueError("outer")
        cause.__cause__ = KeyError(told)
        error = errors.make(BackendRefused, "refuses", cause=cause)
        assert (error.__cause__ is cause) is (told == "plain")
        assert error.__context__ is None
        assert [*causes(cause)] == [cause, cause.__cause__]

    def test_a_secret_among_the_attributes_counts(self, errors):
        cause = ValueError("fine")
        cause.body = {"echo": KEY}
        assert errors.make(BackendRefused, "refuses", cause=cause).__cause__ is None

    def test_nothing_else_is_chained(self, backend, acme):
        acme.faults = [acme.Error(KEY)]
        with pytest.raises(BackendRefused) as raised:
            backend.collections()
        assert KEY not in str(raised.value)
        assert raised.value.__cause__ is raised.value.__context__ is None

    @pytest.mark.parametrize(
        ("body", "said"),
        [
            ({"message": "no"}, "no"),
            ({"status": {"error": "no"}}, "no"),
            ([{"message": "a"}, {"error": {"detail": "b"}}], "a b"),
            ("<html>", "(an HTML page)"),
            ({"other": 1}, "{'other': 1}"),
            (None, ""),
        ],
    )
    def test_the_services_own_words(self, body, said):
        assert said_in(body) == said

    def test_records_that_were_not_written(self):
        late, no = BackendUnavailable("late"), BackendRefused("no")
        assert isinstance(unwritten("m", IDS, late), BackendUnavailable)
        assert isinstance(unwritten("m", IDS, no), BackendRefused)
        assert type(unwritten("m", IDS, None)) is WriteFailed
        assert unwritten("m", IDS, late).ids == tuple(IDS)


class TestRunning:
    def test_together_keeps_the_order_and_gives_errors_as_outcomes(self, backend, acme, example):
        backend.create(SPEC)

        def steps():
            names = ["some", "none", "some"]
            return (yield Together([lambda n=n: example.call("count", n, None) for n in names]))

        for outcomes in (backend._run(steps()), asyncio.run(backend._arun(steps()))):
            assert (outcomes[0], outcomes[2]) == (0, 0)
            assert isinstance(outcomes[1], CollectionNotFound)

    def test_pauses(self, backend, monkeypatch):
        slept = []

        async def asleep(seconds):
            slept.append(seconds)

        monkeypatch.setattr("time.sleep", slept.append)
        monkeypatch.setattr("asyncio.sleep", asleep)

        def steps():
            return (yield Pause(7.0))

        assert backend._run(steps()) is None
        assert asyncio.run(backend._arun(steps())) is None
        assert slept == [7.0, 7.0]

    def test_repeated_until(self):
        limits = {"timeout": 60, "each": 5, "first": 1, "longest": 3}
        steps = repeated("look", lambda answer: answer == 3, **limits)
        seen, looks = [], iter(range(4))
        request = next(steps)
        with pytest.raises(StopIteration) as end:
            while True:
                seen.append(request)
                request = steps.send(next(looks) if request == "look" else None)
        assert end.value.value == 3
        pauses = [[Within(pause), Pause(pause)] for pause in (1, 2, 3)]
        look = [Within(5), "look"]
        assert seen == [*look, *pauses[0], *look, *pauses[1], *look, *pauses[2], *look]

    def test_repeated_gives_up_with_the_last_answer(self):
        steps = repeated("look", bool, timeout=0, each=5, first=1, longest=3)
        assert next(steps) == Within(5)
        assert steps.send(None) == "look"
        with pytest.raises(StopIteration) as end:
            steps.send(0)
        assert end.value.value == 0

    def test_no_more_requests_use_a_client_than_it_has_connections(self):
        now, most, lock = [0], [0], threading.Lock()

        class Errors(ServiceErrors):
            def explain(self, error, request):
                return error

        class Client:
            def close(self):
                pass

        class Narrow(Service):
            def connect(self):
                return Client()

            aconnect = connect

            def send(self, client, request):
                with lock:
                    now[0] += 1
                    most[0] = max(most[0], now[0])
                threading.Event().wait(0.005)
                with lock:
                    now[0] -= 1

        service = Narrow(Errors("here", None), timeout=1, concurrency=9, connections=2)

        def requests():
            yield Together([Request] * 9)

        service.run(requests())
        assert most == [2]

    @pytest.mark.parametrize("error", [ImportError("no socksio"), FileNotFoundError(2, "No file")])
    def test_a_client_that_cannot_be_made(self, error, monkeypatch):
        monkeypatch.setenv("SSL_CERT_FILE", "/no/such/file.pem")

        class Errors(ServiceErrors):
            def explain(self, error, request):
                return error

        class Broken(Service):
            def connect(self):
                raise error

            aconnect = connect

            def send(self, client, request):
                raise AssertionError

        def requests():
            return (yield Request())

        service = Broken(Errors("Vector backend 'default':", Options()), timeout=1)
        for run in (service.run, lambda steps: asyncio.run(service.arun(steps))):
            with pytest.raises(BackendRefused, match="its client cannot be made: ") as raised:
                run(requests())
            assert raised.value.__cause__ is error
            assert str(raised.value).startswith("Vector backend 'default': cannot be used")
            assert ("SSL_CERT_FILE" in str(raised.value)) is isinstance(error, OSError)

    def test_operations_without_io_are_generators(self, example):
        for name in ("create", "search", "page"):
            assert inspect.isgeneratorfunction(getattr(example.AcmeOperations, name))


class TestLimits:
    """A service that never answers, until the test ends."""

    @pytest.fixture
    def service(self):
        ended, sent = threading.Event(), []

        class Errors(ServiceErrors):
            def explain(self, error, request):
                if isinstance(error, LateError):
                    return BackendUnavailable(f"late: {error.seconds:g}")
                return error

        class Client:
            def close(self):
                pass

        class AsyncClient:
            async def close(self):
                pass

        class Silent(Service):
            def connect(self):
                return Client()

            def aconnect(self):
                return AsyncClient()

            def send(self, client, request):
                sent.append(request)
                return asyncio.sleep(60) if isinstance(client, AsyncClient) else ended.wait(60)

        service = Silent(Errors("here", None), timeout=60, concurrency=2)
        service.sent = sent
        yield service
        ended.set()

    @pytest.fixture(params=["run", "arun"])
    def run(self, request, service):
        if request.param == "run":
            return service.run
        return lambda steps: asyncio.run(service.arun(steps))

    def test_an_operation_ends_with_its_limit(self, service, run):
        def steps():
            yield Pause(0)
            return (yield Request())

        with pytest.raises(BackendUnavailable, match=r"late: 0\.1"):
            run(with_deadline(steps(), 0.1))
        assert len(service.sent) == 1

    def test_what_an_attempt_ended_with_is_told_if_there_is_no_time_for_another(self, service, run):
        def fail(client, request):
            service.send = silent
            raise BackendUnavailable("the key has expired")

        silent, service.send = service.send, fail

        def steps():
            return (yield Request())

        with pytest.raises(BackendUnavailable, match="the key has expired"):
            run(with_deadline(steps(), 0.5))
        assert len(service.sent) == 1

    def test_requests_together_have_one_limit(self, service, run):
        def steps():
            outcomes = yield Together([Request] * 50)
            yield Pause(60)
            return outcomes

        outcomes = run(with_deadline(steps(), 1))
        assert [str(outcome) for outcome in outcomes] == ["late: 1"] * 50
        assert len(service.sent) == 2

    def test_an_operation_may_set_a_limit_of_its_own(self, run):
        def steps():
            yield Within(0.2)
            yield Request()

        with pytest.raises(BackendUnavailable, match=r"late: 0\.2"):
            run(with_deadline(steps(), 50))

    def test_a_client_may_wait_for_as_long_as_the_operation_takes(self, service, run):
        told = []

        def send(client, request):
            told.append(client_timeout())
            return asyncio.sleep(0) if asyncio.iscoroutinefunction(client.close) else None

        service.send = send

        def steps():
            yield Request()
            yield Within(500)
            yield Together([lambda: Request(writes=True)] * 2)

        run(steps())
        assert [round(seconds, -1) for seconds in told] == [60, 500, 500]
        # A moment longer, so that the operation's own deadline ends it.
        assert told[1] > 500
        assert client_timeout() is None

    def test_the_option_that_set_the_limit_is_named(self):
        class Timed(Options):
            timeout, write_timeout = 5, 60

        class Errors(ServiceErrors):
            def explain(self, error, request):
                return error

        def told(seconds, *, writes=False):
            return str(errors.explained(LateError(seconds), Request(writes=writes)))

        errors = Errors("Here", Timed())
        assert told(5).endswith("Check whether it is up; otherwise raise TIMEOUT.")
        assert told(60).endswith("raise WRITE_TIMEOUT.")  # a read within a bulk write
        assert told(600).endswith("within 600 seconds. Check whether it is up.")
        Timed.timeout = 60
        assert told(60).endswith("raise TIMEOUT.")
        assert told(60, writes=True).endswith("raise WRITE_TIMEOUT.")

    def test_each_part_of_a_stream_has_the_limit(self):
        ended, deadline, parts = threading.Event(), Deadline(), []

        def stream():
            yield from range(3)
            ended.wait(60)

        deadline.set(60)
        with pytest.raises(LateError):
            for part in deadline.each(stream()):
                parts.append(part)
                deadline.set(0.1 if part == 2 else 60)
        ended.set()
        assert parts == [0, 1, 2]

    def test_each_part_of_a_stream_has_the_limit_on_a_loop(self):
        deadline, parts = Deadline(), []

        async def stream():
            for part in range(3):
                yield part
            await asyncio.sleep(60)

        async def read():
            async for part in deadline.aeach(stream()):
                parts.append(part)
                deadline.set(0.1 if part == 2 else 60)

        deadline.set(60)
        with pytest.raises(LateError):
            asyncio.run(read())
        assert parts == [0, 1, 2]

    def test_an_error_within_the_limit_is_the_error(self, service, run):
        def fail(client, request):
            raise TimeoutError("the service's own")

        async def afail(client, request):
            fail(client, request)

        def send(client, request):
            is_async = asyncio.iscoroutinefunction(client.close)
            return (afail if is_async else fail)(client, request)

        service.send = send

        def steps():
            return (yield Request())

        with pytest.raises(TimeoutError, match="own"):
            run(with_deadline(steps(), 50))

    @pytest.mark.parametrize("explains", [True, False])
    def test_the_time_out_of_the_service_is_the_limit_by_default(self, service, run, explains):
        service._timeout = 0.1
        if not explains:
            service.errors.explain = lambda error, request: error
            service.errors._options = Options()

        def steps():
            yield Pause(0)
            return (yield Request())

        expected = r"late: 0\.1" if explains else r"here did not answer within 0\.1 seconds"
        with pytest.raises(BackendUnavailable, match=expected):
            run(steps())

    def test_what_undoes_an_attempt_has_the_same_limit(self, service, run):
        def undo():
            yield Pause(60)

        def fail(client, request):
            raise BackendUnavailable("no")

        service.send = fail

        def steps():
            return (yield Request(writes=True, undo=undo))

        with pytest.raises(BackendUnavailable):
            run(with_deadline(steps(), 0.5))
