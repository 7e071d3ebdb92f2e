import pytest

from tests.fake_distributions import make_site


@pytest.fixture
def site(tmp_path, monkeypatch):
    """Where fake distributions are installed; no real plugin is seen."""
    for site in make_site(tmp_path, monkeypatch):
        site.hide()
        yield site
