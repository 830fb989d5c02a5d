"""Start the app as a child process: for this machine alone, or behind sign-in for others too."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import webbrowser
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from workbench.access_checks import CALLBACK
from workbench.errors import EnvironmentalError, UsageError
from workbench.specs import is_loopback

if TYPE_CHECKING:
    from workbench.config import Workspace
    from workbench.roles import SignIn

WORKSPACE_VARIABLE = "WORKBENCH_WORKSPACE"
"""Environment variable that tells the app which workspace it shows."""

SERVED = Path(__file__).with_name("app_served.py")
"""What the app's process serves."""
MESSAGES_KEPT_RUNS = 20
"""For how many runs of a page a browser keeps large parts of it, which the server then sends no more.

A browser says what it holds as it asks for a run. With Streamlit's own two runs, somebody who goes back and
forth fast has let go of it before the answer comes, and gets a connection error instead of the page.
"""
START_WAIT_S = 60.0
STOP_WAIT_S = 10.0


def serve(
    workspace: Workspace, *, port: int = 8501, host: str = "127.0.0.1", open_browser: bool = False
) -> int:
    """Run the app until it is stopped, and print its address once it answers.

    Args:
        workspace: The workspace to show.
        port: A free TCP port, 1 to 65535.
        host: A loopback address; any other is refused unless people sign in.
        open_browser: Open the address in the default browser.

    Returns:
        0 when it was stopped by a person, else the exit code of the app.

    Raises:
        UsageError: Others could reach the address and nobody signs in, or the port is no port.
        ConfigError: People sign in, and a variable that holds a secret is not set.
        ModelMissing: People sign in, and the packages for it are not installed.
        EnvironmentalError: The port is taken, or the app did not start.
    """
    sign_in = workspace.config.sign_in
    check_address(host, port, guarded=sign_in is not None)
    if sign_in is not None:
        from workbench.ui import doorway

        doorway.provider_settings(workspace)
        doorway.check_installed()
    environment = {key: value for key, value in os.environ.items() if not key.startswith("STREAMLIT_")} | {
        WORKSPACE_VARIABLE: str(workspace.root)
    }
    child = subprocess.Popen(  # noqa: S603 - our own interpreter with our own arguments
        command(host, port, sign_in), env=environment, cwd=workspace.root, start_new_session=True
    )
    url = f"http://{_reachable(host)}:{port}"
    with _stopping(child) as stopped:
        if not _wait_until_ready(child, url):
            if stopped:
                return 0
            raise EnvironmentalError(
                f"The app did not answer on {url} within {START_WAIT_S:.0f} seconds.",
                "Look at the lines above; `workbench doctor` checks the installation.",
            )
        address = url if sign_in is None else sign_in.redirect_uri.removesuffix(CALLBACK)
        print(f"The app shows {workspace.root} on {address} - press Ctrl-C to stop it.", file=sys.stderr)
        if open_browser:
            webbrowser.open(address)
        code = child.wait()
    return 0 if stopped else code


def command(host: str, port: int, sign_in: SignIn | None = None) -> list[str]:
    """Return the command line of the app; its options outrank every configuration file.

    Args:
        host: The address to bind.
        port: The TCP port.
        sign_in: How people sign in, where they do.
    """
    public = urlsplit(sign_in.redirect_uri).hostname if sign_in else None
    options = {
        "server.address": host,
        "server.port": str(port),
        "server.headless": "true",
        "server.fileWatcherType": "none",
        "server.runOnSave": "false",
        "browser.gatherUsageStats": "false",
        "browser.serverAddress": public or host,
        # Nobody but this app's own pages may open a connection, or say who somebody is.
        "server.enableCORS": "true",
        "server.enableXsrfProtection": "true",
        "server.trustedUserHeaders": "{}",
        "global.developmentMode": "false",
        # Widgets whose value the address carries are set through the session, on purpose (ui/address.py);
        # st.pagination can't be told to have no default of its own.
        "global.disableWidgetStateDuplicationWarning": "true",
        "global.maxCachedMessageAge": str(MESSAGES_KEPT_RUNS),
        # Else all garbage is looked for after each run of a page, with every other visitor waiting.
        "runner.postScriptGC": "false",
    }
    if sign_in is not None:
        # A bug's traceback may hold what its reader has no right to; the app's log has it whole.
        options["client.showErrorDetails"] = "none"
    flags = [f"--{key}={value}" for key, value in options.items()]
    # A foreign name that is pointed at this machine (DNS rebinding) is no name of this app.
    flags += [f"--server.allowedHosts={name}" for name in allowed_hosts(host, public)]
    return [sys.executable, "-m", "workbench.app_process", "run", str(SERVED), *flags]


def allowed_hosts(host: str, public: str | None) -> list[str]:
    """Return the host names under which browsers may reach the app.

    Args:
        host: The address it binds.
        public: The name in its redirect URI, where people sign in.
    """
    if public is not None and not is_loopback(f"http://[{public}]" if ":" in public else f"http://{public}"):
        return [public]
    return list(dict.fromkeys(["127.0.0.1", "localhost", "::1", *([host] if public is None else [public])]))


def check_address(host: str, port: int, *, guarded: bool = False) -> None:
    """Refuse an address that others could reach while nobody signs in, and a port that is taken.

    Args:
        host: The address to bind.
        port: The TCP port.
        guarded: Whether people sign in.

    Raises:
        UsageError: Others could reach the address, or the port is no port.
        EnvironmentalError: The port is taken, or the address is none of this machine's.
    """
    shown = f"[{host}]" if ":" in host else host
    if not guarded and not is_loopback(f"http://{shown}"):
        raise UsageError(
            f"The app refuses to listen on {host}: everyone who can reach it would read your logs.",
            "Use 127.0.0.1, and reach it from elsewhere through an SSH tunnel; or let people sign in: "
            "see docs/sign-in.md.",
        )
    if not 1 <= port <= 65535:
        raise UsageError(f"{port} is not a port.", "Use a number from 1 to 65535, such as 8501.")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, UnicodeError) as error:
            said = getattr(error, "strerror", None) or error
            raise EnvironmentalError(
                f"Port {port} on {host} can't be used: {said}.",
                f"Stop what listens there, or name another port: `workbench app --port {port + 1}`.",
            ) from error


def _reachable(host: str) -> str:
    """Return under which address this machine reaches what listens on another."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
    return f"[{host}]" if ":" in host else host


def _wait_until_ready(child: subprocess.Popen[bytes], url: str) -> bool:
    # A proxy named in the environment must not be asked for this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + START_WAIT_S
    while time.monotonic() < deadline and child.poll() is None:
        with contextlib.suppress(OSError), opener.open(f"{url}/_stcore/health", timeout=2) as answer:
            if answer.status == 200:
                return True
        time.sleep(0.1)
    return False


@contextlib.contextmanager
def _stopping(child: subprocess.Popen[bytes]) -> Iterator[list[int]]:
    """Stop the child when this process is told to stop, and when the block ends."""
    received: list[int] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        with contextlib.suppress(ProcessLookupError):
            child.terminate()

    before = {each: signal.signal(each, stop) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        child.terminate()
        try:
            child.wait(STOP_WAIT_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
