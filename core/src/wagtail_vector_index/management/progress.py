"""Displays of a command's progress: a bar on a terminal, lines elsewhere."""

from __future__ import annotations

from typing import Any

from tqdm import tqdm

from ..indexing.progress import Progress

_LINES = 10


def progress_to(stream: Any) -> Progress:
    """Return the progress display for a command that writes to this stream."""
    return Bar(stream) if stream.isatty() else Lines(stream)


class Bar(Progress):
    """Shows a progress bar for each stage."""

    def __init__(self, stream: Any) -> None:
        self._stream = _WithoutLineBreaks(stream)
        self._bar: Any = None
        self._embedded = 0

    def started(self, index: str, doing: str, total: int) -> None:
        """Begin a new bar, unless there are no objects."""
        self.finished()
        if total:
            title = f"{index}, {doing}"
            self._bar = tqdm(
                total=total, desc=title, unit=" objects", file=self._stream, leave=False
            )

    def indexed(self, count: int) -> None:
        """Move the bar."""
        if self._bar is not None:
            self._bar.update(count)

    def embedded(self, count: int) -> None:
        """Show beside the bar how many texts were embedded."""
        self._embedded += count
        if self._bar is not None:
            self._bar.set_postfix_str(f"{self._embedded} texts embedded")

    def finished(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


class _WithoutLineBreaks:
    """A command's stream that does not add a line break to each text written to it."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> None:
        self._stream.write(text, ending="")


class Lines(Progress):
    """Writes a line after about every tenth of the objects."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._title = ""
        self._total = self._done = self._shown = 0

    def started(self, index: str, doing: str, total: int) -> None:
        """Begin to count the objects of a stage."""
        self._title = f"{index}, {doing}"
        self._total, self._done, self._shown = total, 0, 0

    def indexed(self, count: int) -> None:
        """Write a line if another tenth of the objects is done."""
        self._done += count
        tenths = _LINES * self._done // self._total if self._total else _LINES
        if tenths > self._shown:
            self._shown = tenths
            self._stream.write(f"{self._title}: {self._done} of {self._total} objects")
