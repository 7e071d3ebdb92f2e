"""Imports Hypothesis as pytest leaves it.

Pytest warns of modules that it would rewrite, but that were imported before. It rewrites none
whose docstring says so.
"""

import _hypothesis_globals
import hypothesis.stateful

for module in (_hypothesis_globals, hypothesis):
    module.__doc__ = f"{module.__doc__} PYTEST_DONT_REWRITE"
