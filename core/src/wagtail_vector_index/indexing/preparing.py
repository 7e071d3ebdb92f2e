"""From a source object to the documents it should have."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..filters import value_problem
from ..filter_values import filter_value
from ..keys import object_key
from ..plugins.calling import prepare_documents
from ..records import metadata_problem
from ..text import clean_text, field_to_text, raw_value, split_text

if TYPE_CHECKING:
    from ..indexes import VectorIndex

#: Important fields may take this part of a chunk; what is longer is cut.
_CONTEXT_SHARE = 4


@dataclass(frozen=True, kw_only=True)
class PreparedDocument:
    """A document that is not yet written: what the hook ``documents_prepared`` gets.

    Args:
        text: the chunk, as it is shown in results.
        context: the important fields, embedded ahead of the chunk.
        metadata: the values that searches filter by.
    """

    text: str
    context: str
    metadata: Mapping[str, Any]

    @property
    def embedded_text(self) -> str:
        """What the embedding model reads."""
        return f"{self.context}\n\n{self.text}" if self.context else self.text

    @property
    def content_hash(self) -> str:
        """SHA-256 of what the embedding model reads, in hexadecimal."""
        return hashlib.sha256(self.embedded_text.encode()).hexdigest()

    @property
    def metadata_text(self) -> str:
        """The metadata as it goes to a vector backend."""
        return json.dumps(self.metadata, ensure_ascii=False, separators=(",", ":"))


def prepare(index: VectorIndex, instance: Any) -> list[PreparedDocument]:
    """The documents that a source object should have; none if it has no text.

    Raises:
        ValueError: a filter value that does not fit its type.
        Exception: whatever the object's own methods, or a plugin's hook, raise.
    """
    configuration = index.configuration.of(index, type(instance))
    important = [f.name for f in configuration.embedding_fields if f.important]
    others = [f.name for f in configuration.embedding_fields if not f.important]
    context, chunks = _split(index, _text(instance, important), _text(instance, others))
    if not chunks:
        return []
    metadata = _metadata(index, instance)
    documents = [PreparedDocument(text=chunk, context=context, metadata=metadata) for chunk in chunks]
    return [_checked(index, document) for document in prepare_documents(index, documents)]


def source_hash(index: VectorIndex, instance: Any) -> str:
    """A hash of all that `prepare` depends on, much cheaper than preparing.

    Fields of the object's own table are taken as they are stored; for what is computed,
    or stored elsewhere, the text itself is made.
    """
    configuration = index.configuration.of(index, type(instance))
    parts: list[Any] = []
    for field in configuration.embedding_fields:
        raw = raw_value(instance, field.name)
        value = field_to_text(instance, field.name) if raw is None else raw
        parts.append([field.name, field.important, value])
    parts.append(_metadata(index, instance))
    text = json.dumps(parts, ensure_ascii=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _text(instance: Any, names: Sequence[str]) -> str:
    texts = (clean_text(field_to_text(instance, name)) for name in names)
    return "\n\n".join(text for text in texts if text)


def _split(index: VectorIndex, context: str, body: str) -> tuple[str, list[str]]:
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


def _chunks(
    index: VectorIndex, text: str, size: int, overlap: int | None = None
) -> list[str]:
    return split_text(
        text,
        count_tokens=index.embedder.count_tokens,
        chunk_tokens=size,
        overlap=min(index.chunk_overlap if overlap is None else overlap, size - 1),
    )


def _metadata(index: VectorIndex, instance: Any) -> dict[str, Any]:
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


def _checked(index: VectorIndex, document: Any) -> PreparedDocument:
    """What came out of the plugins' hooks, if it can be stored."""
    if not isinstance(document, PreparedDocument):
        raise TypeError(f"documents_prepared must return PreparedDocument, not {document!r}.")
    if problem := metadata_problem(dict(document.metadata)):
        raise ValueError(f"The metadata of a document cannot be stored: {problem}")
    for name, type_ in index.configuration.fields.items():
        if problem := value_problem(type_, document.metadata.get(name)):
            raise ValueError(f"The metadata field {name!r} of a document: {problem}")
    return document
