"""A stand-in for a Weaviate server: the subset of REST and gRPC that the backend uses.

It is a double, not a database: it keeps everything in memory, compares each record with each
query, and knows no index, no cluster and no user. It runs in a process of its own, is as
strict as the server where that was seen to refuse something, and fails as it is told.
"""
