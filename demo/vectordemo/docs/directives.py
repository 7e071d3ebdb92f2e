"""Directives and roles of Sphinx that docutils lacks, reduced to what a reader sees.

`register()` adds to docutils every directive and role that Django's documentation uses.
Directives that only feed Sphinx's own index show nothing.
"""

from docutils import nodes
from docutils.parsers.rst import Directive, directives, roles

from vectordemo.docs.text import code_role_text, role_parts

SILENT = """
    currentmodule default-domain fieldlookup highlight index module program
    setting tabularcolumns templatefilter templatetag contents
""".split()

# The word before the name, for each directive.
SIGNATURES = {
    "attribute": "",
    "class": "class",
    "classmethod": "classmethod",
    "data": "",
    "describe": "",
    "django-admin": "django-admin",
    "django-admin-option": "",
    "envvar": "",
    "exception": "exception",
    "function": "",
    "method": "",
    "object": "",
    "option": "",
    "staticmethod": "static",
}

ADMONITIONS = """
    attention caution danger error hint important note seealso tip warning
""".split()

VERSIONS = {
    "deprecated": "Deprecated since Django {}",
    "versionadded": "New in Django {}",
    "versionchanged": "Changed in Django {}",
}

CODE_ROLES = """
    attr class command const data djadmin djadminopt envvar exc file func
    keyword kbd lookup meth mod obj option program py:attr py:class py:data
    py:exc py:func py:meth py:mod py:obj samp setting source tfilter ttag
""".split()

TEXT_ROLES = """
    abbr bpo commit cve dfn guilabel menuselection mimetype pep pypi py:ref
    py:term rfc term ticket
""".split()


class AnyOptions(dict):
    """Accepts any option of a directive. Sphinx has many options, and none matters here."""

    def __missing__(self, name):
        return directives.unchanged

    def __bool__(self):
        return True


class Permissive(Directive):
    optional_arguments = 1
    final_argument_whitespace = True
    has_content = True
    option_spec = AnyOptions()

    @property
    def argument(self):
        return " ".join(self.arguments)

    def parsed_content(self, container):
        self.state.nested_parse(self.content, self.content_offset, container)
        return container


class Silent(Permissive):
    def run(self):
        return []


class Toctree(Permissive):
    """Shows nothing, but notes the order of the pages below."""

    def run(self):
        return [nodes.comment(entries=[role_parts("doc", line)[1] for line in self.content])]


class Transparent(Permissive):
    def run(self):
        return self.parsed_content(nodes.container()).children


class Signature(Permissive):
    """Handles `.. method:: Model.save(force_insert=False)` and its description."""

    def run(self):
        prefix = SIGNATURES[self.name]
        lines = self.argument.replace("\\\n", "").replace("\\", "").splitlines()
        text = "\n".join(" ".join([*prefix.split(), *line.split()]) for line in lines)
        signature = nodes.literal_block(text, text, kind="signature")
        body = self.parsed_content(nodes.container())
        return [signature, *body.children]


class Code(Permissive):
    def run(self):
        text = "\n".join(self.content)
        language = self.argument or "text"
        block = nodes.literal_block(text, text, kind="code", language=language)
        if caption := self.options.get("caption"):
            block["caption"] = caption.replace("``", "")
        return [block]


class Console(Code):
    def run(self):
        self.arguments = ["console"]
        return super().run()


class Admonition(Permissive):
    """Handles `.. note::` and similar directives, which have content and no title."""

    optional_arguments = 0

    def run(self):
        box = nodes.container(kind="admonition", admonition=self.kind, title=self.title)
        return [self.parsed_content(box)]

    @property
    def kind(self):
        return self.name

    @property
    def title(self):
        return "See also" if self.name == "seealso" else self.name.capitalize()


class TitledAdmonition(Admonition):
    """Handles `.. admonition:: Why not sessions?`, which has a title."""

    optional_arguments = 1
    kind = "note"

    @property
    def title(self):
        children, _messages = self.state.inline_text(self.argument, self.lineno)
        return nodes.inline("", "", *children).astext()


class Version(Admonition):
    """Handles `.. versionadded:: 5.2` and similar directives."""

    optional_arguments = 1
    kind = "version"

    @property
    def title(self):
        return VERSIONS[self.name].format(self.argument)


def code_role(name, rawtext, text, lineno, inliner, options=None, content=None):
    text = code_role_text(name, text)
    return [nodes.literal(rawtext, text)], []


def text_role(name, rawtext, text, lineno, inliner, options=None, content=None):
    return [nodes.Text(role_parts(name, text)[0])], []


def reference_role(name, rawtext, text, lineno, inliner, options=None, content=None):
    """Return a reference. If it has no text of its own, the text is looked up later."""
    title, target = role_parts(name, text)
    if title != target:
        return [nodes.Text(title)], []
    return [nodes.inline(rawtext, target, crossref=name, target=target)], []


def register():
    groups = {
        Silent: SILENT,
        Signature: SIGNATURES,
        Admonition: ADMONITIONS,
        TitledAdmonition: ["admonition"],
        Version: VERSIONS,
        Code: ["code", "code-block", "sourcecode"],
        Console: ["console"],
        Toctree: ["toctree"],
        Transparent: ["glossary", "hlist", "only"],
    }
    for directive, names in groups.items():
        for name in names:
            directives.register_directive(name, directive)
    for names, role in ((CODE_ROLES, code_role), (TEXT_ROLES, text_role)):
        for name in names:
            roles.register_local_role(name, role)
    for name in ("ref", "doc"):
        roles.register_local_role(name, reference_role)
