"""Short-lived signed words: who may do what with which object, until when.

Streamlit does not guard our own routes, so each asks for such a token besides the session cookie.
A token is bound to person, object and action, and travels in a header of ``fetch``, never in an
address, where logs and caches would keep it.
"""

import base64
import hashlib
import hmac
import json
import os
import secrets
import time
from pathlib import Path
from typing import NamedTuple

from db.errors import TomocurateError

TOKEN_S = 600
"""Seconds that a token for an object lives; the page renews it silently."""
SESSION_S = 7 * 24 * 3600
"""Seconds that a signed-in browser stays so."""
KEY_BYTES = 32


class TokenError(TomocurateError):
    """A token or a session is missing, was tampered with, or is over."""


class Grant(NamedTuple):
    """What a token allows."""

    person: str
    object: str
    action: str


class Held(NamedTuple):
    """What a browser's cookie says: who, and which of their sessions."""

    person: str
    session: str


class Signer:
    """Signs and checks with one secret; every purpose has a key of its own."""

    def __init__(self, secret: bytes) -> None:
        """Take the server's secret (at least 32 bytes)."""
        if len(secret) < KEY_BYTES:
            raise ValueError("a signing secret has at least 32 bytes")
        self._secret = secret

    def mint(self, grant: Grant, now: float | None = None) -> str:
        """A token for this grant, good for ten minutes."""
        return self._sign("token", [*grant, int(now or time.time()) + TOKEN_S])

    def check(self, text: str, action: str, name: str, now: float | None = None) -> Grant:
        """The grant of a token that must be good for this action on this object.

        Errors: TokenError.
        """
        grant, expires = self._read_grant(text)
        if expires < (now or time.time()):
            raise TokenError("this token is over; the page asks for a new one.")
        if (grant.action, grant.object) != (action, name):
            raise TokenError(f"this token does not allow to {action} {name}.")
        return grant

    def renew(self, text: str, person: str, now: float | None = None) -> str:
        """A fresh token for an honest one that may be over, to the person that it was made for.

        Errors: TokenError.
        """
        grant, expires = self._read_grant(text)
        at = now or time.time()
        if grant.person != person or expires + SESSION_S < at:
            raise TokenError("this token belongs to another session; open the page again.")
        return self.mint(grant, at)

    def open_session(self, person: str, lasts: float = SESSION_S, now: float | None = None) -> str:
        """The value of the cookie of a signed-in person: a session of its own, so many seconds."""
        ends = int((now or time.time()) + lasts)
        return self._sign("session", [person, secrets.token_urlsafe(12), ends])

    def session_of(self, cookie: str, now: float | None = None) -> Held:
        """The session of a cookie.

        Errors: TokenError.
        """
        person, session, expires = self._verify("session", cookie, 3)
        if float(expires) < (now or time.time()):
            raise TokenError("this session is over; sign in again.")
        return Held(str(person), str(session))

    def _read_grant(self, text: str) -> tuple[Grant, float]:
        person, name, action, expires = self._verify("token", text, 4)
        return Grant(str(person), str(name), str(action)), float(expires)

    def _sign(self, purpose: str, content: list[str | int]) -> str:
        body = _encode(json.dumps(content, separators=(",", ":")).encode())
        return f"{body}.{_encode(self._digest(purpose, body))}"

    def _verify(self, purpose: str, text: str, fields: int) -> list[str]:
        body, _, signature = text.partition(".")
        expected = _encode(self._digest(purpose, body)).encode()
        if not hmac.compare_digest(signature.encode(), expected):
            raise TokenError("this token was not made here; open the page again.")
        content = json.loads(_decode(body))
        if len(content) != fields:
            raise TokenError("this token is of another version; open the page again.")
        return list(content)

    def key_for(self, purpose: str) -> bytes:
        """A key of its own for a purpose."""
        return hmac.digest(self._secret, purpose.encode(), hashlib.sha256)

    def _digest(self, purpose: str, body: str) -> bytes:
        return hmac.digest(
            self.key_for(purpose), body.encode("utf-8", "surrogateescape"), hashlib.sha256
        )


def secret_in(path: Path) -> bytes:
    """The secret of a server: read from its file, or made there, readable by its owner alone.

    Errors: TokenError where the file may be read by others, or holds too little.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return _kept_secret(path)
    except OSError as error:
        raise TokenError(f"{path}: cannot be written ({error.strerror}).") from error
    with os.fdopen(descriptor, "wb") as file:
        file.write(secrets.token_bytes(KEY_BYTES))
        file.flush()
        os.fsync(file.fileno())
    return _kept_secret(path)


def _kept_secret(path: Path) -> bytes:
    facts = path.stat()
    if facts.st_mode & 0o077:
        raise TokenError(f"{path}: others may read it; run chmod 600 on it, or remove it.")
    secret = path.read_bytes()
    if len(secret) < KEY_BYTES:
        raise TokenError(f"{path}: holds no secret of {KEY_BYTES} bytes; remove it.")
    return secret


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
