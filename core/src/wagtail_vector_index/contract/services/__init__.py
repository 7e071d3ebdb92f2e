"""The kit for vector backends that use a service over a network.

You write four things:

- `Operations`: each operation as steps that yield requests, written once for both kinds of
  client; `wagtail_vector_index.contract.sansio` explains how.
- `Service`: makes a client of either kind, and sends one request with it.
- `ServiceErrors`: explains what an error of the client means, and what to do about it.
- the backend, which derives from `ServiceBackend` and `VectorBackend`: its options and its
  system checks.

The kit adds the rest: clients for threads and for event loops, concurrent requests, retries,
deadlines of whole operations, pauses, errors in one sentence without secrets, and
every method of a vector backend in its two forms.

Retries need the library tenacity. The distribution of your backend must require it.
"""

from .backend import Operations, Query, ServiceBackend
from .certificates import pem_files
from .deadlines import Deadline, client_timeout
from .errors import ServiceErrors, causes, said_in, unwritten
from .proxies import grpc_proxy_options, proxy_of, without_credentials
from .requests import LateError, Pause, Request, Together, Within, repeated, with_deadline
from .running import Service

__all__ = [
    "Deadline",
    "LateError",
    "Operations",
    "Pause",
    "Query",
    "Request",
    "Service",
    "ServiceBackend",
    "ServiceErrors",
    "Together",
    "Within",
    "causes",
    "client_timeout",
    "grpc_proxy_options",
    "pem_files",
    "proxy_of",
    "repeated",
    "said_in",
    "unwritten",
    "with_deadline",
    "without_credentials",
]
