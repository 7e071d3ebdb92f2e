"""Scores by meaning and by words, combined."""

from __future__ import annotations

import uuid

from wagtail_vector_index.search.ranking import Hit, score_fusion


def fused(vectors, words, weight=0.5, metric="cosine"):
    hits = [Hit(key=key, score=score, document=uuid.uuid4()) for key, score in vectors.items()]
    return [hit.key for hit in score_fusion(hits, words, vector_weight=weight, metric=metric)]


def test_each_score_counts_by_how_near_it_is_to_the_best():
    vectors = {"a": 0.8, "b": 0.6, "c": 0.2}
    assert fused(vectors, {"b": 9.0, "c": 3.0}) == ["b", "a", "c"]
    assert fused(vectors, {"b": 9.0, "c": 9.0}) == ["b", "c", "a"]


def test_the_weight_decides_between_the_two():
    vectors, words = {"a": 0.8, "b": 0.4}, {"a": 1.0, "b": 4.0}
    assert fused(vectors, words, weight=1) == ["a", "b"]
    assert fused(vectors, words, weight=0) == ["b", "a"]


def test_without_words_the_vectors_decide():
    assert fused({"a": 0.1, "b": 0.3}, {}) == ["b", "a"]
    assert fused({"a": -0.5, "b": -0.1}, {}) == ["b", "a"]
    assert fused({}, {"a": 1.0}) == []
    assert fused({"a": 0.5}, {"a": 1.0}) == ["a"]


def test_words_decide_among_texts_that_are_far_in_meaning():
    """Below zero there is nothing in common: more so is no worse."""
    assert fused({"a": -0.1, "b": -0.9}, {"b": 2.0}) == ["b", "a"]
    assert fused({"a": 0.0, "b": -0.9}, {"a": 1.0, "b": 2.0}) == ["b", "a"]


def test_distances_count_like_similarities():
    vectors = {"near": -0.1, "far": -3.0, "same": 0.0}
    assert fused(vectors, {}, metric="euclidean") == ["same", "near", "far"]
    assert fused(vectors, {"far": 1.0}, weight=0.2, metric="euclidean")[0] == "far"
    assert fused({"a": 120.0, "b": -4.0}, {"b": 1.0}, weight=0.6, metric="dot") == ["a", "b"]


def test_equal_sums_are_in_the_order_of_the_vectors():
    assert fused({"a": 0.2, "b": 0.4}, {"a": 2.0, "b": 1.0}) == ["b", "a"]
