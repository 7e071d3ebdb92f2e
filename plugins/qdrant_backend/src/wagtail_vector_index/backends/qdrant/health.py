"""The health of a server: its version, and the state of its collections."""

from __future__ import annotations

from functools import partial
from importlib.metadata import version

from qdrant_client import models
from qdrant_client.common.version_check import is_compatible, parse_version

from wagtail_vector_index.backends.base import Health
from wagtail_vector_index.contract.sansio import Steps
from wagtail_vector_index.contract.services import Together, Within
from wagtail_vector_index.exceptions import BackendError

from .naming import own_name
from .options import QdrantOptions
from .service import Call, call

#: The oldest server that this backend works with.
OLDEST_SERVER = (1, 13)


def health(options: QdrantOptions) -> Steps[Health]:
    """Return the versions, the state of each collection, and the problems found."""
    client = version("qdrant-client")
    details = {"client": client}
    problems = []
    if not options.in_memory:
        server = (yield Call(method="info")).version
        details["server"] = server
        details["versions"] = _compatibility(client, server)
        problems += _problems(server)
        problems += yield from _problems_of_writing()
    found = (yield Call(method="get_collections")).collections
    named = ((each.name, own_name(options.collection_prefix, each.name)) for each in found)
    names = sorted(name for _, name in named if name is not None)
    states = yield Together([partial(call, options, name, "get_collection") for name in names])
    if not options.in_memory:
        yield Within(options.timeout)  # a node that hangs must not cost what was found above
    replicas = yield Together([partial(_of_all_replicas, options, name) for name in names])
    details["collections"] = str(len(names))
    for name, state, replica in zip(names, states, replicas, strict=True):
        if isinstance(state, BackendError):
            problems.append(f"{name}: {state}")
            continue
        if isinstance(replica, BackendError):
            problems.append(f"{name}: not all replicas answered: {replica}")
        details[name] = f"{state.points_count or 0} records, {state.status.value}"
        if state.status == models.CollectionStatus.RED:
            problems.append(f"{name} is red: {state.optimizer_status}")
    what = f"Qdrant {details['server']}" if "server" in details else "Qdrant's local mode"
    return Health(
        ok=not problems,
        message="; ".join([f"{what}, {len(names)} collections", *problems]),
        details=details,
    )


def _of_all_replicas(options: QdrantOptions, name: str) -> Call:
    """Return a small read that fails unless all replicas of all shards answer."""
    return call(
        options,
        name,
        "scroll",
        limit=1,
        with_payload=False,
        consistency=models.ReadConsistencyType.ALL,
        timeout=options.server_timeout,
    )


def _problems_of_writing() -> Steps[list[str]]:
    """Return why collections cannot be changed, found by a change of nothing."""
    try:
        yield Call(method="update_collection_aliases", arguments={"change_aliases_operations": []})
    except BackendError as error:
        return [f"it cannot be changed: {error}"]
    return []


def _compatibility(client: str, server: str) -> str:
    if is_compatible(client, server):
        return "compatible"
    return "client and server should not be more than one minor version apart"


def _problems(server: str) -> list[str]:
    try:
        found = parse_version(server)
    except ValueError:
        return [f"its version {server!r} cannot be read"]
    if (found.major, found.minor) >= OLDEST_SERVER:
        return []
    oldest = ".".join(map(str, OLDEST_SERVER))
    return [f"it is too old: update it to {oldest} or later"]
