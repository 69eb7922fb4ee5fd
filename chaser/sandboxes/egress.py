"""Where a sandbox with network may not go, as packet filter rules. Values only; `engines.bridge` applies them.

Public addresses are allowed. Refused, by the address that is really connected to and not by name: private, link-local,
metadata and other special ranges, the machine's own ports, and all of IPv6 (the bridge has none).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv4Network
from itertools import takewhile
from typing import Final

from chaser.ids import InstanceId

REFUSED: Final = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",  # shared address space; one cloud's metadata lies in it
        "127.0.0.0/8",
        "169.254.0.0/16",  # link-local, with the other clouds' metadata
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
"""https://www.iana.org/assignments/iana-ipv4-special-registry/"""

DNS: Final = 53

STUB: Final = IPv4Address("127.0.0.53")
"""systemd-resolved's own address. Where it stands alone, Docker takes the name servers behind it."""

_INTERFACE_PREFIX: Final = "chsr-"
_JUMP: Final = re.compile(r"-A \S+ -i chsr-\S+ -j (CHASER-\S+|REJECT( .*)?)")


@dataclass(frozen=True, slots=True)
class Names:
    """How the bridge of an instance and its rules are called; an interface's name has 15 characters at most."""

    network: str
    interface: str
    forward: str
    host: str


def names(instance: InstanceId) -> Names:
    short = instance[:8]
    return Names(
        f"chaser-{instance}", f"{_INTERFACE_PREFIX}{short}", f"CHASER-FWD-{short}", f"CHASER-IN-{short}"
    )


def rules(called: Names, resolvers: Sequence[IPv4Address]) -> str:
    """Both chains whole, for `iptables-restore --noflush`: naming a chain empties it, and all of it is one change."""
    allowed = [
        f"-d {resolver} -p {protocol} --dport {DNS} -j RETURN"
        for resolver in resolvers
        if not resolver.is_loopback
        for protocol in ("udp", "tcp")
    ]
    refused = [rule for network in REFUSED for rule in _refuse(f"-d {network} ")]
    lines = [
        "*filter",
        f":{called.forward} - [0:0]",
        f":{called.host} - [0:0]",
        *(f"-A {called.forward} {rule}" for rule in (*allowed, *refused)),
        *(f"-A {called.host} {rule}" for rule in (*allowed, *_refuse(""))),
        "COMMIT",
    ]
    return "\n".join(lines) + "\n"


def _refuse(match: str) -> Sequence[str]:
    """A reset for TCP: the kernel limits the rate of the ICMP answers, and those that are left out look like a timeout."""
    return [f"{match}-p tcp -j REJECT --reject-with tcp-reset", f"{match}-j REJECT"]


def jumps(called: Names) -> Sequence[tuple[str, tuple[str, ...]]]:
    """Chain and rule that lead there: everything that comes from the bridge."""
    source = ("-i", called.interface)
    return [
        ("DOCKER-USER", (*source, "-j", called.forward)),
        ("INPUT", (*source, "-j", called.host)),
    ]


def jumps_v6(called: Names) -> Sequence[tuple[str, tuple[str, ...]]]:
    return [(chain, ("-i", called.interface, "-j", "REJECT")) for chain in ("FORWARD", "INPUT")]


def leads(listing: str, called: Names) -> bool:
    """Whether, in the rules of a chain as `iptables -S` prints them, ours is there once and nothing stands before it
    that could let a packet pass: only the same for other instances."""
    stated = [line for line in listing.splitlines() if line.startswith("-A ")]
    jumped = list(takewhile(_JUMP.fullmatch, stated))
    ours = f" -i {called.interface} -j "
    return sum(ours in line for line in jumped) == 1 == sum(ours in line for line in stated)


def resolvers(resolv_conf: str) -> Sequence[IPv4Address]:
    """The name servers of resolv.conf(5) that have an IPv4 address: Docker's resolver asks them from the sandbox's
    side, unless they are on loopback."""
    found: list[IPv4Address] = []
    for line in resolv_conf.splitlines():
        match line.split():
            case ["nameserver", address, *_]:
                try:
                    found.append(IPv4Address(address))
                except AddressValueError:
                    continue  # an IPv6 one; the bridge has no IPv6
            case _:
                continue
    return found
