"""Keeps one model in a database of its own."""


class OtherRouter:
    """Sends ``Remote`` to the database ``other``, everything else to the default."""

    def db_for_read(self, model, **hints):
        return "other" if model._meta.model_name == "remote" else None

    db_for_write = db_for_read

    def allow_migrate(self, db, app_label, model_name=None, **hints):
        return (db == "other") == (model_name == "remote")


class LaggingRouter(OtherRouter):
    """Reads of all content go to a database that has nothing of it yet."""

    def db_for_read(self, model, **hints):
        own = model._meta.app_label == "wagtail_vector_index"
        return None if own else "other"


class ReplicaRouter(OtherRouter):
    """Reads of the record go to a database that has nothing of it."""

    def db_for_read(self, model, **hints):
        own = model._meta.app_label == "wagtail_vector_index"
        return "other" if own else super().db_for_read(model, **hints)
