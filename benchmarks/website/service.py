"""An embedding service for benchmarks, which answers each request after a fixed time.

It speaks OpenAI's protocol. ``GET /texts`` answers how many texts it has embedded, and how many of
them were different.
"""

import asyncio
import base64
import json
import os

from .embeddings import HashEmbeddings

LATENCY = float(os.environ.get("SERVICE_LATENCY", "0.05"))

_model = HashEmbeddings("service", HashEmbeddings.Options())
_texts = []


async def application(scope, receive, send):
    """Answer a request: an ASGI application."""
    body = b""
    more = scope["type"] == "http"
    while more:
        message = await receive()
        body, more = body + message["body"], message.get("more_body", False)
    if scope["type"] != "http":
        return
    # To make the answer is part of the fixed time: a real service has a machine of its own.
    clock = asyncio.get_running_loop().time
    answered = clock() + (0 if scope["method"] == "GET" else LATENCY)
    answer = _counts() if scope["method"] == "GET" else _embedded(json.loads(body)["input"])
    content = json.dumps(answer).encode()
    await asyncio.sleep(max(0, answered - clock()))
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": content})


def _counts():
    counts = {"texts": len(_texts), "different": len(set(_texts))}
    _texts.clear()
    return counts


def _embedded(texts):
    _texts.extend(texts)
    vectors = memoryview(_model.embed(texts)).cast("B")
    size = 4 * _model.dimensions
    data = [
        {"index": index, "embedding": base64.b64encode(vectors[start : start + size]).decode()}
        for index, start in enumerate(range(0, len(vectors), size))
    ]
    return {"object": "list", "model": "hash", "data": data}
