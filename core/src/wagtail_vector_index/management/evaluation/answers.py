"""Finds the objects that a URL, a path or a key names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cached_property
from typing import Any
from urllib.parse import unquote, urlsplit

from django.apps import apps
from django.core.exceptions import ValidationError
from django.core.management.base import CommandError
from django.db.models import CompositePrimaryKey, Model, Q

from ...content.object_keys import given_key, key_of, object_key, primary_keys, root_model
from ...content.visibility import Visibility, is_page_model, page_model, visible_to_all
from ...indexes import VectorIndex
from ...models.tables import Document
from ...search.collections import active_collection
from .questions import Question, problems_in

__all__ = ["right_answers"]

#: The number of objects that are in memory at once while their addresses are looked at.
_BATCH = 500


def right_answers(
    path: str, questions: list[Question], index: VectorIndex, visibility: Visibility
) -> list[frozenset[str]]:
    """Return the keys of the right answers of each question.

    Args:
        path: the path of the file, for errors.
        questions: the questions.
        index: the index.
        visibility: what the one who searches may see.

    Raises:
        CommandError: answers do not exist, or cannot be found; the message lists them.
    """
    names = {name: line for question in questions for name, line in question.answers.items()}
    named = _Named(index, names)
    keys: dict[str, str] = {}
    problems: list[str] = []
    for name, line in names.items():
        try:
            keys[name] = named.key(name)
        except _UnknownAnswer as error:
            problems.append(f"line {line}: {name} {error}")
    visible = index.visible_among(list(keys.values()), visibility)
    stored = _stored(index, list(visible))
    for name, key in keys.items():
        if key not in visible:
            problems.append(
                f"line {names[name]}: {name} is not live content of {index.name} that this"
                " visitor may see. --user searches as one of your users."
            )
        elif key not in stored:
            problems.append(
                f"line {names[name]}: {name} has no chunks in {index.name}."
                f" Run: manage.py update_vector_indexes {index.name}"
            )
    if problems:
        raise CommandError(problems_in(path, problems))
    return [frozenset(keys[name] for name in question.answers) for question in questions]


def _stored(index: VectorIndex, keys: list[str]) -> set[str]:
    documents = Document.objects.filter(
        collection=active_collection(index), deleted_at=None, object_key__in=keys
    )
    return set(documents.values_list("object_key", flat=True))


class _UnknownAnswer(Exception):
    """A name stands for no object, or for several. The message says what to do."""


class _Named:
    """Finds the key of the object that a name stands for, for each of some names."""

    def __init__(self, index: VectorIndex, names: Iterable[str]) -> None:
        self.index = index
        self.querysets = index.get_querysets()
        self.names = names

    def key(self, name: str) -> str:
        """Return the key of an object by its URL, path, key or primary key.

        Raises:
            _UnknownAnswer: the name stands for no object, or for several.
        """
        if name.startswith("/") or "://" in name:
            return self._by_address(name)
        label, colon, pk = name.partition(":")
        if not colon:
            return self._by_primary_key(name)
        try:
            model = apps.get_model(label)
        except (LookupError, ValueError) as error:
            raise _UnknownAnswer("names a model that does not exist.") from error
        return _checked_key(model, pk)

    def _by_primary_key(self, pk: str) -> str:
        roots = {root_model(queryset.model) for queryset in self.querysets}
        if len(roots) == 1:
            return _checked_key(roots.pop(), pk)
        labels = " or ".join(sorted(root._meta.label_lower for root in roots))
        raise _UnknownAnswer(f"does not say of which model it is. Write {labels}, a colon and it.")

    def _by_address(self, name: str) -> str:
        try:
            asked = urlsplit(name)
        except ValueError as error:
            raise _UnknownAnswer(f"is no address: {error}.") from error
        path = _path(asked.path)
        found = list(self._pages_at(path))
        if not any(asked.netloc in ("", host) for _, host in found):
            found += self._others.get(path, [])
        if asked.netloc and len(found) > 1:
            found = [one for one in found if one[1] == asked.netloc] or found
        keys = sorted({key for key, _ in found})
        if len(keys) == 1:
            return keys[0]
        if keys:
            raise _UnknownAnswer(f"is the address of several objects. Write {' or '.join(keys)}.")
        raise _UnknownAnswer(
            "is the address of no page or object. Write its key, such as wagtailcore.page:12."
        )

    def _pages_at(self, path: str) -> Iterator[tuple[str, str]]:
        """Yield the key and the host of pages at a path."""
        for page in self._pages(path):
            parts = page.get_url_parts()
            if parts and parts[1] is not None and _path(parts[2]) == path:
                yield object_key(page), urlsplit(parts[1]).netloc

    def _pages(self, path: str) -> Any:
        """Return the pages that may be at a path: by their slugs, or as the root of a site."""
        if not apps.is_installed("wagtail"):
            return ()
        from wagtail.models import Site

        roots = Site.objects.values("root_page__translation_key")
        return (
            page_model()
            .objects.filter(Q(slug=path.rpartition("/")[2]) | Q(translation_key__in=roots))
            .specific()
        )

    @cached_property
    def _others(self) -> dict[str, list[tuple[str, str]]]:
        """The keys and hosts of objects that are no pages, by those paths that are asked for."""
        found: dict[str, list[tuple[str, str]]] = {}
        for name in self.names:
            with suppress(ValueError):  # `_by_address` reports the name
                found[_path(urlsplit(name).path)] = []
        for key, instance in self._with_addresses():
            try:
                url = urlsplit(str(instance.get_absolute_url()))
            except Exception:  # noqa: BLE001, S112  # an object without an address
                continue
            if (path := _path(url.path)) in found:
                found[path].append((key, url.netloc))
        return found

    def _with_addresses(self) -> Iterator[tuple[str, Any]]:
        """Yield the live objects that are no pages and may have a URL, with their keys."""
        for queryset in self.querysets:
            model = queryset.model
            if is_page_model(model) or not hasattr(model, "get_absolute_url"):
                continue
            live = self.index.live(queryset)
            for pks in visible_to_all().batches_of_primary_keys(live, _BATCH):
                yield from self.index.fetch([key_of(model, pk) for pk in pks]).items()


def _checked_key(model: type[Model], pk: str) -> str:
    """Return the key of an object of a model.

    Raises:
        _UnknownAnswer: no object can have this primary key, which may be a mistyped address.
    """
    key = given_key(model, pk)
    field: Any = root_model(model)._meta.pk
    try:
        if isinstance(field, CompositePrimaryKey):
            is_key = bool(primary_keys(model, [key]))
        else:
            field.clean(pk, None)
            is_key = True
    except ValidationError:
        is_key = False
    if not is_key:
        raise _UnknownAnswer(
            "is no URL, path or key. Write a path with a leading /, a URL with https://, or a key"
            " such as wagtailcore.page:12."
        )
    return key


def _path(path: str) -> str:
    return unquote(path).rstrip("/")
