"""The errors of the reranking backend ``openai``, and what to do about them."""

from __future__ import annotations

from wagtail_vector_index.embeddings.openai.errors import COMMON_STATUSES, Advice
from wagtail_vector_index.exceptions import RerankingRefused, RerankingUnavailable

_REFUSES = (
    "refuses the request. Check MODEL and PROTOCOL. If the texts are too long for the model, choose"
    " another or lower chunk_tokens of the index; if they are too many, lower its rerank_candidates"
)

RERANKING_ADVICE = Advice(
    unavailable=RerankingUnavailable,
    refused=RerankingRefused,
    statuses={
        **COMMON_STATUSES,
        400: _REFUSES,
        404: "has no such model or address. Check MODEL and HOST, which is the service's URL"
        " without '/rerank' at its end",
        413: "refuses the request as too large. Lower rerank_candidates of the index",
        422: _REFUSES,
    },
    slow="raise TIMEOUT, or lower rerank_candidates of the index",
    limited="",
)
