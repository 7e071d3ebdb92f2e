"""Run the suite on a configured backend: ``python -m wagtail_vector_index.testing``."""

import sys

from .command import main

sys.exit(main(sys.argv[1:]))
