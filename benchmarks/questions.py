"""Questions about the demo's pages, and the pages that answer each.

They were written before any of them was asked, and are not adapted to the results. A page is
named by its path in Django's documentation.
"""

#: Questions in the words of the page.
SAME_WORDS = {
    "How do I set SESSION_COOKIE_AGE?": ["ref/settings", "topics/http/sessions"],
    "select_related and prefetch_related": ["ref/models/querysets", "topics/db/optimization"],
    "How does clickjacking protection with X-Frame-Options work?": ["ref/clickjacking"],
    "writing a custom management command with BaseCommand": ["howto/custom-management-commands"],
    "conditional view processing with ETag and Last-Modified": [
        "topics/conditional-view-processing"
    ],
    "composite primary keys": ["topics/composite-primary-key"],
    "How to deploy with Daphne": ["howto/deployment/asgi/daphne"],
    "GenericForeignKey and content types": ["ref/contrib/contenttypes"],
    "SearchVector and SearchRank in full text search": ["ref/contrib/postgres/search"],
    "RunPython migration operation": [
        "ref/migration-operations",
        "howto/writing-migrations",
        "topics/migrations",
    ],
    "humanize filters such as naturaltime and intcomma": ["ref/contrib/humanize"],
    "timestamp signer max_age for signed values": ["topics/signing"],
    "transaction.atomic and savepoints": ["topics/db/transactions"],
    "management form data is missing or has been tampered with in a formset": [
        "topics/forms/formsets"
    ],
    "database router db_for_read and allow_migrate": ["topics/db/multi-db"],
    "password hashers Argon2 and PBKDF2": ["topics/auth/passwords"],
    "sitemap framework changefreq and priority": ["ref/contrib/sitemaps"],
    "sync_to_async and async_to_sync adapter functions": ["topics/async"],
    "inspectdb to integrate a legacy database": ["howto/legacy-databases", "ref/django-admin"],
    "makemessages and compilemessages to create message files": [
        "topics/i18n/translation",
        "ref/django-admin",
    ],
    "upload handlers MemoryFileUploadHandler and TemporaryFileUploadHandler": [
        "ref/files/uploads",
        "topics/http/file-uploads",
    ],
    "GeoIP2 city and country lookups with MaxMind": ["ref/contrib/gis/geoip2"],
}

#: Questions in other words, as people ask who do not know the words of the page.
OTHER_WORDS = {
    "prevent a malicious site from embedding my page to trick people into pressing buttons": [
        "ref/clickjacking",
        "topics/security",
    ],
    "do several saves all or nothing so that half-finished work is undone": [
        "topics/db/transactions"
    ],
    "show prices and dates the way people in another country write them": [
        "topics/i18n/formatting"
    ],
    "let people sign in with their email address instead of a nickname": [
        "topics/auth/customizing"
    ],
    "my loop is slow because it asks for linked rows one by one": [
        "topics/db/optimization",
        "ref/models/querysets",
    ],
    "keep a copy of finished pages so that the server does less work": ["topics/cache"],
    "split a long list over several screens with next and previous links": [
        "topics/pagination",
        "ref/paginator",
    ],
    "remember what a visitor put into the shopping cart": ["topics/http/sessions"],
    "show a one-time notice after somebody has saved something": ["ref/contrib/messages"],
    "send people from an old address to the new one after a page was renamed": [
        "ref/contrib/redirects"
    ],
    "make a spreadsheet that visitors can download": ["howto/outputting-csv"],
    "generate a printable document such as an invoice": ["howto/outputting-pdf"],
    "clocks go forward in spring and times are off by an hour": ["topics/i18n/timezones"],
    "use an existing set of tables that another program made": ["howto/legacy-databases"],
    "have my own code run whenever a row is written": ["topics/signals", "ref/signals"],
    "what to look at before putting the site on the internet": ["howto/deployment/checklist"],
    "fill the tables with some rows to start with": ["howto/initial-data", "topics/db/fixtures"],
    "serve pictures and stylesheets from a separate machine": ["howto/static-files/deployment"],
    "get a mail with the stack trace when visitors hit a bug": [
        "howto/error-reporting",
        "howto/logging",
        "topics/logging",
    ],
    "calculate totals and averages per group": ["topics/db/aggregation"],
    "hide parts of the site from those who have not logged in": ["topics/auth/default"],
    "ask for the same details several times on one screen, once for each item": [
        "topics/forms/formsets"
    ],
}
