"""The certificates of a service, in the form that gRPC takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

__all__ = ["pem_files"]


def pem_files(options: Any) -> dict[str, bytes]:
    """Return the contents of the files that the options name, keyed by the arguments of gRPC.

    Args:
        options: with ``ca_certificate``, ``client_certificate`` and ``client_key``, each the
            path of a PEM file or empty. Without a key, the file of the certificate holds the key.

    Raises:
        OSError: a file cannot be read.
    """
    files = {
        "root_certificates": options.ca_certificate,
        "certificate_chain": options.client_certificate,
        "private_key": options.client_key or options.client_certificate,
    }
    return {name: Path(path).read_bytes() for name, path in files.items() if path}
