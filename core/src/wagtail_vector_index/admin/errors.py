"""Messages of errors for the admin. They say what to do, and contain no secrets."""

from __future__ import annotations

import logging
from contextlib import suppress

from django.utils.translation import gettext as _

from ..content.declaration import IndexDeclaration
from ..exceptions import ConfigurationError, VectorIndexError
from ..indexing.failures import error_text
from ..plugins.handlers import embedding_backends, vector_backends
from ..plugins.redaction import redacted, stack_of

logger = logging.getLogger(__name__)


def message_of(error: Exception, index: IndexDeclaration) -> str:
    """Return the message of an error for the admin.

    An unexpected error goes to the log, and the message only says to look there.
    """
    if isinstance(error, VectorIndexError):
        return readable(str(error), index)
    logger.error(
        "%s: an unexpected error in the admin: %s",
        index.name,
        f"{readable(error_text(error), index)}\n{stack_of(error)}",
    )
    return _("An unexpected error occurred. Look for its cause in the site’s log.")


def readable(text: str, index: IndexDeclaration) -> str:
    """Return a text without the secrets of an index's backends.

    Making a backend registers its secrets for redaction. This process may not have made them
    yet, while the text may come from a process that had.
    """
    for handler, alias in (
        (vector_backends, index.vector_backend),
        (embedding_backends, index.embedding_backend),
    ):
        with suppress(ConfigurationError):  # a backend that was never made leaked no secrets
            handler[alias]
    return redacted(text)
