"""The messages of errors in the admin: what to do, and never a secret."""

from __future__ import annotations

import logging
from contextlib import suppress

from django.utils.translation import gettext as _

from ..content.declaration import IndexDeclaration
from ..exceptions import ConfigurationError, VectorIndexError
from ..plugins.handlers import embedding_backends, vector_backends
from ..plugins.redaction import redacted, traceback_to_log
from ..wording import describe

logger = logging.getLogger(__name__)


def told(error: Exception, index: IndexDeclaration) -> str:
    """Return the message of an error; of an unexpected one, only where to read it."""
    if isinstance(error, VectorIndexError):
        return readable(str(error), index)
    logger.error(
        "%s: an unexpected error in the admin: %s",
        index.name,
        readable(describe(error), index),
        exc_info=traceback_to_log(error),
    )
    return _("Something unexpected went wrong. The site’s log says what.")


def readable(text: str, index: IndexDeclaration) -> str:
    """Return a text without the secrets of an index's backends.

    They are made for it: an error may have been stored by a process that knew other secrets.
    """
    for handler, alias in (
        (vector_backends, index.vector_backend),
        (embedding_backends, index.embedding_backend),
    ):
        with suppress(ConfigurationError):  # one that cannot be made has shown its secrets nowhere
            handler[alias]
    return redacted(text)
