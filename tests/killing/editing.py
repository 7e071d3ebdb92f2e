"""An editor who never rests: publishes, moves, restricts and deletes pages at random."""

import random

from wagtail.models import Locale, Page, PageViewRestriction, Site

from tests.testapp.models import ArticlePage

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


def add(chosen, number):
    page = ArticlePage(title=f"Article {number}", intro=text(chosen), topic=chosen.choice(WORDS))
    parent(chosen).add_child(instance=page)


def edit_until(is_over, seed):
    """Edit until it is over; how many times that was."""
    chosen = random.Random(seed)
    count = 0
    while not is_over():
        edit(chosen, count + 1_000)
        count += 1
    return count


def edit(chosen, number):
    pages = list(ArticlePage.objects.order_by("pk"))
    if len(pages) < FEWEST:
        add(chosen, number)
        return
    page = chosen.choice(pages)
    if len(pages) > MOST:
        page.delete()
        return
    actions = {publish: 8, add_another: 4, move: 3, unpublish: 1, delete: 2, restrict: 1}
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
        page.move(target, pos="last-child")


def unpublish(chosen, page, number):
    page.unpublish()


def delete(chosen, page, number):
    page.delete()


def restrict(chosen, page, number):
    """Make a page private, with all that is below, or the one that is private public again."""
    restriction = PageViewRestriction.objects.first()
    if restriction is None:
        PageViewRestriction.objects.create(page=page, restriction_type=PageViewRestriction.LOGIN)
    else:
        restriction.delete()


def parent(chosen):
    """A section or, one time in four, an article."""
    sections = Page.objects.filter(title="Section")
    articles = ArticlePage.objects.order_by("pk")
    if chosen.random() < 0.25 and articles.exists():
        return chosen.choice(list(articles))
    return chosen.choice(list(sections))
