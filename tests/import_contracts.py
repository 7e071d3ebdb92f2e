"""A kind of contract for import-linter: modules import only some names of a library."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

from importlinter import Contract, ContractCheck, fields, output


class OnlyNames(Contract):
    """Modules import only the listed names of a library.

    import-linter knows a library as a whole: it can forbid ``django``, but not ``django.db``.
    """

    type_name = "only_names"

    source_modules = fields.SetField(subfield=fields.ModuleField())
    #: A package of the library, with everything below it.
    library = fields.StringField()
    allowed = fields.SetField(subfield=fields.StringField())

    def check(self, graph, verbose):
        sources = {module.name for module in self.source_modules}
        modules = sources.union(*map(graph.find_descendants, sources))
        found = [
            f"{module}:{line} imports {name}"
            for module in sorted(modules)
            for line, name in imported_names(source_of(module))
            if f"{name}.".startswith(f"{self.library}.") and name not in self.allowed
        ]
        return ContractCheck(kept=not found, metadata={"found": found})

    def render_broken_contract(self, check):
        for line in check.metadata["found"]:
            output.print_error(line)


def source_of(module):
    """Return the source of a module, which is not imported: the library may be missing."""
    path = Path(*module.split("."))
    folders = [Path(folder) for folder in sys.path]
    candidates = [
        folder / file for folder in folders for file in (f"{path}.py", path / "__init__.py")
    ]
    return next(file for file in candidates if file.exists()).read_text(encoding="utf-8")


def imported_names(source):
    """Yield the line and the dotted name of each absolute import."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and not node.level:
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
