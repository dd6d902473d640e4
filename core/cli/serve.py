"""Serve a workspace: the dashboard and a worker as child processes, until Ctrl-C.

Each child runs in a session of its own and ends when its stdin closes, so that even a killed
parent leaves nothing behind. On a machine with several accounts everybody reaches 127.0.0.1, so
one address with a random token is printed; the children know only its hash.
"""

import hashlib
import html
import http.client
import importlib.util
import ipaddress
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import webbrowser
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from core.access.sign_in import BASE_PATH
from core.errors import ServeError
from core.jobs.lifeline import LIFELINE

if TYPE_CHECKING:
    from core.workspace.workspace import Workspace

READY_S = 90.0
STOP_S = 5.0
POLL_S = 0.2
LOG_BYTES = 8 << 20
HEALTH = "/_stcore/health"
OPENING = "open.html"
"""A page that leads a browser to the printed address: a command line would show the token to all
accounts of the machine."""


@dataclass(frozen=True)
class Children:
    """Commands and environment of the processes that ``serve`` starts."""

    dashboard: Sequence[str]
    worker: Sequence[str]
    environment: Mapping[str, str]


def serve_workspace(
    folder: Path, port: int, address: str, open_browser: bool, base: str = ""
) -> int:
    """Serve until interrupted, and give the exit status.

    Errors: ServeError, before anything is bound, for an address that others reach while nobody
    signs in, or a port in use; WorkspaceError; NotAllowedError for an account that is nobody.
    """
    from core.access.os_user import acting_person
    from core.workspace.workspace import open_workspace

    with open_workspace(folder) as workspace:
        sign_in = workspace.settings.sign_in
        check_address(address, sign_in.address if sign_in else None)
        if sign_in:
            _check_settings(workspace)
        person = "" if sign_in else str(acting_person(workspace).id)
        folder, beside = workspace.folder, workspace.catalog_folder
        upload_mb = workspace.settings.upload_mb
    base = check_base(urlsplit(sign_in.address).path if sign_in else base)
    port = free_port(address, port)
    token = secrets.token_urlsafe(24)
    children = Children(
        dashboard_command(dashboard_file("server/asgi.py"), address, port, upload_mb, base),
        [sys.executable, "-P", "-m", "core.jobs.worker", "--workspace", str(folder)],
        child_environment(folder, token, person, port, base),
    )
    opening = (
        f"{sign_in.address}/"
        if sign_in
        else f"http://{_host(address)}:{port}{base}/open?token={token}"
    )

    def ready() -> None:
        click.echo(f"tomocurate serves {folder} at\n\n    {opening}\n\nCtrl-C stops it.")
        if open_browser:
            _open_browser(opening, beside / OPENING)

    try:
        return supervise(children, (address, port), beside, ready, base)
    finally:
        (beside / OPENING).unlink(missing_ok=True)


def supervise(
    children: Children,
    where: tuple[str, int],
    logs: Path,
    ready: Callable[[], None],
    base: str = "",
) -> int:
    """Run the children until a signal or the dashboard's end; a worker that dies is started anew.

    Errors: ServeError where the dashboard does not come up.
    """
    with ExitStack() as stack, _signals() as told:
        dashboard = stack.enter_context(
            running(children.dashboard, children.environment, logs / "dashboard.log")
        )
        wait_until_ready(where, dashboard, told, logs / "dashboard.log", base)
        worker = _keep_worker(children, logs, stack) if children.worker else None
        if not told:
            ready()
        while not told:
            time.sleep(POLL_S)
            if dashboard.poll() is not None:
                raise ServeError(
                    f"the dashboard ended by itself; {logs / 'dashboard.log'} says why."
                )
            if worker:
                next(worker)
    return 0 if signal.SIGINT in told or signal.SIGTERM in told else 1


def check_address(address: str, signs_in_at: str | None) -> None:
    """Refuse an address that other machines reach while nobody has to sign in, or without TLS.

    ``signs_in_at`` is where people who sign in reach the dashboard.

    Errors: ServeError.
    """
    if signs_in_at is not None and signs_in_at.startswith("https:"):
        return
    try:
        alone = address == "localhost" or ipaddress.ip_address(address).is_loopback
    except ValueError:
        alone = False
    if not alone and signs_in_at is not None:
        raise ServeError(
            f"{address}: other machines could reach it, but people sign in at {signs_in_at}, which "
            "is this machine alone; put TLS in front and state its https address in [sign_in]."
        )
    if not alone:
        raise ServeError(
            f"{address}: other machines could reach it, and nobody has to sign in; serve on "
            "127.0.0.1 and come by an SSH tunnel (ssh -L 8501:127.0.0.1:8501 SERVER), or let "
            "people sign in ([sign_in] in tomocurate.toml)."
        )


def free_port(address: str, port: int) -> int:
    """The port if it is free; 0 is any free one.

    Errors: ServeError.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((address, port))
        except (OSError, OverflowError) as error:
            raise ServeError(
                f"{address}:{port} cannot be bound ({error}); name another with --port."
            ) from error
        return int(trial.getsockname()[1])


def _check_settings(workspace: "Workspace") -> None:
    """Refuse to let people sign in by settings that a group may replace.

    Errors: ServeError.
    """
    from core.maintenance.checks.security import group_of

    wrong = [finding.said for finding in group_of(workspace) if finding.state == "bad"]
    if wrong:
        raise ServeError(wrong[0])


def check_base(path: str) -> str:
    """Return a path below which a proxy serves the dashboard, as /lab; empty for none.

    Errors: ServeError.
    """
    base = f"/{path.strip('/')}" if path.strip("/") else ""
    if not BASE_PATH.fullmatch(base):
        raise ServeError(f"{path}: not a path to serve below; write letters and digits, as /lab.")
    return base


def child_environment(
    folder: Path, token: str, person: str, port: int, base: str = ""
) -> dict[str, str]:
    """Return what the children are told; of the token only its hash.

    The user's settings for other Streamlit apps are left out.
    """
    own = {name: value for name, value in os.environ.items() if not name.startswith("STREAMLIT_")}
    return {
        **own,
        "TOMOCURATE_WORKSPACE": str(folder),
        "TOMOCURATE_OPEN_SHA256": hashlib.sha256(token.encode()).hexdigest(),
        "TOMOCURATE_PERSON": person,
        "TOMOCURATE_PORT": str(port),
        "TOMOCURATE_BASE_PATH": base,
        LIFELINE: "stdin",
        "FORWARDED_ALLOW_IPS": "",  # the gate must see the socket's own peer
        "PYTHONUNBUFFERED": "1",
    }


def dashboard_file(name: str) -> Path:
    """A file of the dashboard, which core starts but never imports."""
    spec = importlib.util.find_spec("dashboard")
    if spec is None or not spec.submodule_search_locations:
        raise ServeError("the dashboard is not installed; install tomocurate whole.")
    return Path(spec.submodule_search_locations[0]) / name


def dashboard_command(
    script: Path, address: str, port: int, upload_mb: int, base: str = ""
) -> list[str]:
    """The command that serves a script with an ASGI app, in our own look."""
    options: dict[str, Any] = {
        "server.address": address,
        "server.port": port,
        "server.headless": True,
        "server.baseUrlPath": base.strip("/"),
        "server.fileWatcherType": "none",
        "server.maxUploadSize": upload_mb,
        "server.trustedUserHeaders": '{"x-tomocurate-session": "session"}',  # the gate's
        "browser.gatherUsageStats": False,
        "client.toolbarMode": "minimal",
        "client.showErrorDetails": "none",
        "client.showErrorLinks": False,
        "runner.magicEnabled": False,
        "logger.enableRich": False,
        "theme.base": dashboard_file("theme.toml"),
    }
    words = [f"--{name}={_word(value)}" for name, value in options.items()]
    return [sys.executable, "-P", "-m", "dashboard.server.launch", "run", *words, str(script)]


@contextmanager
def running(
    command: Sequence[str], environment: Mapping[str, str], log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """A child in its own session, its output in a log, ended when the block ends."""
    with _open_log(log) as out:
        child = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    try:
        yield child
    finally:
        stop(child)


def stop(child: subprocess.Popen[bytes]) -> None:
    """End a child: close its stdin, then ask, then force."""
    if child.stdin:
        child.stdin.close()
    for end in (None, child.terminate, child.kill):
        if end:
            end()
        try:
            child.wait(STOP_S)
        except subprocess.TimeoutExpired:
            continue
        return


def wait_until_ready(
    where: tuple[str, int],
    child: subprocess.Popen[bytes],
    told: Sequence[int],
    log: Path,
    base: str = "",
) -> None:
    """Wait until the dashboard answers.

    Errors: ServeError where it ends first, or takes too long.
    """
    until = time.monotonic() + READY_S
    while time.monotonic() < until and not told:
        if child.poll() is not None:
            raise ServeError(f"the dashboard did not start; {log} says why.")
        if _answers(where, base):
            return
        time.sleep(POLL_S)
    if not told:
        raise ServeError(f"the dashboard does not answer after {READY_S:.0f} s; see {log}.")


def _open_browser(address: str, page: Path) -> None:
    """Open the printed address, where there is a screen to open it on."""
    screen = sys.platform in ("darwin", "win32") or {"DISPLAY", "WAYLAND_DISPLAY"} & set(os.environ)
    if not screen:
        return
    quoted = html.escape(address, quote=True)
    page.unlink(missing_ok=True)
    descriptor = os.open(page, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(f'<!doctype html><meta http-equiv="refresh" content="0;url={quoted}">')
    webbrowser.open(page.as_uri())


def _answers(where: tuple[str, int], base: str) -> bool:
    connection = http.client.HTTPConnection(*where, timeout=2)
    try:
        connection.request("GET", base + HEALTH)
        return connection.getresponse().status == http.HTTPStatus.OK
    except OSError:
        return False
    finally:
        connection.close()


def _keep_worker(children: Children, logs: Path, stack: ExitStack) -> Iterator[None]:
    """Start the worker, and look at each step whether it must be started again."""
    log = logs / "worker.log"

    def start() -> subprocess.Popen[bytes]:
        return stack.enter_context(running(children.worker, children.environment, log))

    def watch(worker: subprocess.Popen[bytes]) -> Iterator[None]:
        pause = 1.0
        while True:
            yield
            if worker.poll() is None:
                continue
            click.echo(f"the worker ended; it is started again ({log} says why).", err=True)
            until, pause = time.monotonic() + pause, min(pause * 2, 60.0)
            while time.monotonic() < until:
                yield
            worker = start()

    return watch(start())


@contextmanager
def _signals() -> Iterator[list[int]]:
    """Collect SIGINT, SIGTERM and SIGHUP instead of dying of them."""
    told: list[int] = []
    wanted = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup
        wanted.append(signal.SIGHUP)
    before = [signal.signal(number, lambda got, _: told.append(got)) for number in wanted]
    try:
        yield told
    finally:
        for number, handler in zip(wanted, before, strict=True):
            signal.signal(number, handler)


@contextmanager
def _open_log(path: Path) -> Iterator[IO[bytes]]:
    """A log for its owner alone; a large one is put aside first."""
    if path.exists() and path.stat().st_size > LOG_BYTES:
        path.replace(path.with_suffix(".old.log"))
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise ServeError(f"{path}: no log can be written there ({error.strerror}).") from error
    with os.fdopen(descriptor, "ab") as file:
        yield file


def _word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _host(address: str) -> str:
    return f"[{address}]" if ":" in address else address
