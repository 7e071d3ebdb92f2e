"""A contract type for import-linter: only some names may be imported from some libraries."""

from __future__ import annotations

import ast

from importlinter import Contract, ContractCheck, fields, output


class OnlyNames(Contract):
    """A contract that modules import only these names from a library.

    import-linter itself treats a library as a whole. It can forbid ``django``, but not
    ``django.db``.
    """

    type_name = "only_names"

    source_modules = fields.SetField(subfield=fields.ModuleField())
    #: A library's package, with everything below it.
    library = fields.StringField()
    allowed = fields.SetField(subfield=fields.StringField())

    def check(self, graph, verbose):
        root = self.library.partition(".")[0]
        found = []
        for source in sorted(module.name for module in self.source_modules):
            for importer in sorted({source} | graph.find_descendants(source)):
                for details in graph.get_import_details(importer=importer, imported=root):
                    found += [
                        f"{importer}:{details['line_number']} imports {name}"
                        for name in names_in(details["line_contents"])
                        if self._is_refused(name)
                    ]
        return ContractCheck(kept=not found, metadata={"found": found})

    def _is_refused(self, name):
        return f"{name}.".startswith(f"{self.library}.") and name not in self.allowed

    def render_broken_contract(self, check):
        for line in check.metadata["found"]:
            output.print_error(line)


def names_in(statement):
    """Yield the dotted names that an import statement imports."""
    # The first line of a statement over several lines is not a statement of its own.
    text = statement.strip()
    text = f"{text}\n    pass)" if text.endswith("(") else text
    node = ast.parse(text).body[0]
    if isinstance(node, ast.ImportFrom):
        for alias in node.names:
            yield f"{node.module}.{alias.name}"
    else:
        for alias in node.names:
            yield alias.name
