from __future__ import annotations

from usearch_wagtail_vectors.backend import UsearchBackend

from wagtail_vector_index.handlers import vector_backends


def test_a_site_selects_it_by_its_short_name() -> None:
    assert isinstance(vector_backends["default"], UsearchBackend)


def test_a_folder_that_does_not_exist_is_told() -> None:
    backend = UsearchBackend("default", UsearchBackend.Options(path="/no/such/folder/file"))
    [message] = backend.check()
    assert "/no/such/folder" in message.msg
