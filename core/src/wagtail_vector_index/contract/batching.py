"""The batches in which texts are embedded. A batch that a model does not take is split."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..exceptions import EmbeddingRefused, EmbeddingUnavailable, InvalidEmbeddings

__all__ = ["Batches", "Sizes"]

logger = logging.getLogger(__name__)

#: Parts of a batch that failed. A service that answers an error answers at once. A time-out costs
#: minutes, so the text that causes it must be found in few steps: in 2 among 256 texts.
_PARTS = 2
_PARTS_IF_SLOW = 16

#: Errors by which a service or model answers. All others may pass by chance.
_ANSWERS = (EmbeddingRefused, InvalidEmbeddings)


@dataclass(kw_only=True)
class Sizes:
    """What a process has learned about the batches that a model takes."""

    #: The most texts of a batch; None until a batch was too large.
    largest: int | None = None
    #: The size of the last batch that failed as a whole for a reason that may have passed.
    doubted: int | None = None


class Batches:
    """Splits texts into batches, and each batch that fails into smaller ones, in order.

    Args:
        texts: the texts to embed.
        fits: returns how many of the first of these texts fit into one batch, at least 1.
        sizes: what is known about the model's batches.
        name: the backend's name in log lines.
    """

    def __init__(
        self, texts: Sequence[str], fits: Callable[[Sequence[str]], int], sizes: Sizes, name: str
    ) -> None:
        self._texts = texts
        self._fits = fits
        self._sizes = sizes
        self._name = name
        self._done = 0
        self._size = 0
        #: The ends of the parts of batches that failed, the nearest last. No batch crosses one.
        self._ends: list[int] = []
        self._failed: list[_Failed] = []

    def next(self) -> Sequence[str]:
        """Return the next batch; an empty one after the last."""
        end = self._ends[-1] if self._ends else len(self._texts)
        most = min(end - self._done, self._sizes.largest or end)
        rest = self._texts[self._done : self._done + most]
        self._size = self._fits(rest) if rest else 0
        return rest[: self._size]

    def done(self) -> None:
        """Go on to the texts after this batch, which was embedded."""
        if self._sizes.doubted is not None and self._size >= self._sizes.doubted:
            self._sizes.doubted = None
        for failed in self._failed:
            failed.largest_part = max(failed.largest_part, self._size)
        self._go_on()

    def skip(self) -> None:
        """Go on to the texts after this batch, which holds a text that cannot be embedded."""
        self._failed.clear()  # that text is the reason why they failed, and not their size
        self._go_on()

    def split(self, error: Exception, *, slow: bool) -> None:
        """Split this batch, of several texts, which failed with an error.

        Args:
            error: the error.
            slow: whether it took so long that it may be a time-out.
        """
        is_slow = slow or isinstance(error, EmbeddingUnavailable)
        parts = _PARTS_IF_SLOW if is_slow else _PARTS
        end = self._done + self._size
        cuts = range(self._done, end, -(-self._size // parts))
        self._ends += [end, *reversed(cuts[1:])]
        self._failed.append(_Failed(size=self._size, end=end, error=error))

    def _go_on(self) -> None:
        self._done += self._size
        while self._ends and self._ends[-1] <= self._done:
            self._ends.pop()
        while self._failed and self._failed[-1].end <= self._done:
            self._learn(self._failed.pop())

    def _learn(self, failed: _Failed) -> None:
        """Remember that a batch failed though all its parts were embedded: it was too large."""
        sizes = self._sizes
        is_new = sizes.doubted is None or failed.size < sizes.doubted
        if is_new and not isinstance(failed.error, _ANSWERS):
            sizes.doubted = failed.size  # the failure may have passed by chance
        elif sizes.largest is None or failed.largest_part < sizes.largest:
            sizes.largest = failed.largest_part
            # Without the error, in which a service may quote the texts.
            logger.warning(
                "%s did not take %d texts at once, but took %d. From now on, this process sends no"
                " more than that. If the backend has the option BATCH_SIZE, set it to %d.",
                self._name,
                failed.size,
                failed.largest_part,
                failed.largest_part,
            )


@dataclass(kw_only=True)
class _Failed:
    """A batch that failed and was split."""

    size: int
    end: int
    error: Exception
    largest_part: int = 0
