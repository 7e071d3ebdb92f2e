"""Runs the double on free ports, prints the ports, and stops when standard input ends.

python -m double [CERTIFICATE KEY]
"""

from __future__ import annotations

import ssl
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc
from weaviate.proto.v1 import health_weaviate_pb2 as health
from weaviate.proto.v1 import weaviate_pb2_grpc

from wagtail_vector_index.backends.weaviate import protocol  # noqa: F401  # quiet imports

from .faults import Faults
from .rest import Handler
from .rpc import Service
from .store import Store

LONGEST_MESSAGE = 104_858_000


class HTTPServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def healthy(request: Any, context: Any) -> Any:
    return health.WeaviateHealthCheckResponse(status=health.WeaviateHealthCheckResponse.SERVING)


CHECK = grpc.unary_unary_rpc_method_handler(
    healthy,
    request_deserializer=health.WeaviateHealthCheckRequest.FromString,
    response_serializer=health.WeaviateHealthCheckResponse.SerializeToString,
)


def main(certificate: str = "", key: str = "") -> None:
    store, faults = Store(), Faults()
    handler = type("BoundHandler", (Handler,), {"store": store, "faults": faults})
    http = HTTPServer(("127.0.0.1", 0), handler)
    options = [
        ("grpc.max_receive_message_length", LONGEST_MESSAGE),
        ("grpc.max_send_message_length", LONGEST_MESSAGE),
    ]
    rpc = grpc.server(ThreadPoolExecutor(32), options=options)
    weaviate_pb2_grpc.add_WeaviateServicer_to_server(Service(store, faults), rpc)
    rpc.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler("grpc.health.v1.Health", {"Check": CHECK})]
    )
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        http.socket = context.wrap_socket(http.socket, server_side=True)
        pair = (Path(key).read_bytes(), Path(certificate).read_bytes())
        port = rpc.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
    else:
        port = rpc.add_insecure_port("127.0.0.1:0")
    rpc.start()
    threading.Thread(target=http.serve_forever, args=(0.05,), daemon=True).start()
    print(http.server_port, port, flush=True)
    sys.stdin.read()
    rpc.stop(None)
    http.shutdown()
    http.server_close()


if __name__ == "__main__":
    main(*sys.argv[1:])
