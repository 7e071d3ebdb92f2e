"""``python -m wagtail_vector_index.testing`` runs the suite on a configured backend."""

import sys

from .command import main

sys.exit(main(sys.argv[1:]))
