"""The arguments of hooks: the index, and the documents before they are embedded."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

__all__ = ["Index", "PreparedDocument"]


class Index(Protocol):
    """The vector index that a hook is called for."""

    #: The name of the index in commands and in the index tables.
    name: str


@dataclass(frozen=True, kw_only=True)
class PreparedDocument:
    """A document that is not yet written. The hook ``documents_prepared`` gets it.

    Args:
        text: the chunk, as search results show it.
        context: the text of the important fields, which is embedded before the chunk.
        metadata: the values that searches filter by. Whatever a hook returns, ``object`` and
            ``model`` are set to the key and the model of the source object.

    A document whose `embedded_text` is blank is not embedded.
    """

    text: str
    context: str
    metadata: Mapping[str, Any]

    @property
    def embedded_text(self) -> str:
        """The text that the embedding model reads."""
        return f"{self.context}\n\n{self.text}" if self.context else self.text

    @cached_property
    def content_hash(self) -> str:
        """The SHA-256 of `embedded_text`, in hexadecimal."""
        return hashlib.sha256(self.embedded_text.encode()).hexdigest()

    @cached_property
    def metadata_text(self) -> str:
        """The metadata as the JSON text that goes to a vector backend."""
        return json.dumps(self.metadata, ensure_ascii=False, separators=(",", ":"))
