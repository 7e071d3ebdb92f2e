"""The titles that `:doc:` and `:ref:` stand for."""

import posixpath
import re

from vectordemo.docs.text import code_role_text

LINE = r"[=\-~^\"'`#*+]{3,}"
TITLE = re.compile(rf"^(?:{LINE}\n)?(?P<title>[^\s.].*)\n(?P<line>{LINE})$", re.MULTILINE)
LABELLED = re.compile(
    r"^\.\. _(?P<label>[^:\n]+):\n"
    r"(?:\s*\n|\.\. [^\n]*\n(?:[ ]+[^\n]*\n)*)*"
    rf"(?:{LINE}\n)?(?P<title>[^\s.].*)\n{LINE}$",
    re.MULTILINE,
)
ROLE = re.compile(r":(?P<role>[a-z:]+):`(?P<text>[^`]+)`")


def plain(title):
    shown = ROLE.sub(lambda match: code_role_text(match["role"], match["text"]), title)
    return shown.replace("``", "").replace("\\", "").strip()


def humanized(name):
    return name.rpartition("/")[2].rpartition(":")[2].replace("-", " ")


class Names:
    """The titles of all documents and labels, read from the sources."""

    def __init__(self, sources):
        self.documents = {}
        self.labels = {}
        for path, source in sources.items():
            if match := TITLE.search(source):
                self.documents[path] = plain(match["title"])
            for label, title in self._labels(source):
                self.labels[label.strip("`").lower()] = title

    @staticmethod
    def _labels(source):
        position = 0
        while match := LABELLED.search(source, position):
            yield match["label"], plain(match["title"])
            position = match.end("label")

    def at(self, path):
        """Return these names, relative to the document `path`."""
        return LocalNames(self, path)


class LocalNames:
    def __init__(self, names, path):
        self.names = names
        self.folder = posixpath.dirname(path)

    def lookup(self, kind, target):
        if kind == "doc":
            path = posixpath.normpath(posixpath.join("/", self.folder, target))
            return self.names.documents.get(path.strip("/")) or humanized(target)
        label = " ".join(target.lower().split())
        return self.names.labels.get(label) or humanized(target)
