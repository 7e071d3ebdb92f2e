"""Prepares the documents that a source object should have."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..content.configuration import CORE_FIELDS
from ..content.declaration import IndexDeclaration
from ..content.fields import EmbeddingField
from ..content.filter_values import filter_value
from ..content.language import reading_in_its_language
from ..content.object_keys import object_key
from ..content.text import FieldText, clean_text, read_field
from ..contract.filters import text_problem, value_problem
from ..contract.records import metadata_problem
from ..embeddings.base import EmbeddingBackend
from ..plugins.calling import DocumentHooks
from ..plugins.documents import PreparedDocument

#: Important fields may take 1 / _CONTEXT_SHARE of a chunk. What is left is embedded once.
_CONTEXT_SHARE = 4


#: How often a text is split again, into smaller chunks, until all fit into what the model reads.
_MOST_TRIES = 8


@dataclass(frozen=True, kw_only=True)
class PreparedObject:
    """The documents that an object should have in the index tables; none to remove the object."""

    documents: Sequence[PreparedDocument] = ()
    source_hash: str = ""
    #: The lines of texts that excerpts leave out.
    labels: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Source:
    """What would be embedded of an object, and filtered by, before it is split into chunks."""

    important: str
    body: str
    metadata: Mapping[str, Any]
    labels: frozenset[str]

    @property
    def has_text(self) -> bool:
        """Whether there is any text to embed."""
        return bool(self.important or self.body)

    def hash_with(self, plugins: Sequence[str]) -> str:
        """Return a hash of the texts and metadata, and of the plugins that change documents."""
        parts = [self.important, self.body, self.metadata, sorted(self.labels), *plugins]
        return hashlib.blake2b(json.dumps(parts).encode(), digest_size=16).hexdigest()


def read(index: IndexDeclaration, instance: Any) -> Source:
    """Return what would be embedded of an object now, in the language that is active.

    Raises:
        ValueError: a filter value does not fit its type.
        Exception: any error of the object's own methods.
    """
    fields = index.configuration.of(index, type(instance)).embedding_fields
    important: list[str] = []
    body: list[str] = []
    labels: list[str] = []
    prose: list[str] = []
    for field in fields:
        text, is_label = _cleaned_text(instance, field)
        if text:
            (important if field.important else body).append(text)
            (labels if is_label else prose).append(text)
    return Source(
        important="\n\n".join(important),
        body="\n\n".join(body),
        metadata=_metadata(index, instance),
        # A line of prose may be the same as a label. It is better shown twice than not at all.
        labels=_lines(labels) - _lines(prose) if labels else frozenset(),
    )


def _lines(texts: Iterable[str]) -> frozenset[str]:
    return frozenset(line for text in texts for line in text.split("\n"))


def prepare(index: IndexDeclaration, instance: Any, hooks: DocumentHooks) -> PreparedObject:
    """Return the documents that a source object should have; none if it has no text.

    Raises:
        ValueError: a filter value does not fit its type.
        Exception: any error of the object's own methods, or of a plugin's hook.
    """
    with reading_in_its_language(instance):
        source = read(index, instance)
    return prepare_source(index, source, hooks)


def prepare_source(index: IndexDeclaration, source: Source, hooks: DocumentHooks) -> PreparedObject:
    """Return the documents of an object that has been read; none if it has no text."""
    source_hash = source.hash_with(hooks.plugins)
    if not source.has_text:
        return PreparedObject(source_hash=source_hash)
    context, chunks = _split(index, source.important, source.body)
    documents = [
        PreparedDocument(text=chunk, context=context, metadata=source.metadata) for chunk in chunks
    ]
    return PreparedObject(
        documents=_after_hooks(index, documents, hooks),
        source_hash=source_hash,
        labels=source.labels,
    )


def _cleaned_text(instance: Any, field: EmbeddingField) -> FieldText:
    """Return the text of a field; a label is a text that excerpts leave out."""
    text, is_label = read_field(instance, field.name)
    if field.in_excerpts is not None:
        is_label = not field.in_excerpts
    return FieldText(clean_text(text), is_label=is_label)


def _split(index: IndexDeclaration, context: str, body: str) -> tuple[str, list[str]]:
    """Return the context of each chunk, and the chunks. Each fits, with the context, the size.

    A context that is too long begins the chunks with the rest of it.
    """
    embedder = index.embedder
    size = index.get_chunk_tokens()
    if not body:
        return "", _chunks(index, context, size)
    if context:
        pieces = _chunks(index, context, max(1, size // _CONTEXT_SHARE), overlap=0)
        first, *others = pieces or [""]
        rest = context[len(first) :].strip() if context.startswith(first) else "\n\n".join(others)
        context, body = first, f"{rest}\n\n{body}" if rest else body
    # The blank line between the context and the chunk takes room as well.
    room = size - embedder.count_tokens(f"{context}\n\n") if context else size
    chunks = _chunks(index, body, max(1, room))
    if context and size == embedder.max_chunk_tokens:  # what is longer, the model may refuse
        least = longest = _longest(embedder, context, chunks)
        for _ in range(_MOST_TRIES):
            if longest <= size or room <= 1:
                break
            room -= longest - size
            tried = _chunks(index, body, max(1, room))
            longest = _longest(embedder, context, tried)
            if longest < least:  # it never is if a site's own splitter keeps a longer piece whole
                chunks, least = tried, longest
    return context, chunks


def _longest(embedder: EmbeddingBackend, context: str, chunks: Sequence[str]) -> int:
    """Return the most tokens of a chunk with its context, which may be more than of the parts."""
    joined = (PreparedDocument(text=chunk, context=context, metadata={}) for chunk in chunks)
    return max((embedder.count_tokens(each.embedded_text) for each in joined), default=0)


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
            raise ValueError(f"Filter field {field.name!r} of {object_key(instance)}: {problem}")
        metadata[field.name] = value
    return metadata


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        value = value.replace("\x00", "")
        return value if value.isascii() else value.encode(errors="ignore").decode()
    return [_cleaned(item) for item in value] if isinstance(value, list) else value


def _after_hooks(
    index: IndexDeclaration, documents: Sequence[PreparedDocument], hooks: DocumentHooks
) -> Sequence[PreparedDocument]:
    """Return the documents after the plugins' hooks, having checked that they can be stored.

    The hooks change neither the object that a document belongs to nor its model, by which searches
    find it. Documents in which they leave no text are not embedded.
    """
    result = hooks.apply(index, documents) if documents else documents
    if result is documents:
        return documents
    own = {name: documents[0].metadata[name] for name in CORE_FIELDS}
    result = [replace(each, metadata={**each.metadata, **own}) for each in result]
    for document in result:
        _check(index, document)
    return [document for document in result if document.embedded_text.strip()]


def _check(index: IndexDeclaration, document: PreparedDocument) -> None:
    if problem := text_problem(document.text) or text_problem(document.context):
        raise ValueError(f"The text of a chunk cannot be stored: {problem}")
    if problem := metadata_problem(document.metadata):
        raise ValueError(f"The metadata of a chunk cannot be stored: {problem}")
    for name, type_ in index.configuration.fields.items():
        if problem := value_problem(type_, document.metadata.get(name)):
            raise ValueError(f"The metadata field {name!r} of a chunk is wrong: {problem}")
