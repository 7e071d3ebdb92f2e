"""Measures how well an index answers questions whose right answers are known.

`questions` reads them from a file, `answers` finds the objects that are right, `running` asks, and
`measures` computes. The command ``evaluate_vector_index`` prints the result.
"""
