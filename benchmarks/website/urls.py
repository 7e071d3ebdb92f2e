"""The URLs of the benchmarks' site. There are none, since the benchmarks make no requests."""

urlpatterns = []
