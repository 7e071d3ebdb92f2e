"""Runs the benchmarks, all or those that are named; fails if one misses a goal.

python benchmarks/run.py [--quick] [NAME …]
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).parent.parent

#: Modules of this folder, each of which prints its tables.
BENCHMARKS = (
    "numpy_backend",
    "numpy_quantization",
    "pgvector_backend",
    "qdrant_backend",
    "weaviate_backend",
    "usearch_backend",
    "end_to_end",
    "large_index",
    "restricted",
    "hybrid",
    "publishing",
    "start_up",
)

VERSIONS = (
    "wagtail-vector-index", "Django", "wagtail", "numpy",
    "usearch", "faiss-cpu", "langchain-core", "django-ai-core",
)  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--quick", action="store_true", help="small sizes, few repeats")
    options = parser.parse_args()
    if unknown := set(options.names) - set(BENCHMARKS):
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    print(f"## Benchmarks\n\n{setting()}", flush=True)
    missed = [
        name for name in options.names or BENCHMARKS if not goals_met(name, quick=options.quick)
    ]
    verdict = f"Missed or failed: {', '.join(missed)}." if missed else "All goals are met."
    print(f"\n{verdict}")
    return bool(missed)


def goals_met(name: str, *, quick: bool) -> bool:
    """Run one benchmark in a process of its own; whether it met all its goals."""
    environment = os.environ | ({"BENCHMARK_QUICK": "1"} if quick else {})
    command = [sys.executable, "-m", f"benchmarks.{name}"]
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode == 0


def setting() -> str:
    """The versions and the number of cores, in a line."""
    found = [f"Python {platform.python_version()}"]
    for name in VERSIONS:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            found.append(f"{name} not installed")
    return f"{', '.join(found)}; {os.cpu_count()} cores."


if __name__ == "__main__":
    raise SystemExit(main())
