"""Prints the demo's output: steps with their times, and search results."""

import os
import shutil
import sys
import textwrap
import time
from contextlib import contextmanager

STYLES = {"bold": "1", "dim": "2", "green": "32", "cyan": "36"}
WIDEST = 100
BAR = 10


def is_terminal():
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def styled(text, *styles):
    if not is_terminal() or "NO_COLOR" in os.environ:
        return text
    codes = ";".join(STYLES[style] for style in styles)
    return f"\033[{codes}m{text}\033[0m"


def say(text=""):
    """Print a text at once, replacing characters that the terminal cannot show."""
    encoding = sys.stdout.encoding or "utf-8"
    print(text.encode(encoding, "replace").decode(encoding), flush=True)


@contextmanager
def step(title):
    """Print a line when a step begins, and replace it when the step is done."""
    details = []
    if is_terminal():
        print(f"  {title} …", end="\r", flush=True)
    started = time.perf_counter()
    yield details.append
    seconds = time.perf_counter() - started
    detail = f": {', '.join(details)}" if details else ""
    clear = "\033[K" if is_terminal() else ""
    say(f"{clear}{styled('✓', 'green')} {title}{detail} {styled(f'({seconds:.1f} s)', 'dim')}")


def counted(label):
    """Return a function that wraps a list, and shows on a terminal how many items are done."""

    def progress(items):
        for number, item in enumerate(items, start=1):
            if is_terminal():
                print(f"  {label} … {number} of {len(items)}", end="\033[K\r", flush=True)
            yield item

    return progress


def show_results(question, results, seconds):
    width = min(shutil.get_terminal_size().columns, WIDEST)
    say()
    say(f"{styled(question, 'bold')} {styled(f'({seconds * 1000:.0f} ms)', 'dim')}")
    if not results:
        say("  nothing found")
    for result in results:
        score = styled(f"{result.vector_score:.2f}", "green")
        path = styled(result.source_path, "dim")
        say()
        say(f"  {score}  {_bar(result.vector_score)}  {styled(result.title, 'cyan')}  {path}")
        text = result.get_excerpt(mark=False)
        say(textwrap.fill(text, width, initial_indent=" " * 8, subsequent_indent=" " * 8))


def _bar(score):
    filled = max(0, min(BAR, round(score * BAR)))
    return styled("█" * filled, "green") + styled("░" * (BAR - filled), "dim")
