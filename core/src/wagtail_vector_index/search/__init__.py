"""Searches, which turn a query into a ranking of source objects.

`base` has the steps that all searches share. `text_search`, `similar_search` and
`hybrid_search` are the kinds of searches; `word_search` ranks by words. `ranking` ranks
candidates and fuses rankings. `results` loads the objects, and `chunks` scores their chunks.
"""
