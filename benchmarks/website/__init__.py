"""The site that the benchmarks index and search."""
