"""Bound what idle connections cost: descriptors, and requests that are sent halfway."""

import asyncio
import resource
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

MOST_FILES = 65_536
HEADER_S = 30.0
"""Seconds in which a connection must have sent a whole request's headers."""


def limit_connections() -> None:
    """Allow as many descriptors as the system does, and close connections that ask for nothing.

    Uvicorn waits for a request's headers without end. A page needs about four descriptors.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, MOST_FILES), hard))
    for protocol in _protocols():
        _close_idle(protocol)


def _protocols() -> list[Any]:
    try:
        from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
    except ImportError:
        return [H11Protocol]
    return [H11Protocol, HttpToolsProtocol]


def _close_idle(protocol: Any) -> None:
    """Look at each connection from time to time; one that waits for headers too long is closed."""
    made = protocol.connection_made

    def connection_made(self: Any, transport: Any) -> None:
        made(self, transport)
        asyncio.get_running_loop().call_later(HEADER_S, look, self, transport, None)

    def look(self: Any, transport: Any, before: Any) -> None:
        if transport.is_closing() or transport.get_protocol() is not self:
            return  # gone, or a websocket now
        cycle = self.cycle
        answering = cycle is not None and not cycle.response_complete
        if not answering and cycle is before:
            transport.close()
            return
        asyncio.get_running_loop().call_later(HEADER_S, look, self, transport, cycle)

    protocol.connection_made = connection_made
