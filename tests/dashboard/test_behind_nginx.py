"""The example of TLS in front, run as it stands: pages, the websocket, and who is refused."""

import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from core.workspace.workspace import init_workspace

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "nginx.conf"
SERVE = "import sys; from core.cli.main import main; sys.exit(main(sys.argv[1:]))"
NAME = "tomocurate.lab.example"
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")


def free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


def certificate(folder: Path) -> tuple[Path, Path]:
    paths = folder / "cert.pem", folder / "cert.key"
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            f"/CN={NAME}",
            "-addext",
            f"subjectAltName=DNS:{NAME}",
            "-out",
            paths[0],
            "-keyout",
            paths[1],
        ],
        check=True,
        capture_output=True,
    )
    return paths


def running_config(folder: Path, listen: int, behind: int) -> Path:
    """The example with ports and certificate of this test, inside a server for one user."""
    text = EXAMPLE.read_text()
    cert, key = certificate(folder)
    for old, new in (
        ("listen 443 ssl", f"listen 127.0.0.1:{listen} ssl"),
        ("/etc/ssl/certs/tomocurate.lab.example.pem", str(cert)),
        ("/etc/ssl/private/tomocurate.lab.example.key", str(key)),
        ("127.0.0.1:8501", f"127.0.0.1:{behind}"),
        ('X-Remote-User "";', "X-Remote-User $http_x_remote_user;"),  # who the proxy signed in
    ):
        assert old in text
        text = text.replace(old, new)
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    config = folder / "nginx.conf"
    config.write_text(
        f"daemon off; pid {folder}/pid; error_log {folder}/error.log;\nevents {{}}\n"
        f"http {{ access_log off; {temporary} {text} }}\n"
    )
    return config


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port at which browsers come; behind it nginx, and behind that the dashboard."""
    if NGINX is None:
        if os.environ.get("CI"):
            pytest.fail("no nginx on this machine; in CI the example must run")
        pytest.skip("no nginx on this machine (Debian: apt install nginx-light)")
    folder = tmp_path_factory.mktemp("nginx")
    listen, behind = free_port(), free_port()
    with init_workspace(folder / "lab") as workspace:
        settings = workspace.folder / "tomocurate.toml"
    settings.write_text(
        f'{settings.read_text()}\n[sign_in]\nby = "proxy"\nheader = "X-Remote-User"\n'
        f'proxies = ["127.0.0.1"]\naddress = "https://{NAME}:{listen}"\nnew_people = "viewer"\n'
    )
    serve = subprocess.Popen(
        [
            sys.executable,
            "-c",
            SERVE,
            "serve",
            "--workspace",
            folder / "lab",
            "--port",
            str(behind),
            "--no-browser",
        ],
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
    )
    nginx = subprocess.Popen([NGINX, "-p", folder, "-c", running_config(folder, listen, behind)])
    try:
        assert serve.stdout
        assert any(NAME in line for line in serve.stdout)
        yield listen
    finally:
        for process in (nginx, serve):
            process.terminate()
            process.wait(30)
        if serve.stdout:
            serve.stdout.close()


def trusting() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


@pytest.fixture
def browser(outside: int) -> Iterator[httpx.Client]:
    address = f"https://127.0.0.1:{outside}"
    headers = {"host": f"{NAME}:{outside}"}
    with httpx.Client(base_url=address, headers=headers, verify=trusting()) as client:
        for _ in range(50):
            if client.get("/_stcore/health").status_code == 200:
                break
            time.sleep(0.1)
        yield client


def signed_in(browser: httpx.Client) -> str:
    answer = browser.get("/sign-in", headers={"x-remote-user": "emil"})
    assert answer.status_code == 303
    found = re.match(r"([^;]+);", answer.headers["set-cookie"])
    assert found
    return found[1]


def test_pages_come_through_tls_only_to_somebody_who_signed_in(browser: httpx.Client) -> None:
    assert browser.get("/").status_code == 401
    cookie = signed_in(browser)
    answer = browser.get("/", headers={"cookie": cookie, "x-remote-user": "emil"})
    assert answer.status_code == 200
    assert "max-age" in answer.headers["strict-transport-security"]


def test_the_websocket_of_pages_opens_through_the_proxy(
    browser: httpx.Client, outside: int
) -> None:
    cookie = signed_in(browser)
    address = f"wss://{NAME}:{outside}/_stcore/stream"

    def opens(**headers: str) -> bool:
        try:
            with connect(
                address,
                open_timeout=60,
                sock=socket.create_connection(("127.0.0.1", outside)),
                ssl=trusting(),
                origin=Origin(f"https://{NAME}:{outside}"),
                additional_headers=headers,
            ):
                return True
        except InvalidStatus:
            return False

    assert opens(Cookie=cookie, **{"X-Remote-User": "emil"})
    assert not opens(Cookie=cookie)
    assert not opens(**{"X-Remote-User": "emil"})


def test_another_name_is_refused_behind_the_proxy(browser: httpx.Client) -> None:
    assert browser.get("/sign-in", headers={"host": "evil.example"}).status_code == 403
