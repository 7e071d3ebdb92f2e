"""Writes source objects to the index tables, and from there to vector backends.

The steps of an update, in the order of their modules:

1. `comparing` finds the objects that changed, `outbox` keeps them, `expanding` replaces rows
   that stand for many objects. `dependencies` knows which objects read which.
2. `draining` takes what is due, in `shares` with other processes: `fetching` loads the objects,
   `preparing` makes documents of them, `embedding` embeds the texts that the index tables lack.
3. `writing` writes documents and tombstones in one transaction, through `bulk_insert`.
4. `pushing` sends to a persistent backend what it lacks, `catching_up` loads a backend in
   memory; both read `batches`. `snapshots` are the files by which processes share what is loaded,
   and `file_writer` is the thread that writes them.

An index with ``keep_embeddings = False`` drops an embedding once the backend has it: `keeping`.
`backend_vectors` and `dropped` find the vectors that are needed later.

`updating` runs these steps, and builds a collection beside the active one by its `plan`.
`building` says which process leads a build, `processes` whether one still works, `progress` how
far it is, `status` how an index is doing.
`failures` keeps errors, `backoff` says when to try again, `cleaning` drops what is unused.
"""
