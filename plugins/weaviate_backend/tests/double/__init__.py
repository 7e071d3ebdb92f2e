"""A stand-in for a Weaviate server: the subset of REST and gRPC that the backend uses.

The double is not a database: it keeps everything in memory, compares each record with each
query, and has no index, no cluster and no users. It runs in a process of its own, and refuses
what a real server was seen to refuse. A test chooses how it fails.
"""
