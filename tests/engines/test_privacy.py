"""One gate on every send: zones, addresses, redirects, the environment."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from servers import Server

from workbench.config import Workspace, WorkspaceConfig
from workbench.engines import CallContext, open_engine, privacy
from workbench.engines.openai_api import OpenAIEngine, RetryPolicy
from workbench.engines.privacy import Gate, is_forbidden, is_internal, open_gate
from workbench.engines.sampled import SampledEngine
from workbench.engines.transport import open_session
from workbench.errors import ConfigError, PrivacyRefused
from workbench.records import EvalKind, Message, Request
from workbench.specs import DIALECTS, Candidate, EvalConfig

INTERNAL = EvalConfig(task="t", kind=EvalKind.TEXT)
EXTERNAL = EvalConfig(task="t", kind=EvalKind.TEXT, allowed_zone="external")
REQUEST = Request((Message("user", "secret"),))


def candidate(url: str, **keys: Any) -> Candidate:
    """Return a candidate at an address."""
    return Candidate("c", "openai", model="m", base_url=url, **keys)


@contextmanager
def counting_socket() -> Iterator[tuple[int, list[bytes]]]:
    """Listen on a port and keep every byte that arrives."""
    received: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.1)
        done = threading.Event()

        def listen() -> None:
            while not done.is_set():
                try:
                    connection, _ = listener.accept()
                except TimeoutError:
                    continue
                received.append(b"connected")
                connection.close()

        thread = threading.Thread(target=listen)
        thread.start()
        yield listener.getsockname()[1], received
        done.set()
        thread.join()


def test_private_data_never_reaches_an_external_endpoint() -> None:
    """An external candidate of an internal task is refused, and its server sees not even a connection."""
    with counting_socket() as (port, received):
        with pytest.raises(PrivacyRefused, match="allowed_zone"):
            OpenAIEngine(candidate(f"http://127.0.0.1:{port}/v1", zone="external"), INTERNAL)
        assert received == []


@given(
    keys=st.fixed_dictionaries(
        {},
        optional={
            "stream": st.booleans(),
            "samples": st.integers(0, 3),
            "dialect": st.sampled_from(DIALECTS),
            "parameters": st.fixed_dictionaries({}, optional={"structured_outputs": st.booleans()}),
        },
    ),
    kind=st.sampled_from(EvalKind),
    secure=st.booleans(),
)
@settings(max_examples=40, deadline=None)
async def test_no_way_of_asking_reaches_an_external_endpoint(
    keys: dict[str, Any], kind: EvalKind, secure: bool
) -> None:
    """Streaming, sampling, detecting and checking included: of an internal task nothing is sent."""
    config = EvalConfig(task="t", kind=kind, labels=("a", "b"))
    with counting_socket() as (port, received):
        url = f"http{'s' if secure else ''}://127.0.0.1:{port}/v1"
        with pytest.raises(PrivacyRefused, match="allowed_zone"):
            open_engine(Workspace(Path(), WorkspaceConfig()), candidate(url, zone="external", **keys), config)
        assert received == []


@pytest.mark.parametrize("keys", [{}, {"stream": True}, {"parameters": {"structured_outputs": True}}])
async def test_every_send_passes_the_last_check(
    server: Server, monkeypatch: pytest.MonkeyPatch, keys: dict[str, Any]
) -> None:
    """An address that turned public gets neither check, detection, peek, answer nor sample."""

    async def getaddrinfo(*_: Any, **__: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.216.34", server.port))]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    config = EvalConfig(task="t", kind=EvalKind.LABEL, labels=("spam", "ham"))
    moved = candidate(f"http://moved.test:{server.port}/good/v1", zone="internal", samples=2, **keys)
    engine = SampledEngine(OpenAIEngine(moved, config, RetryPolicy(attempts=1)), moved, config)
    server.reset()
    for send in (
        engine.check(),
        engine.peek("models"),
        engine.peek("/metrics"),
        engine.complete(REQUEST, CallContext("c", "n")),
    ):
        with pytest.raises(PrivacyRefused, match="public address"):
            await send
    await engine.close()
    stats = server.stats("good")
    assert (stats["hits"], stats["checks"]) == (0, 0)


async def test_data_never_goes_unencrypted_to_a_public_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain http is for this machine and private networks; public addresses need https, names too."""
    with pytest.raises(PrivacyRefused, match="unencrypted"):
        open_gate(candidate("http://93.184.216.34/v1", zone="external"), EXTERNAL)
    assert open_gate(candidate("https://93.184.216.34/v1", zone="external"), EXTERNAL)
    assert open_gate(candidate("http://10.0.0.7/v1", zone="external"), EXTERNAL)

    async def getaddrinfo(*_: Any, **__: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.216.34", 80))]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    engine = OpenAIEngine(candidate("http://api.test/v1", zone="external"), EXTERNAL)
    for send in (engine.check(), engine.complete(REQUEST, CallContext("c", "n"))):
        with pytest.raises(PrivacyRefused, match=r"(?s)unencrypted.*https"):
            await send
    await engine.close()


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",
        "169.254.7.7",
        "[fe80::1]",
        "[::ffff:169.254.169.254]",
        "[64:ff9b::a9fe:a9fe]",
        "[64:ff9b:1::a9fe:a9fe]",
        "[::ffff:0:a9fe:a9fe]",
        "[::a9fe:a9fe]",
        "[2002:a9fe:a9fe::1]",
        "100.100.100.200",
        "[fd00:ec2::254]",
        "0.0.0.0",
        "224.0.0.1",
    ],
)
@pytest.mark.parametrize("zone", ["internal", "external"])
def test_link_local_and_metadata_addresses_are_refused_for_everybody(host: str, zone: str) -> None:
    """Whatever the zones say, no candidate is reached at a link-local or metadata address."""
    with pytest.raises(PrivacyRefused, match="link-local, metadata"):
        open_gate(candidate(f"http://{host}/v1", zone=zone), EXTERNAL)


@pytest.mark.parametrize("host", ["2852039166", "169.254.43518", "0251.0376.0251.0376"])
def test_an_address_written_as_another_number_is_refused(host: str) -> None:
    """169.254.169.254 in decimal, shortened or octal never gets as far as a connection."""
    with pytest.raises(PrivacyRefused, match="number that stands for an address"):
        open_gate(candidate(f"http://{host}/v1", zone="external"), EXTERNAL)


async def test_a_name_that_hides_a_metadata_address_is_refused() -> None:
    """169.254.169.254 in hexadecimal is refused once it is resolved, by the check and by the send."""
    engine = OpenAIEngine(candidate("http://0xa9fea9fe/v1", zone="external"), EXTERNAL)
    with pytest.raises(PrivacyRefused, match=r"169\.254\.169\.254"):
        await engine.check()
    with pytest.raises(PrivacyRefused):
        await engine.complete(REQUEST, CallContext("c", "n"))
    await engine.close()


async def test_a_name_that_moves_is_checked_at_each_connection(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that was private when checked and is public when connected to gets nothing."""
    answers = iter(["127.0.0.1", "93.184.216.34"])

    async def getaddrinfo(*_: Any, **__: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), server.port))]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    gate_candidate = candidate(f"http://rebinding.test:{server.port}/good/v1", zone="internal")
    engine = OpenAIEngine(gate_candidate, INTERNAL, RetryPolicy(attempts=1))
    await privacy.resolve(Gate("c", "internal", "t"), "rebinding.test", server.port)
    server.reset()
    with pytest.raises(PrivacyRefused, match="public address"):
        await engine.complete(REQUEST, CallContext("c", "n"))
    assert server.stats("good")["hits"] == 0
    await engine.close()


def test_an_internal_candidate_must_be_at_a_private_address() -> None:
    """A candidate declared internal at a public address is refused."""
    with pytest.raises(PrivacyRefused, match="public address"):
        open_gate(candidate("https://93.184.216.34/v1", zone="internal"), INTERNAL)


@pytest.mark.parametrize(
    "host", ["169\u3002254\u3002169\u3002254", "93\uff0e184\uff0e216\uff0e34", "%31.2.3.4", "h\\@x", "h h"]
)
def test_a_host_that_programs_read_in_different_ways_is_refused(host: str) -> None:
    """Other dots, other digits and escapes, which the client may take for an address, are no host."""
    with pytest.raises(ConfigError, match="base_url"):
        open_gate(candidate(f"http://{host}/v1", zone="internal"), INTERNAL)


async def test_the_last_check_is_on_the_address_that_is_connected_to(server: Server) -> None:
    """Even a request that reached the session unchecked makes no connection that the gate refuses."""
    async with open_session(Gate("c", "internal", "t"), timeout_s=5, connect_timeout_s=5) as session:
        assert (await session.get(f"http://127.0.0.1:{server.port}/")).status
        with pytest.raises(PrivacyRefused, match="public address"):
            await session.get("http://93.184.216.34/")
        with pytest.raises(PrivacyRefused, match="metadata"):
            await session.get("http://169\u3002254\u3002169\u3002254/")


@given(st.ip_addresses())
def test_no_address_is_both_internal_and_public(address: Any) -> None:
    """What counts as internal is never globally reachable, forbidden addresses aside."""
    if is_internal(address) and not is_forbidden(address):
        assert not privacy.unwrap(address).is_global


async def test_proxies_of_the_environment_are_not_used(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HTTP_PROXY set to another place changes nothing, and that place sees nothing."""
    with counting_socket() as (port, received):
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{port}")
        engine = OpenAIEngine(candidate(server.url("good")), INTERNAL)
        output = await engine.complete(REQUEST, CallContext("c", "n"))
        await engine.close()
        assert output.error is None
        assert received == []


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://h/v1", "http://", "http://u:p@h/v1", "http://h/v1?x=1", "//h"]
)
def test_only_plain_http_addresses_are_taken(url: str) -> None:
    """Other schemes, passwords in the address and queries are wrong configuration."""
    with pytest.raises(ConfigError, match="base_url"):
        open_gate(candidate(url, zone="external"), EXTERNAL)
