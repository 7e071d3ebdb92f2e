"""An editor who never rests, and publishes, moves, restricts and deletes content at random.

What changes the tree of pages is done in a transaction: treebeard needs several statements, and a
tree that a kill has broken is not what is tested. All else is done as Wagtail's views do it,
in autocommit.
"""

import os
import random
import signal
import threading

from django.core.files.base import ContentFile
from django.db import connection, transaction
from wagtail.documents.models import Document
from wagtail.models import (
    Collection,
    CollectionViewRestriction,
    Locale,
    Page,
    PageViewRestriction,
    Site,
)

from tests.testapp.models import ArticlePage, Notice
from wagtail_vector_index.changes import receivers

WORDS = [f"word{number}" for number in range(60)]
SECTIONS = 3
FEWEST, MOST = 25, 60


def text(chosen):
    return "<p>" + " ".join(chosen.choices(WORDS, k=chosen.randint(5, 150))) + "</p>"


def make_site():
    """A home page, and sections with articles."""
    chosen = random.Random(0)
    Locale.objects.get_or_create(language_code="en")
    home = Page.add_root(title="Root", slug="root").add_child(
        instance=Page(title="Home", slug="home")
    )
    Site.objects.create(hostname="localhost", root_page=home, is_default_site=True)
    for _ in range(SECTIONS):
        home.add_child(instance=Page(title="Section"))
    for number in range(40):
        add(chosen, number)
    files = Collection.add_root(name="Root")
    for name in ("Public", "Internal"):
        files.add_child(name=name)
    for number in range(10):
        upload(chosen, number)
        write(chosen, number)


def add(chosen, number):
    page = ArticlePage(title=f"Article {number}", intro=text(chosen), topic=chosen.choice(WORDS))
    with transaction.atomic():
        parent(chosen).add_child(instance=page)


def edit_until_killed(fate, seed):
    """Edit until the process is killed, in one of several ways."""
    chosen = random.Random(seed)
    FATES[fate](chosen)
    while True:
        edit(chosen, chosen.randint(1_000, 1_000_000))


def die(*arguments):
    os.kill(os.getpid(), signal.SIGKILL)


def editing_at_any_time(chosen):
    threading.Timer(chosen.uniform(0, 1), die).start()


def editing_at_a_statement(chosen):
    left = [chosen.randint(1, 300)]

    def count(execute, *arguments):
        left[0] -= 1
        if not left[0]:
            die()
        return execute(*arguments)

    connection.execute_wrappers.append(count)


def before_a_change_is_noted(chosen):
    """Outside of a transaction, the change is committed by then."""
    finish = receivers.finish

    def look(*arguments):
        if not connection.in_atomic_block and chosen.random() < 0.5:
            die()
        return finish(*arguments)

    receivers.finish = look


#: More often the last, which is the only moment at which a change could be lost.
FATES = {
    function.__name__: function
    for function in (before_a_change_is_noted, editing_at_any_time, editing_at_a_statement)
}


def edit(chosen, number):
    actions = {
        edit_page: 10,
        write: 3,
        change_notice: 5,
        upload: 3,
        change_document: 4,
        restrict: 3,
        restrict_files: 2,
    }
    (action,) = chosen.choices(list(actions), list(actions.values()))
    action(chosen, number)


def edit_page(chosen, number):
    pages = list(ArticlePage.objects.order_by("pk"))
    if len(pages) < FEWEST:
        add(chosen, number)
        return
    page = chosen.choice(pages)
    if len(pages) > MOST:
        delete(chosen, page, number)
        return
    actions = {publish: 8, add_another: 4, move: 3, unpublish: 1, delete: 2}
    (action,) = chosen.choices(list(actions), list(actions.values()))
    action(chosen, page, number)


def publish(chosen, page, number):
    page.title = f"Article {number}"
    page.intro = text(chosen)
    page.save_revision().publish()


def add_another(chosen, page, number):
    add(chosen, number)


def move(chosen, page, number):
    target = parent(chosen)
    if not (target.pk == page.pk or target.is_descendant_of(page) or page.is_child_of(target)):
        with transaction.atomic():
            page.move(target, pos="last-child")


def unpublish(chosen, page, number):
    page.unpublish()


def delete(chosen, page, number):
    with transaction.atomic():
        page.delete()


def restrict(chosen, number):
    """Make a page private, with all that is below, or the one that is private public again."""
    restriction = PageViewRestriction.objects.first()
    if restriction is not None:
        restriction.delete()
    elif pages := list(ArticlePage.objects.order_by("pk")):
        PageViewRestriction.objects.create(
            page=chosen.choice(pages), restriction_type=PageViewRestriction.LOGIN
        )


def restrict_files(chosen, number):
    """Make a collection private, or public again."""
    collection = Collection.objects.get(name="Internal")
    restriction = CollectionViewRestriction.objects.filter(collection=collection).first()
    if restriction is not None:
        restriction.delete()
    else:
        CollectionViewRestriction.objects.create(
            collection=collection, restriction_type=CollectionViewRestriction.LOGIN
        )


def upload(chosen, number):
    """Upload a document, as the view for several files does."""
    document = Document(title=f"File {number} {chosen.choice(WORDS)}", collection=place(chosen))
    document.file.save(f"{number}.txt", ContentFile(b"text"), save=False)
    document.save()


def change_document(chosen, number):
    """Rename a document, put it into another collection, or delete it."""
    documents = list(Document.objects.order_by("pk"))
    if not documents:
        return
    document = chosen.choice(documents)
    if len(documents) > 30 or chosen.random() < 0.2:
        document.delete()
        return
    document.title, document.collection = f"File {number} {chosen.choice(WORDS)}", place(chosen)
    document.save()


def place(chosen):
    return Collection.objects.get(name=chosen.choice(["Public", "Internal"]))


def write(chosen, number):
    """Write a new snippet, live or as a draft."""
    Notice.objects.create(
        text=f"Notice {number} {chosen.choice(WORDS)}",
        live=chosen.random() < 0.7,
        locale=Locale.objects.get(),
    )


def change_notice(chosen, number):
    """Publish, unpublish or delete a snippet."""
    notices = list(Notice.objects.order_by("pk"))
    if not notices:
        return
    notice, way = chosen.choice(notices), chosen.random()
    if len(notices) > 30 or way < 0.2:
        notice.delete()
    elif way < 0.4:
        notice.unpublish()
    else:
        notice.text = f"Notice {number} {chosen.choice(WORDS)}"
        notice.save_revision().publish()


def parent(chosen):
    """A section or, one time in four, an article."""
    sections = Page.objects.filter(title="Section")
    articles = ArticlePage.objects.order_by("pk")
    if chosen.random() < 0.25 and articles.exists():
        return chosen.choice(list(articles))
    return chosen.choice(list(sections))
