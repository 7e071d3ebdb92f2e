"""Downloads a model, for use at deployment. It needs no settings.

::

    python -m wagtail_vector_index.embeddings.fastembed BAAI/bge-small-en-v1.5
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .options import default_cache_dir

PROGRAM = "python -m wagtail_vector_index.embeddings.fastembed"


def main() -> None:
    """Download the model that the command line names, and print its folder."""
    parser = argparse.ArgumentParser(
        prog=PROGRAM, description="Download an embedding or reranking model."
    )
    parser.add_argument("model", help="the setting MODEL, such as BAAI/bge-small-en-v1.5")
    parser.add_argument(
        "--cache-dir",
        type=Path,
        default=default_cache_dir(),
        help="the setting CACHE_DIR; by default %(default)s",
    )
    arguments = parser.parse_args()

    from .files import download

    try:
        folder = download(arguments.model, arguments.cache_dir)
    except (ValueError, OSError) as error:
        sys.exit(f"{arguments.model} was not downloaded: {error}")
    sys.stdout.write(f"{arguments.model} is in {folder}.\n")


if __name__ == "__main__":
    main()
