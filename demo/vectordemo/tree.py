"""Turns documents into pages: a page for each document, and a section page for each folder."""

import hashlib
import json
from collections import Counter, defaultdict
from itertools import takewhile

from django.db import transaction
from django.utils import timezone
from wagtail.models import Page, Site
from wagtail.signal_handlers import disable_reference_index_auto_update

from vectordemo.models import DocPage, HomePage, Section, SectionPage

HOME_TITLE = "Ask Django’s documentation"
HOME_INTRO = (
    "These are the real pages, some two hundred and forty of them. Search finds them by what "
    "they mean, with a model that runs on this machine: no key, no service."
)
SUMMARIES = {
    "intro": "Install Django, write a first app, and read what comes next.",
    "topics": "Models, views, forms, templates, testing and all the other parts to know.",
    "howto": "Short recipes for particular problems and tasks.",
    "ref": "What every class, setting and command does, in full.",
    "faq": "What is asked most often, with answers.",
}


def import_documents(documents):
    """Make the site's pages equal to the documents, and count the pages added, changed etc."""
    wanted = _Wanted(documents)
    with transaction.atomic(), disable_reference_index_auto_update():
        return _import(wanted, _home_page())


def _import(wanted, home):
    existing = _existing()
    done = Counter()
    pages = {"": home}
    for path in wanted.paths():
        fields = wanted.fields(path)
        page = existing.pop(path, None)
        if page is None:
            page = pages[_parent(path)].add_child(instance=wanted.model(path)(**fields))
            done["added"] += 1
        elif page.digest != fields["digest"]:
            page = _updated(page, fields)
            done["changed"] += 1
        else:
            done["unchanged"] += 1
        pages[path] = page
    for page in sorted(existing.values(), key=lambda page: -page.depth):
        page.delete()
        done["removed"] += 1
    return done


def _existing():
    pages = [*SectionPage.objects.defer("intro"), *DocPage.objects.defer("body")]
    return {page.source_path: page for page in pages if page.source_path}


def _updated(page, fields):
    for name, value in fields.items():
        setattr(page, name, value)
    page.save()
    return page


def _home_page():
    """Return the site's home page, having replaced Wagtail's welcome page by it."""
    if home := HomePage.objects.first():
        return home
    root = Page.get_first_root_node()
    home = HomePage(title=HOME_TITLE, intro=HOME_INTRO, slug="vector-index-demo")
    root.add_child(instance=home)
    name = "Wagtail Vector Index demo"
    Site.objects.update_or_create(
        is_default_site=True, defaults={"root_page": home, "site_name": name}
    )
    for welcome in root.get_children().exclude(pk=home.pk):
        welcome.delete()
    return home


class _Wanted:
    """The pages that the site should have."""

    def __init__(self, documents):
        self.documents = {_page_path(document.path): document for document in documents}
        self.below = defaultdict(list)
        for path in sorted(self.documents):
            self.below[_parent(path)].append(path)

    def paths(self, parent=""):
        """Yield the paths of pages, parents first, and siblings in the documentation's order."""
        for path in sorted(self.below[parent], key=self._place(parent)):
            yield path
            yield from self.paths(path)

    def _place(self, parent):
        document = self.documents.get(parent)
        order = [_page_path(f"{parent}/{entry}") for entry in document.entries] if document else []
        order = order or list(Section.values)
        return lambda path: (order.index(path) if path in order else len(order), path)

    def model(self, path):
        """Return the model of a page.

        Below the top, the page of a folder is a `DocPage` if the folder's own document has
        headings, and else a `SectionPage`.
        """
        if path in Section.values:
            return SectionPage
        has_headings = any(block["type"] == "heading" for block in self.documents[path].body)
        return DocPage if has_headings or path not in self.below else SectionPage

    def fields(self, path):
        document = self.documents[path]
        section = path.partition("/")[0]
        fields = {
            "title": Section(path).label if path in Section.values else document.title,
            "slug": path.rpartition("/")[2].replace(".", "-"),
            "search_description": SUMMARIES.get(path, ""),
            "source_path": path,
        }
        if self.model(path) is DocPage:
            fields |= {"section": section, "body": json.dumps(document.body)}
        else:
            fields["intro"] = _text_before_headings(document.body)
        digest = hashlib.sha256(json.dumps(fields).encode()).hexdigest()
        return {**fields, "digest": digest, "last_published_at": timezone.now()}


def _text_before_headings(body):
    before = takewhile(lambda block: block["type"] != "heading", body)
    return "".join(block["value"] for block in before if block["type"] == "text")


def _page_path(path):
    return path.removesuffix("/index")


def _parent(path):
    return path.rpartition("/")[0]
