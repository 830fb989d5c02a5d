"""Ray itself: a cluster on this machine alone, or a cluster of yours; and whose data may go there."""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.engines.privacy import is_forbidden, is_internal
from workbench.errors import EnvironmentalError, ModelMissing, PrivacyRefused, UsageError
from workbench.replay.ray_reaper import LONGEST_S, MARK
from workbench.replay.remote_spool import RemoteSpool
from workbench.replay.stopping import signals_kept
from workbench.specs import Candidate, EvalConfig, RayCluster

OBJECT_STORE_BYTES = 128 * 1024**2
"""Of a cluster on this machine. Only counts pass through it: plans are read where they are answered."""

_TOKEN = secrets.token_hex(32)
_loaded_guarded = threading.Event()
"""Set once Ray's core was loaded with that token, in this process."""
_LOCAL_VARIABLES = {
    "RAY_USAGE_STATS_ENABLED": "0",
    # Without this Ray takes the machine's outward address, and listens on all of them.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": _TOKEN,
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    "RAY_prestart_worker_first_driver": "0",  # Workers that nobody asked for slow the first ones down.
    "RAY_worker_maximum_startup_concurrency": "16",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


@dataclass(frozen=True, slots=True)
class Needs:
    """What one actor takes of a machine."""

    cpus: float
    gpus: float


def needs_of(candidate: Candidate, cluster: RayCluster) -> Needs:
    """Return what an actor of a candidate needs; a vLLM server takes a GPU for each shard."""
    gpus = cluster.gpus_per_actor
    if gpus is None:
        served = candidate.engine == "vllm"
        gpus = float(candidate.server.tensor_parallel if candidate.server else 1) if served else 0.0
    return Needs(cluster.cpus_per_actor, gpus)


def load_ray() -> Any:
    """Import Ray Data.

    Raises:
        ModelMissing: It is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise ModelMissing(
            f"--on ray needs Ray Data, which is not installed: {error}.",
            "Install it: pip install 'shadow-workbench[ray]'",
        ) from error
    logging.getLogger("ray").setLevel(logging.ERROR)
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    return ray


@contextmanager
def connected(
    cluster: RayCluster, eval_config: EvalConfig, needs: Needs, actors: int | None
) -> Iterator[tuple[Any, int]]:
    """Start Ray on this machine, or connect to a cluster; give back Ray and how many actors to make.

    Args:
        cluster: Its address; without one, Ray starts here, bound to 127.0.0.1, and ends with the block.
        eval_config: Whose data will go there.
        needs: What one actor takes.
        actors: How many are wanted; as many as fit otherwise.

    Raises:
        PrivacyRefused: The task's data may not go to this cluster; nothing was sent.
        EnvironmentalError: It can't be reached, or no actor fits.
        UsageError: This process uses Ray for something else already, or the address is of no use.
    """
    if cluster.address is not None:
        _admit_address(cluster, eval_config)
    elif "ray" in sys.modules and not _loaded_guarded.is_set():
        # Its core reads what guards a cluster of our own once, as it is loaded.
        raise UsageError(
            "This process loaded Ray before the workbench could tell it to keep to this machine.",
            "Run the command in a process of its own, or import ray after it.",
        )
    with (
        _environment({} if cluster.address else _LOCAL_VARIABLES),
        signals_kept(),
        # Ray prints what goes wrong in a cluster; standard output is for the command's own document.
        contextlib.redirect_stdout(sys.stderr),
    ):
        ray = load_ray()
        if cluster.address is None:
            _loaded_guarded.set()
        if ray.is_initialized():
            raise UsageError(
                "This process is connected to a Ray cluster already.",
                "Call ray.shutdown() first, or run the command in a process of its own.",
            )
        with contextlib.ExitStack() as stack:
            folder = None if cluster.address else stack.enter_context(_session_folder())
            stack.callback(_shut_down, ray)
            if folder is not None:
                count = actors or max(int((os.cpu_count() or 1) / max(needs.cpus, 0.01)), 1)
                _start(ray, folder, count, needs)
            else:
                count = _connect(ray, cluster, eval_config, needs, actors)
            yield ray, count


def _shut_down(ray: Any) -> None:
    with contextlib.suppress(Exception):
        ray.shutdown()


@contextmanager
def _session_folder() -> Iterator[str]:
    """Give a folder to Ray, private to this user; at the end nothing of the session is left.

    Killed, a command can't stop what it started, and Ray's helpers would look for it for a
    minute: a process beside it sees the end of the command and ends them.
    """
    folder = tempfile.mkdtemp(prefix="workbench-ray-")
    script = Path(__file__).with_name("ray_reaper.py")
    with subprocess.Popen(  # noqa: S603 - our own script
        [sys.executable, "-I", str(script), folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    ) as reaper:
        # Ray's processes write their title over their environment, where /proc reads the mark;
        # this variable of setproctitle has them leave it as it is.
        with _environment({MARK: folder, "SPT_NOENV": "1"}):
            yield folder
        # A word instead of a sudden end: Ray was shut down in good order.
        with contextlib.suppress(subprocess.TimeoutExpired, OSError):
            reaper.communicate(b"done", LONGEST_S + 5.0)


def _start(ray: Any, folder: str, actors: int, needs: Needs) -> None:
    try:
        ray.init(
            address="local",  # Not what RAY_ADDRESS or another user's cluster on this machine says.
            num_cpus=int(actors * needs.cpus) + 1,
            include_dashboard=False,
            object_store_memory=OBJECT_STORE_BYTES,
            logging_level=logging.ERROR,
            log_to_driver=False,
            _node_ip_address="127.0.0.1",
            _temp_dir=folder,
        )
    except (OSError, RuntimeError, ValueError, TimeoutError) as error:
        raise EnvironmentalError(
            f"Ray can't start on this machine: {error}.", "Leave --on ray out."
        ) from error
    where = [each["NodeManagerAddress"] for each in ray.nodes()]
    if any(not ipaddress.ip_address(each).is_loopback for each in where):
        raise EnvironmentalError(
            f"Ray listens at {', '.join(where)}, which other machines can reach; it was stopped.",
            "Ray was loaded before the workbench could tell it otherwise: use a process of its own.",
        )
    _require_room(ray, needs)


def _connect(ray: Any, cluster: RayCluster, eval_config: EvalConfig, needs: Needs, actors: int | None) -> int:
    try:
        ray.init(address=cluster.address, logging_level=logging.ERROR, log_to_driver=False)
    except (OSError, RuntimeError, ValueError, TimeoutError) as error:
        raise EnvironmentalError(
            f"There is no Ray cluster at {cluster.address}: {error}.",
            "Start it (ray start --head), or mend --ray-address.",
        ) from error
    nodes = [each["NodeManagerAddress"] for each in ray.nodes() if each["Alive"]]
    admit(nodes, cluster, eval_config)
    _require_room(ray, needs)
    total = ray.cluster_resources()
    fits = total.get("GPU", 0) / needs.gpus if needs.gpus else total.get("CPU", 1) / max(needs.cpus, 0.01)
    return actors or max(int(fits), 1)


def _require_room(ray: Any, needs: Needs) -> None:
    total = ray.cluster_resources()
    for name, wanted in (("CPU", needs.cpus), ("GPU", needs.gpus)):
        if wanted > total.get(name, 0):
            raise EnvironmentalError(
                f"An actor of this candidate needs {wanted:g} {name}, and the cluster has "
                f"{total.get(name, 0):g}.",
                "Add machines to the cluster, or set cpus_per_actor and gpus_per_actor under [ray] in "
                "workbench.toml.",
            )


def _admit_address(cluster: RayCluster, eval_config: EvalConfig) -> None:
    address = cluster.address or ""
    if "://" in address:
        raise UsageError(
            f"--ray-address {address}: give the address of the cluster itself, HOST:PORT or auto.",
            "From outside a cluster, send the command as a job: ray job submit -- workbench replay ... "
            "--on ray --ray-address auto",
        )
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise UsageError(f"--ray-address {address} is not HOST:PORT.", "Example: 10.0.0.5:6379, or auto.")
    try:
        found = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)
    except OSError as error:
        raise EnvironmentalError(f"The host {host!r} can't be resolved.", "Mend --ray-address.") from error
    admit([str(each[4][0]) for each in found], cluster, eval_config)


def own_address() -> str:
    """Return the address of the machine that this actor runs on."""
    return str(load_ray().util.get_node_ip_address())


def admit(addresses: list[str], cluster: RayCluster, eval_config: EvalConfig) -> None:
    """Admit a task's data to the machines of a cluster, or refuse before anything is sent.

    Raises:
        PrivacyRefused: The cluster is external and the data may not leave, or it is declared
            internal and one of its machines has a public address.
    """
    found = [ipaddress.ip_address(each.split("%", 1)[0]) for each in addresses]
    zone = cluster.zone or ("internal" if all(each.is_loopback for each in found) else "external")
    for each in found:
        if is_forbidden(each) or (zone == "internal" and not is_internal(each)):
            raise PrivacyRefused(
                f"A machine of the Ray cluster has the address {each}, which is not internal.",
                'Nothing was sent. Set zone = "external" under [ray] in workbench.toml if that is right.',
            )
    if zone != "internal":
        _refuse_external("the Ray cluster", eval_config)


def admit_spool(spool: RemoteSpool, cluster: RayCluster, eval_config: EvalConfig) -> None:
    """Admit a task's data to the shared spool; object storage is external unless declared otherwise.

    Raises:
        PrivacyRefused: The data may not go there; nothing was sent.
        UsageError: Machines of a cluster can't see the workspace's own folder.
    """
    if spool.folder is None and (cluster.zone or "external") != "internal":
        _refuse_external(f"the spool {spool.url}", eval_config)
    if cluster.address is not None and cluster.spool is None:
        raise UsageError(
            "A cluster needs a spool that all of its machines can reach.",
            'Set it under [ray] in workbench.toml: spool = "/shared/folder" or "s3://bucket/folder".',
        )


def _refuse_external(what: str, eval_config: EvalConfig) -> None:
    if eval_config.allowed_zone != "external":
        raise PrivacyRefused(
            f"Data of task {eval_config.task!r} may not leave the internal zone, and {what} is not declared "
            "internal.",
            'Nothing was sent. If it is your own, set zone = "internal" under [ray] in workbench.toml.',
        )


@contextmanager
def _environment(changes: dict[str, str]) -> Iterator[None]:
    before = {key: os.environ.get(key) for key in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                os.environ.pop(key, None)
            else:
                os.environ[key] = value
