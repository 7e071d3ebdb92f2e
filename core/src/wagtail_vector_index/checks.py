"""System checks of the configuration. They never use the network."""

from __future__ import annotations

import copy
import difflib
import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from django.apps import AppConfig, apps
from django.conf import settings
from django.core import checks
from django.db import Error, connections

from .conf import (
    AUTO_UPDATE_SETTING,
    BACKEND_SETTINGS,
    DISABLED_PLUGINS_SETTING,
    OWNER_SETTING,
    SETTING_PREFIX,
    SETTINGS,
    auto_update,
    owner,
)
from .content.without_database import DatabaseAsked, without_database
from .contract.options import Options
from .exceptions import ConfigurationError, InvalidIndex
from .indexes.base import VectorIndex
from .indexes.pages import PageVectorIndex
from .indexes.registry import all_indexes
from .indexing.ownership import current_owner, foreign_problem, owner_is_certain
from .indexing.plan import live_collections, outdated_by
from .models.mixin import VectorIndexedMixin
from .models.tables import Collection, index_database
from .models.tenants import has_tables
from .plugins.calling import active_registry
from .plugins.handlers import (
    HANDLERS,
    BackendHandler,
    chat_backends,
    embedding_backends,
    reranking_backends,
    vector_backends,
)
from .plugins.problems import problems
from .search.hybrid_search import check_fusion
from .search.reranking import check_reranking
from .wording import describe, listed, shown

SEARCH_BACKEND = "wagtail_vector_index.wagtail_search"

Messages = Iterator[checks.CheckMessage]

#: Tables left behind by releases up to 0.10 of the older project of this name.
LEGACY_TABLES = (
    "pgvector_pgvectorembedding",
    "wagtail_vector_index_embedding",
    "wagtail_vector_index_document",
)

#: Settings of those releases, and the settings that replace them.
LEGACY_SETTINGS = {
    "WAGTAIL_VECTOR_INDEX": " and ".join((BACKEND_SETTINGS["embedding"], BACKEND_SETTINGS["chat"])),
    "WAGTAIL_VECTOR_INDEX_STORAGE_PROVIDERS": BACKEND_SETTINGS["vector"],
    "WAGTAIL_VECTOR_INDEX_QUERY_PROMPT": "answer_instructions of the index",
}

#: A name that is so similar to the name of a setting or an attribute counts as misspelt.
_MISSPELT = 0.93


def register() -> None:
    """Register the checks with Django."""
    checks.register(check_settings, "wagtail_vector_index")
    checks.register(check_plugins, "wagtail_vector_index")
    checks.register(check_backends, "wagtail_vector_index")
    checks.register(check_indexes, "wagtail_vector_index")
    checks.register(check_search_backends, "wagtail_vector_index")
    checks.register(check_database, checks.Tags.database)


def check_settings(
    app_configs: Sequence[AppConfig] | None = None, **kwargs: Any
) -> list[checks.CheckMessage]:
    """Report settings that are misspelt, outdated or have a value that is not allowed."""
    return list(_guarded(_setting_messages))


def check_plugins(
    app_configs: Sequence[AppConfig] | None = None, **kwargs: Any
) -> list[checks.CheckMessage]:
    """Report plugins that cannot be used, clash or lack something, and names that disable none."""
    return list(_guarded(_plugin_messages))


def check_backends(
    app_configs: Sequence[AppConfig] | None = None, **kwargs: Any
) -> list[checks.CheckMessage]:
    """Report configured backends that are not installed, not importable or set up wrongly."""
    try:
        active_registry()
    except ConfigurationError:
        return []  # check_plugins reports it
    return [message for handler in HANDLERS for message in _guarded(_backend_messages, handler)]


def check_indexes(
    app_configs: Sequence[AppConfig] | None = None, **kwargs: Any
) -> list[checks.CheckMessage]:
    """Report mistakes in vector indexes: names, fields, aliases, metrics and how changes run."""
    return [*_guarded(_index_messages), *_guarded(_writer_messages)]


def check_search_backends(
    app_configs: Sequence[AppConfig] | None = None, **kwargs: Any
) -> list[checks.CheckMessage]:
    """Report wrong uses of this app's backend in ``WAGTAILSEARCH_BACKENDS``."""
    found = _search_backends()
    return [message for each in found for message in _guarded(_search_messages, *each)]


def check_database(
    app_configs: Sequence[AppConfig] | None = None,
    databases: Sequence[str] | None = None,
    **kwargs: Any,
) -> list[checks.CheckMessage]:
    """Report tables that older releases left in the database, and indexes to rebuild."""
    if index_database() not in (databases or ()):
        return []
    try:
        return list(_guarded(_database_messages))
    except Error:  # not migrated yet, or not reachable, which other checks report
        return []


def _guarded(produce: Callable[..., Messages], *arguments: Any) -> Messages:
    """Yield messages, and turn a configuration error into the last of them."""
    try:
        yield from produce(*arguments)
    except ConfigurationError as error:
        yield checks.Error(str(error), id="wagtail_vector_index.E001")


def _setting_messages() -> Messages:
    for name in sorted(set(dir(settings)).difference(SETTINGS, LEGACY_SETTINGS)):
        if hint := _misspelt_hint(name):
            yield checks.Warning(
                f"{name} is not a setting of Wagtail Vector Index.",
                hint=hint,
                id="wagtail_vector_index.W006",
            )

    for name, successor in LEGACY_SETTINGS.items():
        if hasattr(settings, name):
            yield checks.Warning(
                f"{name} is a setting of wagtail-vector-index 0.10 or older. It is no longer used.",
                hint=f"Remove it and use {successor}.",
                id="wagtail_vector_index.W009",
            )

    if auto_update() not in (True, False, "inline"):
        yield checks.Error(
            f"{AUTO_UPDATE_SETTING} is {auto_update()!r}.",
            hint='It must be True, False or, in tests, "inline".',
            id="wagtail_vector_index.E007",
        )
    name = owner()
    if name is not None and (not isinstance(name, str) or name != name.strip()):
        yield checks.Error(
            f"{OWNER_SETTING} is {shown(name)}.",
            hint='It must be a text without leading or trailing spaces, such as "production".',
            id="wagtail_vector_index.E007",
        )


def _misspelt_hint(name: str) -> str:
    """Return which setting is meant by a name that looks like one of this package, or ""."""
    if not name.startswith(SETTING_PREFIX):
        close = difflib.get_close_matches(name, SETTINGS, n=1, cutoff=_MISSPELT)
        return f"Did you mean {close[0]}?" if close else ""
    rest = name.removeprefix(SETTING_PREFIX)
    if any(rest.startswith(f"{re.sub('[^A-Z0-9]', '_', p.upper())}_") for p in _plugin_names()):
        return ""  # a plugin's own setting
    ours = [setting.removeprefix(SETTING_PREFIX) for setting in SETTINGS]
    close = difflib.get_close_matches(rest, ours, n=1)
    if close:
        return f"Did you mean {SETTING_PREFIX}{close[0]}?"
    return f"The settings are {listed(SETTINGS)}."


def _plugin_names() -> set[str]:
    """Return the names of all installed plugins: loaded, broken and disabled ones."""
    try:
        registry = active_registry()
    except ConfigurationError:
        return set()  # check_plugins reports it
    loaded = [plugin.source for plugin in registry.plugins]
    broken = [failure.source for failure in registry.failures]
    return {source.name for source in (*loaded, *broken, *registry.disabled)}


def _plugin_messages() -> Messages:
    registry = active_registry()
    for problem in problems(registry):
        yield checks.Warning(problem.message, hint=problem.remedy, id=problem.id)
    for name in getattr(settings, DISABLED_PLUGINS_SETTING, ()):
        if not registry.disables(name):
            yield checks.Warning(
                f"{DISABLED_PLUGINS_SETTING} names {name!r}, but no such plugin is installed.",
                hint=f"Installed plugins: {', '.join(sorted(_plugin_names())) or 'none'}.",
                id="wagtail_vector_index.W003",
            )


def _backend_messages(handler: BackendHandler[Any]) -> Messages:
    if handler is vector_backends and getattr(settings, handler.setting, None) is None:
        # Without the setting, the default backend is needed only if an index uses it.
        aliases = [alias for alias in handler if _is_used(alias)]
    else:
        aliases = list(handler)
    for alias in aliases:
        yield from _guarded(_alias_messages, handler, alias)


def _alias_messages(handler: BackendHandler[Any], alias: str) -> Messages:
    backend = handler[alias]
    try:
        messages = backend.check()
        if not isinstance(messages, Iterable) or isinstance(messages, str):
            raise TypeError(f"check() must return a list of messages, not {shown(messages)}.")
        messages = list(messages)
        for message in messages:
            if not isinstance(message, checks.CheckMessage):
                raise TypeError(f"check() must return messages of checks, not {shown(message)}.")
        messages = [_redacted(message, backend.options) for message in messages]
    except (ConfigurationError, KeyboardInterrupt):
        raise
    except BaseException as error:  # noqa: BLE001  # from a plugin, and no reason to stop
        messages = [
            checks.Error(
                f"{handler.where(alias)}: the check of {backend!r} failed:"
                f" {backend.options.redact(describe(error))}",
                hint="Report this to the authors of that backend.",
                id="wagtail_vector_index.E006",
            )
        ]
    yield from messages


def _redacted(message: checks.CheckMessage, options: Options) -> checks.CheckMessage:
    """Return a backend's message without the secrets of its options."""
    redacted = copy.copy(message)
    redacted.msg = options.redact(str(message.msg))
    redacted.hint = message.hint and options.redact(str(message.hint))
    return redacted


def _is_used(alias: str) -> bool:
    return any(index.vector_backend == alias for index in all_indexes())


def _index_messages() -> Messages:
    seen: dict[str, VectorIndex] = {}
    for index in all_indexes():
        other = seen.setdefault(index.name.lower(), index)
        if other is not index:
            yield checks.Error(
                f"Two vector indexes are named {index.name!r}: {_origin(other)} and"
                f" {_origin(index)}.",
                hint="Give one of them another 'name'.",
                id="wagtail_vector_index.E002",
            )
        yield from _guarded(_one_index_messages, index)
        yield from _misspelt_messages(index)
    yield from _misspelt_model_messages()


def _misspelt_messages(index: VectorIndex) -> Messages:
    """Report attributes of an index that look misspelt. Methods may have any name."""
    ours = next(kind for kind in type(index).__mro__ if kind in (VectorIndex, PageVectorIndex))
    known = [name for name in dir(ours) if _is_plain(name, getattr(ours, name))]
    own = type(index).__mro__[: type(index).__mro__.index(ours)]
    for name, meant in _misspelt(own, known, {"vector_filter_fields": "filter_fields"}):
        yield checks.Warning(
            f"{index.name}: {name!r} is not an attribute of an index.",
            hint=f"Did you mean {meant!r}?",
            id="wagtail_vector_index.W015",
        )


def _misspelt_model_messages() -> Messages:
    """Report attributes that look like misspelt ones of the mixin."""
    known = ("embedding_fields", "vector_filter_fields", "vector_index")
    twins = {"filter_fields": "vector_filter_fields"}
    models = [model for model in apps.get_models() if issubclass(model, VectorIndexedMixin)]
    for kind in dict.fromkeys(kind for model in models for kind in model.__mro__):
        # Another package's class may have an attribute of that name.
        own_twins = twins if issubclass(kind, VectorIndexedMixin) else {}
        for name, meant in _misspelt([kind], known, own_twins):
            yield checks.Warning(
                f"{kind.__module__}.{kind.__qualname__}: {name!r} is not an attribute of"
                " VectorIndexedMixin.",
                hint=f"Did you mean {meant!r}?",
                id="wagtail_vector_index.W015",
            )


def _misspelt(
    classes: Iterable[type[Any]], known: Sequence[str], twins: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """Yield attributes that look misspelt, each with the known name that is probably meant.

    Args:
        classes: the classes whose own attributes are looked at.
        known: the names that are right.
        twins: names that are right only elsewhere, and their names here.
    """
    for kind in classes:
        for name, value in vars(kind).items():
            if name in known or not _is_plain(name, value):
                continue
            if (twin := twins.get(name)) is not None and twin not in vars(kind):
                yield name, twin
            elif close := difflib.get_close_matches(name, known, n=1, cutoff=_MISSPELT):
                yield name, close[0]


def _is_plain(name: str, value: Any) -> bool:
    is_method = callable(value) and not isinstance(value, type)
    is_method = is_method or hasattr(type(value), "__get__")
    return not (name.startswith("_") or is_method)


def _check_no_method_is_hidden(index: VectorIndex) -> None:
    """Raise InvalidIndex for an attribute that has the name of a method or property of an index."""
    for name in dir(VectorIndex):
        is_taken = not (name.startswith("_") or _is_plain(name, getattr(VectorIndex, name)))
        if is_taken and _is_plain(name, inspect.getattr_static(type(index), name)):
            raise InvalidIndex(
                f"{index.name}: {name!r} is a method or a property of every index, so an attribute"
                f" needs another name. Correct {_origin(index)}."
            )


def _one_index_messages(index: VectorIndex) -> Messages:
    _check_no_method_is_hidden(index)
    try:
        with without_database():
            index.configuration  # noqa: B018  # raises an error if the index's fields are wrong
    except ConfigurationError:
        raise
    except DatabaseAsked:
        pass  # check_database reads its fields
    except Exception as error:  # noqa: BLE001  # from the site's own code, and no reason to stop
        yield checks.Error(
            f"{index.name} cannot be read: {describe(error)}",
            hint=f"Correct {_origin(index)}.",
            id="wagtail_vector_index.E005",
        )
        return
    check_fusion(index)
    handlers: list[tuple[str, BackendHandler[Any]]] = [
        (index.vector_backend, vector_backends),
        (index.embedding_backend, embedding_backends),
    ]
    if index.reranking_backend is not None:
        check_reranking(index)
        handlers.append((index.reranking_backend, reranking_backends))
    if index.chat_backend != VectorIndex.chat_backend:
        handlers.append((index.chat_backend, chat_backends))
    try:
        missing = [(alias, handler) for alias, handler in handlers if alias not in handler]
    except ConfigurationError:
        return  # check_backends reports it
    for alias, handler in missing:
        yield checks.Error(
            f"{index.name} uses {handler.where(alias)}, which is not configured.",
            hint=handler.hint(alias),
            id="wagtail_vector_index.E003",
        )
    if not missing:
        yield from _backend_use_messages(index)


def _backend_use_messages(index: VectorIndex) -> Messages:
    try:
        backend = vector_backends[index.vector_backend]
    except ConfigurationError:
        return  # check_backends reports it
    if index.metric not in backend.metrics:
        yield checks.Error(
            f"{index.name}: {backend!r} does not support the metric {index.metric!r}.",
            hint=f"It supports: {', '.join(sorted(backend.metrics))}.",
            id="wagtail_vector_index.E004",
        )
    if not index.keep_embeddings and not backend.persistent:
        yield checks.Error(
            f"{index.name}: keep_embeddings is False, but {backend!r} keeps its vectors only in the"
            " memory of processes, which load them from the site's database.",
            hint="Set keep_embeddings = True, or vector_backend to the alias of a vector database.",
            id="wagtail_vector_index.E008",
        )


def _writer_messages() -> Messages:
    # Imported here, because tasks read their settings on import, which would slow down start-up.
    from .tasks import apply_pending_changes, runs_at_once

    connection: Any = connections[index_database()]
    options = connection.settings_dict["OPTIONS"]
    if (
        auto_update() is True
        and all_indexes()
        and connection.vendor == "sqlite"
        and not connection.is_in_memory_db()
        and str(options.get("transaction_mode")).upper() not in ("IMMEDIATE", "EXCLUSIVE")
        and runs_at_once(apply_pending_changes)
    ):
        yield checks.Warning(
            f"The database {connection.alias!r} is SQLite, where writers do not wait for each"
            ' other. Saving may fail with "database is locked" while a thread writes a change to'
            " an index.",
            hint=f"Set DATABASES[{connection.alias!r}]['OPTIONS'] to"
            f" {{'transaction_mode': 'IMMEDIATE'}}. Or set {AUTO_UPDATE_SETTING} = False, and"
            " write changes with: manage.py update_vector_indexes",
            id="wagtail_vector_index.W008",
        )


def _search_backends() -> list[tuple[str, Any]]:
    from modelsearch.apps import ModelSearchAppConfig

    configs = [c for c in apps.get_app_configs() if isinstance(c, ModelSearchAppConfig)]
    return [each for config in configs for each in config.get_search_backend_config().items()]


def _search_messages(alias: str, raw: Any) -> Messages:
    name = raw.get("BACKEND", "") if isinstance(raw, dict) else ""
    if str(name).startswith(SEARCH_BACKEND):
        from .wagtail_search import SearchBackend

        if alias == "default":
            yield checks.Warning(
                'WAGTAILSEARCH_BACKENDS["default"] searches by meaning, and cannot complete words.'
                " Wagtail's admin uses this backend for its own searches, and they fail.",
                hint='Give it another name, such as "semantic", and set "default" to a backend that'
                ' finds words, such as {"BACKEND": "wagtail.search.backends.database"}.',
                id="wagtail_vector_index.W016",
            )
        SearchBackend({key: value for key, value in raw.items() if key != "BACKEND"}).check()


def _database_messages() -> Messages:
    connection = connections[index_database()]
    tables = connection.introspection.table_names()
    leftovers = [table for table in LEGACY_TABLES if table in tables]
    if leftovers:
        quote = connection.ops.quote_name
        statements = " ".join(f"DROP TABLE {quote(table)};" for table in leftovers)
        yield checks.Warning(
            "The database contains tables of wagtail-vector-index 0.10 or older, which are no"
            f" longer used: {', '.join(leftovers)}.",
            hint=f"If you no longer need their content, run this SQL: {statements}",
            id="wagtail_vector_index.W004",
        )
    if has_tables():
        for index in all_indexes():
            yield from _guarded(_asking_messages, index)
            yield from _outdated_messages(index)
            yield from _owner_messages(index)
        yield from _uncertain_owner_messages()


def _asking_messages(index: VectorIndex) -> Messages:
    """Check the fields of an index whose content depends on the database.

    While the site is set up, the database may lack what the index asks for. So a failure must
    not stop ``migrate``.
    """
    try:
        with without_database():
            index.configuration  # noqa: B018  # read here to see whether it asks
    except DatabaseAsked:
        try:
            index.configuration  # noqa: B018  # raises an error if the index's fields are wrong
        except ConfigurationError:
            raise
        except Exception as error:  # noqa: BLE001  # from the site's own code
            yield checks.Warning(
                f"{index.name} asks the database for its content, and cannot be read now:"
                f" {describe(error)}",
                hint=f"Until {_origin(index)} can be read, its changes are not noticed. Then run:"
                f" manage.py update_vector_indexes {index.name}",
                id="wagtail_vector_index.W012",
            )
    except Exception:  # noqa: BLE001, S110  # check_indexes reports it
        pass


def _owner_messages(index: VectorIndex) -> Messages:
    for problem in filter(None, map(foreign_problem, live_collections(index.name))):
        yield checks.Warning(problem.message, hint=problem.remedy, id="wagtail_vector_index.W013")


def _uncertain_owner_messages() -> Messages:
    aliases = {index.vector_backend for index in all_indexes()}
    shared = [repr(alias) for alias in sorted(aliases) if _is_shared(alias)]
    if shared and not owner_is_certain():
        yield checks.Warning(
            f"A copy of this site with a database at the same address would count as this site"
            f" ({current_owner()}). If it reaches the same vector database ({', '.join(shared)}),"
            " it changes and deletes what this site has there.",
            hint=f"Set {OWNER_SETTING} to another name in each deployment, such as"
            ' "production". Then run once on this site: manage.py update_vector_indexes'
            " --take-over",
            id="wagtail_vector_index.W014",
        )


def _is_shared(alias: str) -> bool:
    try:
        return vector_backends[alias].shared
    except ConfigurationError:
        return False  # check_backends reports it


def _outdated_messages(index: VectorIndex) -> Messages:
    active = Collection.objects.filter(index=index.name, state=Collection.State.ACTIVE).first()
    if active is None:
        return
    try:
        differences = outdated_by(index, active)
    except Exception:  # noqa: BLE001  # other checks report it, and it must not stop migrate
        return
    if differences:
        yield checks.Warning(
            f"{index.name} was built with other settings and cannot be searched:"
            f" {'; '.join(differences)}.",
            hint=f"Run: manage.py update_vector_indexes {index.name}",
            id="wagtail_vector_index.W005",
        )


def _origin(index: VectorIndex) -> str:
    return f"{type(index).__module__}.{type(index).__qualname__}"
