"""The benchmarks ask no URLs."""

urlpatterns = []
