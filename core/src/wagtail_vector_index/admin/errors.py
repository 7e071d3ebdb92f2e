"""What is shown of an error: what to do about it, and never a secret."""

from __future__ import annotations

import logging

from django.utils.translation import gettext as _

from ..exceptions import ConfigurationError, VectorIndexError
from ..indexes import VectorIndex
from ..plugins.handlers import embedding_backends, traceback_to_log, vector_backends
from ..wording import describe

logger = logging.getLogger(__name__)


def told(error: Exception, index: VectorIndex) -> str:
    """The message of an error; of one that nobody expected, only where to read it."""
    if isinstance(error, VectorIndexError):
        return redacted(str(error), index)
    logger.error(
        "%s: an unexpected error in the admin: %s",
        index.name,
        redacted(describe(error), index),
        exc_info=traceback_to_log(error),
    )
    return _("Something unexpected went wrong. The site’s log tells what.")


def redacted(text: str, index: VectorIndex) -> str:
    """A text without the secrets of the backends that an index uses."""
    for handler, alias in (
        (vector_backends, index.vector_backend),
        (embedding_backends, index.embedding_backend),
    ):
        try:
            text = handler[alias].options.redact(text)
        except ConfigurationError:
            continue  # a backend that cannot be made has told nobody its secrets
    return text
