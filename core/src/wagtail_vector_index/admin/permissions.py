"""The permission to manage vector indexes."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Permission
from django.db.models import QuerySet
from wagtail.permission_policies import ModelPermissionPolicy

from ..models.tables import Collection

#: Stands for the permission ``wagtail_vector_index.manage_collection``.
MANAGE = "manage"

policy = ModelPermissionPolicy(Collection)


def may_manage(user: Any) -> bool:
    """Return whether a user may manage vector indexes."""
    return bool(policy.user_has_permission(user, MANAGE))


def grantable() -> QuerySet[Permission]:
    """Return the permission, for the form of groups."""
    return Permission.objects.filter(
        content_type__app_label=Collection._meta.app_label, codename=f"{MANAGE}_collection"
    )
