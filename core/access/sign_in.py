"""Read and check the sign-in settings of tomocurate.toml.

[sign_in]                               [sign_in]
by = "oidc"                             by = "proxy"
provider = "https://.../openid-…"       header = "X-Remote-User"
client_id = "tomocurate"                proxies = ["127.0.0.1"]
client_secret_file = "client.secret"    address = "https://tomocurate.lab.example"
address = "https://tomocurate.lab.example"
"""

import ipaddress
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from core.errors import WorkspaceError
from db.vocabulary import Role

SECRET_VARIABLE = "TOMOCURATE_CLIENT_SECRET"  # noqa: S105 - the name of a variable, no secret
SESSION_HOURS = 12.0
BASE_PATH = re.compile(r"(/[A-Za-z0-9_-]+)*")
"""The path below which a proxy serves the dashboard."""

PROXY_ISSUER = "proxy"
"""The issuer of people whom a reverse proxy names."""


@dataclass(frozen=True)
class Oidc:
    """An OpenID provider: any that publishes its metadata (OpenID Connect Discovery 1.0)."""

    provider: str
    """Address of the provider's metadata."""
    client_id: str
    address: str
    """Where browsers reach the dashboard; the provider sends them back to it."""
    client_secret_file: str | None = None
    session_hours: float = SESSION_HOURS
    new_people: Role | None = None
    """The role of somebody who signs in for the first time; None lets nobody in unasked."""

    def secret(self, folder: Path) -> str:
        """The client's secret: the variable, else its file (relative to the workspace).

        Errors: WorkspaceError where there is none, or others may read the file.
        """
        stated = os.environ.get(SECRET_VARIABLE)
        if stated:
            return stated
        if self.client_secret_file is None:
            raise WorkspaceError(
                f"sign-in: no client secret; set {SECRET_VARIABLE}, or name client_secret_file."
            )
        return _read_secret(folder / self.client_secret_file)


@dataclass(frozen=True)
class Proxy:
    """A reverse proxy that signs people in and names them in a header."""

    header: str
    proxies: tuple[str, ...]
    """Addresses from which the header is believed; from any other it is dropped."""
    address: str
    session_hours: float = SESSION_HOURS
    new_people: Role | None = None


SignIn = Oidc | Proxy


def read_sign_in(path: Path, table: Mapping[str, Any]) -> SignIn | None:
    """Read the table [sign_in]; an empty one means that nobody signs in.

    Errors: WorkspaceError names the line and what would be right.
    """
    if not table:
        return None
    words = dict(table)
    by = words.pop("by", None)
    checks = {"oidc": _OIDC, "proxy": _PROXY}.get(by) if isinstance(by, str) else None
    if checks is None:
        raise WorkspaceError(f"{path}: sign_in.by is {str(by)[:40]!r}; write oidc or proxy.")
    for name in words:
        if name not in checks:
            raise WorkspaceError(
                f"{path}: sign_in.{name[:60]} is not known; known are {', '.join(checks)}."
            )
    values = {name: _check_value(path, name, words[name], checks[name]) for name in words}
    try:
        return Oidc(**values) if by == "oidc" else Proxy(**values)
    except TypeError as error:
        missing = [name for name in _REQUIRED[str(by)] if name not in values]
        raise WorkspaceError(f"{path}: sign_in lacks {', '.join(missing)}.") from error


_Check = tuple[Callable[[Any], Any], str]


def _check_value(path: Path, name: str, value: object, check: _Check) -> Any:
    read, wanted = check
    try:
        return read(value)
    except (TypeError, ValueError, AttributeError) as error:
        raise WorkspaceError(f"{path}: sign_in.{name} is {str(value)[:80]!r}; {wanted}.") from error


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise ValueError
    return value


def _provider(value: Any) -> str:
    """An address that nobody between us and the provider can change: TLS, or this machine."""
    parts = urlsplit(_text(value))
    if parts.scheme != "https" and not (parts.scheme == "http" and is_here(parts.hostname)):
        raise ValueError
    return str(value)


def _address(value: Any) -> str:
    parts = urlsplit(_text(value))
    path = parts.path.rstrip("/")
    right = parts.scheme in ("https", "http") and parts.netloc and BASE_PATH.fullmatch(path)
    if not right or parts.query or parts.fragment or parts.username:
        raise ValueError
    if parts.scheme == "http" and not is_here(parts.hostname):
        raise ValueError
    return f"{parts.scheme}://{parts.netloc.lower()}{path}"


def is_here(host: str | None) -> bool:
    """Return whether a host is this machine's own loopback."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def _hours(value: Any) -> float:
    if isinstance(value, bool) or not 0 < float(value) <= 24 * 7:
        raise ValueError
    return float(value)


def _role(value: Any) -> Role:
    role = Role(value)
    if role is Role.ADMIN:
        raise ValueError
    return role


def _header(value: Any) -> str:
    name = _text(value)
    if not name.replace("-", "").isalnum() or not name.isascii():
        raise ValueError
    return name.lower()


def _proxies(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        raise ValueError
    return tuple(str(ipaddress.ip_address(item)) for item in value)


_SHARED: Mapping[str, _Check] = {
    "address": (_address, "write where browsers reach it, such as https://tomocurate.lab.example"),
    "session_hours": (_hours, "write a number of hours up to 168"),
    "new_people": (_role, "write viewer, annotator, reviewer or curator"),
}
_OIDC: Mapping[str, _Check] = {
    "provider": (_provider, "write the https address of the provider's openid-configuration"),
    "client_id": (_text, "write the name that the provider knows this dashboard by"),
    "client_secret_file": (_text, "write a file that only this account may read"),
    **_SHARED,
}
_PROXY: Mapping[str, _Check] = {
    "header": (_header, "write the name of the header in which the proxy names the person"),
    "proxies": (_proxies, 'write the addresses of the proxy, such as ["127.0.0.1"]'),
    **_SHARED,
}
_REQUIRED = {
    "oidc": ("provider", "client_id", "address"),
    "proxy": ("header", "proxies", "address"),
}


def _read_secret(path: Path) -> str:
    try:
        if path.stat().st_mode & 0o077:
            raise WorkspaceError(f"{path}: others may read this secret; run chmod 600 on it.")
        text = path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise WorkspaceError(f"{path}: the client's secret cannot be read.") from error
    if not text:
        raise WorkspaceError(f"{path}: holds no secret.")
    return text
