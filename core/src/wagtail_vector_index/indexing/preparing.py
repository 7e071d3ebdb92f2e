"""From a source object to the documents it should have."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..content.declaration import IndexDeclaration
from ..content.filter_values import filter_value
from ..content.object_keys import object_key
from ..content.text import clean_text, field_to_text, raw_value
from ..contract.filters import text_problem, value_problem
from ..contract.records import metadata_problem
from ..plugins.calling import prepare_documents
from ..plugins.documents import PreparedDocument

#: Important fields may take this part of a chunk; what is longer is cut.
_CONTEXT_SHARE = 4


@dataclass(frozen=True, kw_only=True)
class PreparedObject:
    """What an object should have in the record: no documents if it is to be removed."""

    documents: Sequence[PreparedDocument] = ()
    source_hash: str = ""


def prepare(index: IndexDeclaration, instance: Any) -> PreparedObject:
    """The documents that a source object should have; none if it has no text.

    Raises:
        ValueError: a filter value that does not fit its type.
        Exception: whatever the object's own methods, or a plugin's hook, raise.
    """
    metadata = _metadata(index, instance)
    # Reading a StreamField's text changes what it would be stored as, so this comes first:
    hash_now = _source_hash(index, instance, metadata)
    fields = index.configuration.of(index, type(instance)).embedding_fields
    important = _text(instance, [field.name for field in fields if field.important])
    body = _text(instance, [field.name for field in fields if not field.important])
    context, chunks = _split(index, important, body)
    documents = [
        PreparedDocument(text=chunk, context=context, metadata=metadata) for chunk in chunks
    ]
    return PreparedObject(documents=_after_hooks(index, documents), source_hash=hash_now)


def source_hash(index: IndexDeclaration, instance: Any) -> str:
    """A hash of all that `prepare` depends on, much cheaper than preparing.

    Fields of the object's own table are taken as they are stored; for what is computed,
    or stored elsewhere, the text itself is made.
    """
    return _source_hash(index, instance, _metadata(index, instance))


def _source_hash(index: IndexDeclaration, instance: Any, metadata: Mapping[str, Any]) -> str:
    parts: list[Any] = [metadata]
    for field in index.configuration.of(index, type(instance)).embedding_fields:
        raw = raw_value(instance, field.name)
        value = field_to_text(instance, field.name) if raw is None else raw
        parts.append([field.name, field.important, value])
    return hashlib.blake2b(json.dumps(parts).encode(), digest_size=16).hexdigest()


def _text(instance: Any, names: Sequence[str]) -> str:
    texts = (clean_text(field_to_text(instance, name)) for name in names)
    return "\n\n".join(text for text in texts if text)


def _split(index: IndexDeclaration, context: str, body: str) -> tuple[str, list[str]]:
    """The context of each chunk, and the chunks; both together fit into one."""
    embedder = index.embedder
    size = index.get_chunk_tokens()
    if not body:
        return "", _chunks(index, context, size)
    if context:
        context = (_chunks(index, context, max(1, size // _CONTEXT_SHARE), overlap=0) or [""])[0]
    # The blank line between the two takes room as well.
    room = size - embedder.count_tokens(f"{context}\n\n") if context else size
    return context, _chunks(index, body, max(1, room))


def _chunks(index: IndexDeclaration, text: str, size: int, overlap: int | None = None) -> list[str]:
    splitter = index.text_splitter(
        count_tokens=index.embedder.count_tokens,
        chunk_tokens=size,
        overlap=min(index.chunk_overlap if overlap is None else overlap, size - 1),
    )
    return splitter.split(text)


def _metadata(index: IndexDeclaration, instance: Any) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "object": object_key(instance),
        "model": type(instance)._meta.label_lower,
    }
    for field, type_ in index.configuration.of(index, type(instance)).filter_fields:
        value = _cleaned(filter_value(instance, field.source, type_))
        if problem := value_problem(type_, value):
            raise ValueError(f"filter field {field.name!r} of {object_key(instance)}: {problem}")
        metadata[field.name] = value
    return metadata


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\x00", "").encode(errors="ignore").decode()
    return [_cleaned(item) for item in value] if isinstance(value, list) else value


def _after_hooks(
    index: IndexDeclaration, documents: Sequence[PreparedDocument]
) -> Sequence[PreparedDocument]:
    """What the plugins' hooks make of the documents, if it can be stored."""
    result = prepare_documents(index, documents) if documents else documents
    if result is not documents:
        for document in result:
            _check(index, document)
    return result


def _check(index: IndexDeclaration, document: Any) -> None:
    if not isinstance(document, PreparedDocument):
        raise TypeError(f"documents_prepared must return PreparedDocument, not {document!r}.")
    if problem := text_problem(document.text) or text_problem(document.context):
        raise ValueError(f"The text of a document cannot be stored: {problem}")
    if problem := metadata_problem(dict(document.metadata)):
        raise ValueError(f"The metadata of a document cannot be stored: {problem}")
    for name, type_ in index.configuration.fields.items():
        if problem := value_problem(type_, document.metadata.get(name)):
            raise ValueError(f"The metadata field {name!r} of a document: {problem}")
