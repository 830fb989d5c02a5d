"""One gate on every send: whose data may go where, and to which addresses.

A task's data may go as far as its eval's `allowed_zone`. A candidate that is
declared internal must really be reached at a loopback or private address; link-local
addresses and the metadata services of clouds are refused for everybody, and so is a
public address without encryption. Names are checked when they are resolved, and the
connection goes to the checked address.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from dataclasses import dataclass

from workbench.checks import host_of
from workbench.errors import EndpointUnreachable, PrivacyRefused
from workbench.specs import Candidate, EvalConfig

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

INTERNAL_NETWORKS = tuple(
    ipaddress.ip_network(text)
    for text in (
        "127.0.0.0/8",
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "100.64.0.0/10",  # shared address space (RFC 6598): overlay networks
        "::1/128",
        "fc00::/7",
    )
)
METADATA_ADDRESSES = frozenset(
    ipaddress.ip_address(text)
    for text in (
        "169.254.169.254",  # most clouds; link-local anyway
        "100.100.100.200",  # Alibaba Cloud
        "168.63.129.16",  # Azure
        "192.0.0.192",  # Oracle Cloud
        "fd00:ec2::254",  # Amazon, IPv6
        "fd20:ce::254",  # Google, IPv6
    )
)
CARRIERS = tuple(
    ipaddress.IPv6Network(text)
    for text in (
        "::/96",  # IPv4-compatible (RFC 4291)
        "::ffff:0:0:0/96",  # stateless translation (RFC 2765)
        "64:ff9b::/96",  # NAT64 (RFC 6052)
        "64:ff9b:1::/48",  # NAT64 of one site (RFC 8215)
    )
)
"""Networks whose addresses hold an IPv4 address in their last 32 bits."""


def unwrap(address: IPAddress) -> IPAddress:
    """Return the IPv4 address that an IPv6 address carries, else the address itself."""
    if isinstance(address, ipaddress.IPv6Address) and not (address.is_loopback or address.is_unspecified):
        if address.ipv4_mapped:
            return address.ipv4_mapped
        if address.sixtofour:
            return address.sixtofour
        if address.teredo:
            return address.teredo[1]
        if any(address in network for network in CARRIERS):
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def is_forbidden(address: IPAddress) -> bool:
    """Say whether no candidate may ever be reached at an address."""
    inner = unwrap(address)
    return (
        inner in METADATA_ADDRESSES
        or inner.is_link_local
        or inner.is_multicast
        or inner.is_unspecified
        or str(inner) == "255.255.255.255"
    )


def is_internal(address: IPAddress) -> bool:
    """Say whether an address is this machine or a private network."""
    inner = unwrap(address)
    return any(inner in network for network in INTERNAL_NETWORKS if network.version == inner.version)


@dataclass(frozen=True, slots=True)
class Gate:
    """What was admitted: one candidate for one task's data.

    Made by `open_gate` alone, so that holding a gate means that the zones were checked.
    `plain` says that the data would go unencrypted (http).
    """

    candidate: str
    zone: str
    task: str
    plain: bool = False

    def check_address(self, host: str, text: str) -> None:
        """Refuse an address the candidate must not be reached at.

        Args:
            host: The name in the candidate's `base_url`, for the message.
            text: The address it stands for, IPv4 or IPv6.

        Raises:
            PrivacyRefused: It is forbidden; or the candidate is internal and it is not; or
                data would go to a public address unencrypted.
        """
        address = ipaddress.ip_address(text.split("%", 1)[0])
        where = host if host == text else f"{host} ({text})"
        if is_forbidden(address):
            raise PrivacyRefused(
                f"Candidate {self.candidate!r}: {where} is a link-local, metadata or broadcast address.",
                "Nothing was sent. Mend `base_url` of this candidate.",
            )
        if self.zone == "internal" and not is_internal(address):
            raise PrivacyRefused(
                f"Candidate {self.candidate!r} is internal, but {where} is a public address.",
                'Nothing was sent. Set zone = "external" for this candidate if that is right; then '
                'the eval of each task it may see needs allowed_zone = "external".',
            )
        if self.plain and not is_internal(address):
            raise PrivacyRefused(
                f"Candidate {self.candidate!r}: data would go unencrypted to {where}, a public address.",
                "Nothing was sent. Write https:// in `base_url`, or reach the server through a tunnel.",
            )


def open_gate(candidate: Candidate, eval_config: EvalConfig) -> Gate:
    """Admit a candidate to a task's data, or refuse before anything is sent.

    Raises:
        PrivacyRefused: The candidate is external and the data may not leave.
    """
    zone = candidate.effective_zone
    if zone != "internal" and eval_config.allowed_zone != "external":
        where = f"{eval_config.root}/eval.toml" if eval_config.root else f"the eval of {eval_config.task!r}"
        raise PrivacyRefused(
            f"Data of task {eval_config.task!r} may not leave the internal zone, and candidate "
            f"{candidate.name!r} is {zone}.",
            f'Nothing was sent. If this data may go there, set allowed_zone = "external" in {where}; '
            'if the server is your own, set zone = "internal" for the candidate.',
        )
    plain = (candidate.base_url or "").casefold().startswith("http:")
    gate = Gate(candidate.name, zone, eval_config.task, plain)
    if candidate.base_url:
        host = host_of(f"Candidate {candidate.name!r}", candidate.base_url)
        try:
            ipaddress.ip_address(host.split("%", 1)[0])
        except ValueError as error:
            # aiohttp takes such a host for an address and connects without asking our resolver.
            if ":" in host or host.replace(".", "").isdigit():
                raise PrivacyRefused(
                    f"Candidate {candidate.name!r}: {host} is a number that stands for an address.",
                    "Nothing was sent. Write the address or the name in full.",
                ) from error
        else:
            gate.check_address(host, host)
    return gate


async def resolve(gate: Gate, host: str, port: int, family: int = socket.AF_UNSPEC) -> list[tuple[str, int]]:
    """Resolve a host, and check every address it stands for.

    Returns:
        Pairs of address and family. The caller connects to these and to no others.

    Raises:
        PrivacyRefused: One of the addresses may not be used; none is, then.
        EndpointUnreachable: The name stands for nothing.
    """
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, family=family)
    except (OSError, UnicodeError) as error:
        raise EndpointUnreachable(
            f"Candidate {gate.candidate!r}: the host {host!r} can't be resolved.",
            "Mend `base_url`, or check the network.",
        ) from error
    pairs = list(dict.fromkeys((str(address[0]), int(kind)) for kind, _, _, _, address in found))
    for address, _ in pairs:
        gate.check_address(host, address)
    return pairs
