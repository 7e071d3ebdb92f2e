"""Embeds the texts that the index tables do not know yet. Each text is embedded once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice
from operator import itemgetter
from typing import Any, TypeAlias

from django.utils import timezone

from ..contract.echoes import hide_content
from ..contract.slices import slices
from ..embeddings.base import EmbeddingBackend
from ..models.tables import Embedding
from ..plugins.documents import PreparedDocument
from .backend_vectors import copy_vectors, counts_length
from .bulk_insert import insert_rows
from .plan import Plan
from .processes import HEARTBEAT

_LOOKUP_SIZE = 512

#: The fewest texts of a batch, if several batches are embedded at once.
_LEAST_BATCH = 32

#: The content hashes of some texts with their vectors, or of one text with its error.
_Embedded: TypeAlias = "tuple[list[str], memoryview[Any] | Exception]"

#: What was embedded of a batch, and the error that ended it.
_Outcome: TypeAlias = "tuple[list[_Embedded], Exception | None]"


def embedding_ids(
    embedder: EmbeddingBackend,
    documents: Iterable[PreparedDocument],
    errors: dict[str, Exception],
    progress: Callable[[int], None] = lambda count: None,
    plan: Plan | None = None,
) -> dict[str, int]:
    """Return the primary keys of the documents' embeddings, by content hash.

    Embeddings that were dropped are copied from vector backends. Missing embeddings are made, and
    stored batch by batch. After an interruption, at most the batches under way are paid for twice:
    as many as the backend's ``concurrency``.

    Args:
        embedder: the embedding backend.
        documents: the documents to embed.
        errors: gets the error of each text that cannot be embedded though the service works, by
            content hash. Such a text has no embedding.
        progress: called with the number of embeddings made.
        plan: the plan of the index; without it, nothing is copied.

    Raises:
        EmbeddingError, BackendUnavailable: embeddings stored before the error are kept.
    """
    texts = {document.content_hash: document.embedded_text for document in documents}
    known = _known(embedder, plan, list(texts))
    missing = [key for key in texts if key not in known]
    if missing and plan is not None:
        copy_vectors(plan, missing)
        known |= _known(embedder, plan, missing)
    if missing := [key for key in texts if key not in known]:
        _embed(embedder, {key: texts[key] for key in missing}, errors, progress)
        known |= _known(embedder, plan, missing)
    return known


def _embed(
    embedder: EmbeddingBackend,
    texts: dict[str, str],
    errors: dict[str, Exception],
    progress: Callable[[int], None],
) -> None:
    size = 4 * embedder.dimensions
    for hashes, vectors in _embedded(embedder, texts):
        if isinstance(vectors, Exception):
            errors[hashes[0]] = vectors
            continue
        if not hashes:
            progress(0)
            continue
        rows = dict(zip(hashes, slices(vectors.tobytes(), size), strict=True))
        insert_rows(
            Embedding,
            ("content_hash", "vector"),
            # Every process inserts in this order, so that no two of them wait for each other.
            sorted(rows.items(), key=itemgetter(0)),
            same={
                "fingerprint": embedder.fingerprint,
                "direction_only": False,
                "created_at": timezone.now(),
            },
            ignore_conflicts=True,
        )
        progress(len(rows))


def _embedded(embedder: EmbeddingBackend, texts: dict[str, str]) -> Iterator[_Embedded]:
    """Yield what is embedded, batch by batch, several batches at once if the backend allows it.

    After an error of the service, the batches under way are yielded before it is raised.
    """
    even = max(_LEAST_BATCH, -(-len(texts) // embedder.concurrency))
    size = min(embedder.max_batch_texts, even)
    batches = list(map(dict, slices(list(texts.items()), size)))
    workers = min(embedder.concurrency, len(batches))
    if workers <= 1:
        yield from _in_turn(embedder, texts)
        return
    with ThreadPoolExecutor(workers) as pool:
        futures = [pool.submit(_as_far_as_possible, embedder, batch) for batch in batches]
        try:
            yield from _finished(futures)
        finally:
            for future in futures:
                future.cancel()


def _finished(futures: Sequence[Future[_Outcome]]) -> Iterator[_Embedded]:
    """Yield what was embedded as soon as it is, and nothing now and then while that takes long."""
    failure: BaseException | None = None
    waiting = set(futures)
    while waiting:
        try:
            ready, waiting = wait(waiting, HEARTBEAT, return_when=FIRST_COMPLETED)
        except KeyboardInterrupt as interrupt:
            # The batches under way are paid for, so they are stored.
            failure, ready = interrupt, set()
        for future in ready:
            if not future.cancelled():
                done, error = future.result()
                yield from done
                failure = failure or error
        if failure is not None:
            for future in waiting:
                future.cancel()  # unless it runs
        if not ready:
            yield [], memoryview(b"")
    if failure is not None:
        raise failure


def _as_far_as_possible(embedder: EmbeddingBackend, texts: Mapping[str, str]) -> _Outcome:
    """Return what is embedded before an error of the service, and that error."""
    done: list[_Embedded] = []
    try:
        done.extend(_in_turn(embedder, texts))
    except Exception as error:  # noqa: BLE001  # what was paid for is stored before it is raised
        return done, error
    return done, None


def _in_turn(embedder: EmbeddingBackend, texts: Mapping[str, str]) -> Iterator[_Embedded]:
    """Yield what `embed_each` yields, with content hashes, and without texts in its errors."""
    hashes = iter(texts)
    size = embedder.dimensions
    try:
        for vectors in embedder.embed_each(texts.values()):
            if isinstance(vectors, Exception):
                hide_content(vectors, texts.values())
                yield [next(hashes)], vectors
            else:
                yield list(islice(hashes, len(vectors) // size)), vectors
    except Exception as error:
        hide_content(error, texts.values())
        raise


def _known(embedder: EmbeddingBackend, plan: Plan | None, hashes: list[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for some in slices(hashes, _LOOKUP_SIZE):
        rows = Embedding.objects.filter(fingerprint=embedder.fingerprint, content_hash__in=some)
        if plan is None or counts_length(plan.metric):
            rows = rows.filter(direction_only=False)
        found.update(rows.values_list("content_hash", "pk"))
    return found
