"""The tests' settings on a site with a schema of PostgreSQL for each tenant."""

import os

from tests.settings_file import *  # noqa: F403
from tests.settings_file import DATABASES, INSTALLED_APPS

DATABASES["default"]["ENGINE"] = "django_tenants.postgresql_backend"
DATABASE_ROUTERS = ["django_tenants.routers.TenantSyncRouter"]

SHARED_APPS = ["django_tenants", "tests.tenants", "django.contrib.contenttypes"]
TENANT_APPS = [app for app in INSTALLED_APPS if app not in SHARED_APPS]
TENANT_APPS += ["django.contrib.contenttypes"]
INSTALLED_APPS = [*SHARED_APPS, *(app for app in TENANT_APPS if app not in SHARED_APPS)]
TENANT_MODEL = "tenants.Client"
TENANT_DOMAIN_MODEL = "tenants.Domain"
SILENCED_SYSTEM_CHECKS = ["django_tenants.W003"]

WAGTAIL_VECTOR_INDEX_VECTOR_BACKENDS = {
    "default": {"BACKEND": os.environ.get("TENANTS_BACKEND", "numpy")}
}
WAGTAIL_VECTOR_INDEX_AUTO_UPDATE = True
