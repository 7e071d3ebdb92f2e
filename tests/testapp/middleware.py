"""Middleware for tests in a browser."""

import threading

_one = threading.Lock()


def one_at_a_time(get_response):
    """Answers one request at a time: the tests' database in memory locks no rows, but fails."""

    def middleware(request):
        with _one:
            return get_response(request)

    return middleware
