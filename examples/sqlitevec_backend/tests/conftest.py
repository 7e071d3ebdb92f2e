from __future__ import annotations

from django.conf import settings

# In the repository of Wagtail Vector Index, all tests share its settings.
if not settings.configured:
    settings.configure()
