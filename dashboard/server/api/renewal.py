"""Renews the tokens of an open page while its session lives.

POST /api/tokens {"tokens": [...]} gives {"tokens": [...]}, each for another ten minutes.
"""

import http
import json

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from dashboard.server.api.slices import refusal
from dashboard.server.tokens import Signer, TokenError

MOST_BYTES = 64 << 10
MOST_TOKENS = 64


def renewal_route(signer: Signer) -> Route:
    """The route above."""

    async def renew(request: Request) -> Response:
        try:
            tokens = _asked(await bounded_body(request, MOST_BYTES))
            fresh = [signer.renew(token, request.state.person) for token in tokens]
        except TokenError as error:
            return refusal(str(error), http.HTTPStatus.FORBIDDEN)
        headers = {"cache-control": "no-store", "content-encoding": "identity"}
        return JSONResponse({"tokens": fresh}, headers=headers)

    return Route("/api/tokens", renew, methods=["POST"])


async def bounded_body(request: Request, most: int) -> bytes:
    """The body of a request, read no further than a limit.

    Errors: TokenError where it is longer.
    """
    held = b""
    async for piece in request.stream():
        held += piece
        if len(held) > most:
            raise TokenError("this request is too long.")
    return held


def _asked(raw: bytes) -> list[str]:
    try:
        tokens = json.loads(raw)["tokens"]
        plain = all(isinstance(token, str) for token in tokens) and len(tokens) <= MOST_TOKENS
    except (ValueError, KeyError, TypeError) as error:
        raise TokenError('a renewal is {"tokens": [...]}.') from error
    if not plain:
        raise TokenError('a renewal is {"tokens": [...]}.')
    return list(tokens)
