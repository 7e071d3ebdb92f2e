"""The kit for backends of services: a vector backend is its operations and its errors.

You write four things:

- `Operations`: each operation as steps that yield requests (`wagtail_vector_index.contract.sansio`
  says how), written once for both kinds of client.
- `Service`: how a client of either kind is made, and how it sends one request.
- `ServiceErrors`: what an error of the client means, and what to do about it.
- the backend itself, which derives from `ServiceBackend` and `VectorBackend`: its options and
  its system checks.

The kit adds the rest: clients for threads and for event loops, requests under way together,
retries with a deadline, pauses, errors in one sentence without secrets, and every method of a
vector backend in its two forms.

Retries need the library tenacity, which the distribution of the backend must require.
"""

from .backend import Operations, Query, ServiceBackend
from .certificates import pem_files
from .errors import ServiceErrors, causes, said_in, unwritten
from .requests import Pause, Request, Together, repeated
from .running import Service

__all__ = [
    "Operations",
    "Pause",
    "Query",
    "Request",
    "Service",
    "ServiceBackend",
    "ServiceErrors",
    "Together",
    "causes",
    "pem_files",
    "repeated",
    "said_in",
    "unwritten",
]
