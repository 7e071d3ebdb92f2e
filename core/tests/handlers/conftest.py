"""Sites with plugins that are made up, and their settings."""

import pytest

from tests.fake_distributions import BACKEND, offering
from tests.fake_distributions import make_site as make_fake_site
from tests.setting_errors import VECTOR


@pytest.fixture
def site(tmp_path, monkeypatch):
    """Where fake distributions are installed, beside the real ones."""
    yield from make_fake_site(tmp_path, monkeypatch)


@pytest.fixture
def acme(site):
    """An installed plugin that offers the vector backend ``acme``."""

    def install(backend=BACKEND, spec="", **more):
        plugin = offering("vector", acme=f'path="acme_backend.AcmeBackend"{spec}')
        site.install(
            "acme-vectors",
            {"acme": "acme_plugin"},
            acme_plugin=plugin,
            acme_backend=backend,
            **more,
        )

    return install


@pytest.fixture
def configure(settings):
    def configure(setting=VECTOR, **aliases):
        setattr(settings, setting, aliases)

    return configure
