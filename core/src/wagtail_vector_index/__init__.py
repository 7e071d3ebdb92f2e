"""Vector search for Wagtail, over any vector database."""

from pkgutil import extend_path

# Plugins live below this package, in distributions of their own. Without this
# line, those installed in editable mode would not be found at run time.
__path__ = extend_path(__path__, __name__)

__all__ = ["__version__"]

__version__ = "1.0.0"
