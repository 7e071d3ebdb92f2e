"""The contract of a chat backend: it answers from given messages."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from django.core.checks import CheckMessage

from ..options import Options as BaseOptions

__all__ = ["ChatBackend", "Message"]


@dataclass(frozen=True, kw_only=True)
class Message:
    """One message of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


class ChatBackend(ABC):
    """Answers messages with text, as a language model does.

    Making a backend does no I/O.

    Args:
        alias: the key in the settings, for messages.
        options: an instance of the class's ``Options``.
    """

    @dataclass(frozen=True, kw_only=True)
    class Options(BaseOptions):
        """The keys beside ``BACKEND`` in the settings; a backend declares its own."""

    def __init__(self, alias: str, options: Any) -> None:
        self.alias = alias
        self.options = options

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.alias!r}>"

    @abstractmethod
    def stream(self, messages: Sequence[Message]) -> Iterator[str]:
        """The answer, piece by piece as it comes."""

    def check(self) -> list[CheckMessage]:
        """What can be said about the configuration without a network."""
        return []

    def close(self) -> None:  # noqa: B027  # optional
        """Give back connections. The backend can be used again afterwards."""
