"""serve starts the dashboard and a worker, says one address, and leaves nothing behind."""

import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from core.cli import serve
from core.cli.serve import Children, check_address, serve_workspace, supervise
from core.errors import ServeError, WorkspaceError
from core.workspace.workspace import init_workspace
from dashboard.server.limits import HEADER_S

SERVE = "import sys; from core.cli.main import main; sys.exit(main())"
HEALTHY = """
import http.server, sys
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Answer).serve_forever()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "lab"
    init_workspace(made).close()
    return made


class Served:
    """A running ``tomocurate serve``."""

    def __init__(self, folder: Path, *options: str, **environment: str) -> None:
        command = [sys.executable, "-c", SERVE, "serve", "--port", "0", "--workspace", str(folder)]
        self.folder = folder
        self.process = subprocess.Popen(
            [*command, *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, **environment},
        )
        assert self.process.stdout
        self.said = ""
        while "Ctrl-C" not in self.said:
            line = self.process.stdout.readline()
            assert line, self.said + logs(folder)
            self.said += line
        self.address = next(iter(re.findall(r"http://\S+", self.said)))

    @property
    def token(self) -> str:
        return str(self.address.partition("token=")[2])

    def ask(self, path: str, **headers: str) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection(urlsplit(self.address).netloc, timeout=10)
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer

    def children(self) -> list[int]:
        listed = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [pid for pid in map(int, listed.split()) if alive(pid)]


@pytest.fixture
def start(folder: Path) -> Iterator[Callable[..., Served]]:
    started: list[Served] = []

    def begin(*options: str, **environment: str) -> Served:
        started.append(Served(folder, *options, **environment))
        return started[-1]

    yield begin
    for served in started:
        served.process.kill()
        served.process.wait()
        assert served.process.stdout
        served.process.stdout.close()


def logs(folder: Path) -> str:
    return "".join(path.read_text() for path in folder.glob("*.log"))


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_for(path: Path) -> None:
    for _ in range(200):
        if path.exists() and path.read_text():
            return
        time.sleep(0.05)
    raise AssertionError(f"{path} did not appear")


def gone_within(seconds: float, pids: list[int]) -> bool:
    until = time.monotonic() + seconds
    while any(map(alive, pids)):
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def test_the_printed_address_signs_a_browser_in_and_ctrl_c_stops_all(
    start: Callable[..., Served], folder: Path, tmp_path: Path
) -> None:
    browser, opened, page = (tmp_path / name for name in ("browser", "opened", "page"))
    browser.write_text(f'#!/bin/sh\ncp "${{1#file://}}" {page}\necho "$@" > {opened}\n')
    browser.chmod(0o755)
    served = start("--browser", BROWSER=f"{browser} %s", DISPLAY=":0")
    assert served.said.count("http://") == 1
    assert served.ask("/").status == 401
    entered = served.ask(urlsplit(served.address).path + "?token=" + served.token)
    assert entered.status == 303
    cookie = entered.headers["set-cookie"].partition(";")[0]
    assert served.ask("/", Cookie=cookie).status == 200
    assert served.ask("/browse", Cookie=cookie).status == 200

    wait_for(opened)
    assert served.token not in opened.read_text()
    assert served.token in page.read_text()
    assert (folder / serve.OPENING).stat().st_mode & 0o777 == 0o600

    children = served.children()
    assert len(children) == 2
    served.process.send_signal(signal.SIGINT)
    assert served.process.wait(15) == 0
    assert gone_within(1, children)
    assert not (folder / serve.OPENING).exists()
    assert logs(folder)
    assert served.token not in logs(folder)
    for path in folder.glob("*.log"):
        assert path.stat().st_mode & 0o077 == 0


def opened(served: Served) -> str:
    """Open the printed address, and return the cookie."""
    where = urlsplit(served.address)
    entered = served.ask(f"{where.path}?{where.query}")
    assert entered.status == 303
    return str(entered.headers["set-cookie"].partition(";")[0])


def test_settings_for_other_streamlit_apps_do_not_count(
    start: Callable[..., Served], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither of the current folder nor of the user nor of the environment."""
    text = (
        '[server]\nbaseUrlPath = "static"\nenableStaticServing = true\nport = 1\n'
        "enableXsrfProtection = false\nscriptHealthCheckEnabled = true\n"
        '[client]\nshowErrorDetails = "full"\n'
    )
    for folder in (tmp_path / "here", tmp_path / "home"):
        (folder / ".streamlit").mkdir(parents=True)
        (folder / ".streamlit" / "config.toml").write_text(text)
    monkeypatch.chdir(tmp_path / "here")
    served = start(
        "--no-browser", HOME=str(tmp_path / "home"), STREAMLIT_SERVER_BASE_URL_PATH="assets"
    )
    for path in ("/static/_stcore/host-config", "/assets/_stcore/metrics", "/app/static/x"):
        assert served.ask(path).status in (401, 404), path
    assert served.ask("/static/").status != 200
    cookie = opened(served)
    assert served.ask("/", Cookie=cookie).status == 200
    for path in ("/static/_stcore/metrics", "/_stcore/script-health-check"):
        answer = served.ask(path, Cookie=cookie)
        kind = str(answer.headers["content-type"])
        is_page = answer.status == 404 or "text/html" in kind
        assert is_page, f"{path}: there is no such route"


def test_a_tunnel_may_begin_at_another_port_and_a_path_may_lead_here(
    start: Callable[..., Served],
) -> None:
    served = start("--no-browser", "--base-path", "/lab")
    assert "/lab/open?token=" in served.address
    cookie = opened(served)
    assert served.ask("/lab/", Cookie=cookie).status == 200
    assert served.ask("/lab/correct", Cookie=cookie).status == 200
    assert served.ask("/lab/", Cookie=cookie, Host="127.0.0.1:9999").status == 200
    assert served.ask("/lab/", Cookie=cookie, Host="evil.example:9999").status == 403
    assert served.ask("/lab/_stcore/host-config").status == 401


def test_a_cookie_ends_with_the_serve_that_gave_it(start: Callable[..., Served]) -> None:
    first = start("--no-browser")
    cookie = opened(first)
    assert first.ask("/", Cookie=cookie).status == 200
    first.process.send_signal(signal.SIGINT)
    assert first.process.wait(15) == 0
    second = start("--no-browser")
    name = opened(second).partition("=")[0]
    assert second.ask("/", Cookie=f"{name}={cookie.partition('=')[2]}").status == 401


def test_connections_that_ask_for_nothing_are_closed_and_block_nobody(
    start: Callable[..., Served],
) -> None:
    served = start("--no-browser")
    where = urlsplit(served.address)
    idle = [socket.create_connection((where.hostname, where.port)) for _ in range(200)]
    for each in idle:
        each.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Half: ")
    began = time.monotonic()
    assert served.ask("/").status == 401
    assert time.monotonic() - began < 2
    dashboard = served.children()[0]
    assert soft_limit(dashboard) > 4096
    idle[0].settimeout(2.5 * HEADER_S)
    assert idle[0].recv(1) == b"", "closed after half a minute"
    for each in idle:
        each.close()


def soft_limit(process: int) -> int:
    limits = Path(f"/proc/{process}/limits").read_text()
    return int(limits.split("Max open files")[1].split()[0])


def test_a_killed_parent_leaves_nothing_behind(start: Callable[..., Served]) -> None:
    served = start("--no-browser")
    children = served.children()
    assert len(children) == 2
    served.process.kill()
    assert gone_within(8, children)


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.168.1.7", "example.org", ""])
def test_an_address_that_others_reach_is_refused_before_anything_is_bound(
    folder: Path, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket.socket, "bind", lambda *_: pytest.fail("something was bound"))
    with pytest.raises(ServeError, match="nobody has to sign in"):
        serve_workspace(folder, 0, address, False)


def test_signing_in_without_tls_is_for_this_machine_alone() -> None:
    check_address("127.0.0.1", "http://127.0.0.1:8501")
    check_address("0.0.0.0", "https://lab.example")
    with pytest.raises(ServeError, match="put TLS in front"):
        check_address("0.0.0.0", "http://127.0.0.1:8501")


def test_a_port_in_use_is_said(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ServeError, match=f"{port} cannot be bound"):
            serve_workspace(folder, port, "127.0.0.1", False)


def test_a_folder_that_is_no_workspace_is_said(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match="is no workspace"):
        serve_workspace(tmp_path, 0, "127.0.0.1", False)


def test_a_dashboard_that_does_not_start_is_said_with_its_log(tmp_path: Path) -> None:
    failing = Children([sys.executable, "-c", "raise SystemExit('no')"], [], dict(os.environ))
    with pytest.raises(ServeError, match=r"did not start; .*dashboard\.log says why"):
        supervise(failing, ("127.0.0.1", serve.free_port("127.0.0.1", 0)), tmp_path, lambda: None)
    assert (tmp_path / "dashboard.log").read_text() == "no\n"


def test_a_worker_that_dies_is_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serve, "STOP_S", 0.3)
    port = serve.free_port("127.0.0.1", 0)
    runs = tmp_path / "runs"
    dying = f"open({str(runs)!r}, 'a').write('x')"
    children = Children(
        [sys.executable, "-c", HEALTHY, str(port)], [sys.executable, "-c", dying], dict(os.environ)
    )

    def stop_after_two_runs() -> None:
        """As a person would, seen from inside."""
        import threading

        def wait() -> None:
            while not runs.exists() or len(runs.read_text()) < 2:
                time.sleep(0.05)
            os.kill(os.getpid(), signal.SIGTERM)

        threading.Thread(target=wait, daemon=True).start()

    assert supervise(children, ("127.0.0.1", port), tmp_path, stop_after_two_runs) == 0
    assert len(runs.read_text()) >= 2


def test_a_log_goes_through_no_link(tmp_path: Path) -> None:
    log, target = tmp_path / "worker.log", tmp_path / "precious"
    target.write_text("as it was")
    log.symlink_to(target)
    with (
        pytest.raises(ServeError, match="no log can be written there"),
        serve.running(["/bin/echo", "lost"], dict(os.environ), log),
    ):
        pass
    assert target.read_text() == "as it was"


def test_a_large_log_is_put_aside(tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    log.write_bytes(b"x" * (serve.LOG_BYTES + 1))
    with serve.running([shutil.which("true") or "/bin/true"], dict(os.environ), log) as child:
        child.wait()
    assert log.stat().st_size == 0
    assert (tmp_path / "worker.old.log").exists()
