"""The app as a process: reachable from this machine alone, stopped cleanly, and clear about a taken port."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from app_building import make_workspace
from identity import sign_in_table

from workbench import access, app_server
from workbench.config import Workspace
from workbench.errors import ConfigError, EnvironmentalError, UsageError

START = """
import sys
from workbench.app_server import serve
from workbench.config import Workspace
sys.exit(serve(Workspace.load(sys.argv[1]), port=int(sys.argv[2])))
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def get(url: str) -> int:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def wait_for(url: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if get(f"{url}/_stcore/health") == 200:
                return
        except OSError:
            pass
        time.sleep(0.2)
    raise AssertionError(f"{url} did not answer in {seconds} s")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start the app in a process of its own, from a folder that is no workspace."""
    workspace = make_workspace(tmp_path / "served")
    port = free_port()
    child = subprocess.Popen(
        [sys.executable, "-c", START, str(workspace.root), str(port)],
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "STREAMLIT_SERVER_ADDRESS": "0.0.0.0"},
    )
    try:
        yield child, f"http://127.0.0.1:{port}"
    finally:
        if child.poll() is None:
            child.terminate()
        child.wait(30)


def test_the_app_listens_on_this_machine_alone_and_says_where(
    served: tuple[subprocess.Popen[str], str],
) -> None:
    """An environment variable can't open it to others, and its address is printed."""
    child, url = served
    wait_for(url)
    port = int(url.rsplit(":", 1)[1])
    listening = {
        line.split()[1]
        for name in ("/proc/net/tcp", "/proc/net/tcp6")
        for line in Path(name).read_text().splitlines()[1:]
        if line.split()[3] == "0A" and int(line.split()[1].rsplit(":", 1)[1], 16) == port
    }
    assert listening == {f"0100007F:{port:04X}"}
    child.send_signal(signal.SIGINT)
    _, words = child.communicate(timeout=30)
    assert url in words


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_it_cleanly(served: tuple[subprocess.Popen[str], str], number: int) -> None:
    """Ctrl-C and a service manager end it with code 0 and leave no process behind."""
    child, url = served
    wait_for(url)
    child.send_signal(number)
    assert child.wait(30) == 0
    with pytest.raises(OSError, match="refused"):
        get(url)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "example.org", "127.0.0.1.example.org"])
def test_an_address_that_others_reach_is_refused(tmp_path: Path, host: str) -> None:
    """Nobody signs in, so the app is for this machine alone."""
    with pytest.raises(UsageError, match="refuses") as caught:
        app_server.serve(make_workspace(tmp_path / "w"), host=host)
    assert "SSH tunnel" in caught.value.hint


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "example.org"])
def test_behind_sign_in_other_addresses_are_allowed_once_its_secrets_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    """The address is no reason to refuse any more; a missing secret is, before anything listens."""
    monkeypatch.setattr(access, "_process", access.Process())
    workspace = make_workspace(tmp_path / "w")
    with (workspace.root / "workbench.toml").open("a", encoding="utf-8") as file:
        file.write(sign_in_table("https://login.example.com", "https://workbench.example.com"))
    monkeypatch.delenv("TEST_CLIENT_SECRET", raising=False)
    monkeypatch.setattr(app_server.socket, "socket", FakeSocket)
    with pytest.raises(ConfigError, match="TEST_CLIENT_SECRET is not set"):
        app_server.serve(Workspace.load(workspace.root), host=host)


class FakeSocket:
    """A socket that binds anything, so that no test needs the address to be this machine's."""

    def __init__(self, *_: object) -> None: ...
    def __enter__(self) -> FakeSocket:
        return self

    def __exit__(self, *_: object) -> None: ...
    def setsockopt(self, *_: object) -> None: ...
    def bind(self, _: object) -> None: ...


def test_a_foreign_name_that_points_at_this_machine_is_no_name_of_the_app() -> None:
    """Local, the loopback names are; behind sign-in, the one that its redirect URI gives."""
    assert app_server.allowed_hosts("127.0.0.1", None) == ["127.0.0.1", "localhost", "::1"]
    assert app_server.allowed_hosts("127.0.0.5", None)[-1] == "127.0.0.5"
    assert app_server.allowed_hosts("0.0.0.0", "workbench.example.com") == ["workbench.example.com"]
    assert "evil.example.org" not in app_server.allowed_hosts("127.0.0.1", "localhost")
    flags = app_server.command("127.0.0.1", 8501)
    for needed in ("enableCORS=true", "enableXsrfProtection=true", "trustedUserHeaders={}"):
        assert f"--server.{needed}" in flags


def test_a_taken_port_is_named_with_the_next_step(tmp_path: Path) -> None:
    """The message names the port, the hint another one."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        with pytest.raises(EnvironmentalError, match=f"Port {port}") as caught:
            app_server.serve(make_workspace(tmp_path / "w"), port=port)
    assert f"--port {port + 1}" in caught.value.hint


def test_a_port_must_be_one(tmp_path: Path) -> None:
    """70000 is not a port."""
    with pytest.raises(UsageError, match="not a port"):
        app_server.serve(make_workspace(tmp_path / "w"), port=70_000)


def test_the_theme_lies_beside_the_router() -> None:
    """Streamlit reads it from there in every folder, so light, dark and the closed doors always hold."""
    import tomllib

    path = Path(app_server.__file__).with_name(".streamlit") / "config.toml"
    options = tomllib.loads(path.read_text())
    assert {"light", "dark"} <= options["theme"].keys()
    assert options["browser"]["gatherUsageStats"] is False
    assert options["server"]["allowedHosts"] == ["127.0.0.1", "localhost"]
