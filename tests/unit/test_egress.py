"""The rules of a sandbox's network, as values."""

from ipaddress import IPv4Address

import pytest

from chaser.ids import InstanceId
from chaser.sandboxes.egress import REFUSED, STUB, jumps, leads, names, resolvers, rules

CALLED = names(InstanceId("4k7w9xqe"))
JUMP = f"-A INPUT -i {CALLED.interface} -j {CALLED.host}"
OTHERS = "-A INPUT -i chsr-zzzzzzzz -j CHASER-IN-zzzzzzzz"


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",
        "10.1.2.3",
        "100.100.100.200",
        "127.0.0.1",
        "169.254.169.254",
        "172.31.255.255",
        "192.0.0.192",
        "192.168.0.1",
        "198.19.255.255",
        "224.0.0.1",
        "255.255.255.255",
    ],
)
def test_special_addresses_are_refused(address: str) -> None:
    assert any(IPv4Address(address) in network for network in REFUSED)


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "9.255.255.255", "100.128.0.1", "172.32.0.1", "192.0.1.1", "223.0.0.1"]
)
def test_public_addresses_are_not(address: str) -> None:
    assert not any(IPv4Address(address) in network for network in REFUSED)


def test_names_fit_what_the_kernel_and_iptables_allow() -> None:
    called = names(InstanceId("01k9w7abcdefghjkmnpq"))

    assert len(called.interface) <= 15
    assert len(called.forward) <= 28
    assert len(called.host) <= 28


def test_resolvers_are_let_through_on_their_port_before_anything_is_refused() -> None:
    forward = [
        line
        for line in rules(CALLED, [IPv4Address("10.0.0.2")]).splitlines()
        if f"-A {CALLED.forward}" in line
    ]

    assert forward[:2] == [
        f"-A {CALLED.forward} -d 10.0.0.2 -p udp --dport 53 -j RETURN",
        f"-A {CALLED.forward} -d 10.0.0.2 -p tcp --dport 53 -j RETURN",
    ]
    assert all("-j REJECT" in line for line in forward[2:])


def test_a_resolver_on_loopback_is_asked_by_the_engine_and_needs_no_rule() -> None:
    assert rules(CALLED, [STUB]) == rules(CALLED, [])


def test_the_machines_own_ports_are_refused_whatever_the_address() -> None:
    lines = rules(CALLED, []).splitlines()

    assert [line for line in lines if f"-A {CALLED.host}" in line] == [
        f"-A {CALLED.host} -p tcp -j REJECT --reject-with tcp-reset",
        f"-A {CALLED.host} -j REJECT",
    ]


def test_all_that_comes_from_the_bridge_is_led_to_the_rules() -> None:
    assert jumps(CALLED) == [
        ("DOCKER-USER", ("-i", "chsr-4k7w9xqe", "-j", "CHASER-FWD-4k7w9xqe")),
        ("INPUT", ("-i", "chsr-4k7w9xqe", "-j", "CHASER-IN-4k7w9xqe")),
    ]


@pytest.mark.parametrize(
    "before",
    [
        [],
        ["-P INPUT ACCEPT"],
        [OTHERS],
        ["-A INPUT -i chsr-zzzzzzzz -j REJECT --reject-with icmp6-port-unreachable"],
    ],
)
def test_the_jump_leads_after_those_of_other_instances(before: list[str]) -> None:
    assert leads("\n".join([*before, JUMP, "-A INPUT -p tcp --dport 22 -j ACCEPT"]), CALLED)


@pytest.mark.parametrize(
    "listing",
    [
        [],
        [OTHERS],
        ["-A INPUT -j ACCEPT", JUMP],
        ["-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT", JUMP],
        [f"-A INPUT -i {CALLED.interface} -p tcp -j ACCEPT", JUMP],
        [f"-A INPUT -i {CALLED.interface} -j ACCEPT", JUMP],
        [JUMP, JUMP],
        [JUMP, OTHERS, JUMP],
    ],
)
def test_the_jump_does_not_lead_if_missing_repeated_or_behind_another_rule(listing: list[str]) -> None:
    assert not leads("\n".join(["-P INPUT ACCEPT", *listing]), CALLED)


def test_resolvers_are_read_from_resolv_conf() -> None:
    text = """
        # nameserver 192.0.2.1
        search example.org
        nameserver 10.0.0.2
        nameserver fd00::1
        nameserver
        nameserver 127.0.0.53 # a remark
        options edns0
    """

    assert resolvers(text) == [IPv4Address("10.0.0.2"), STUB]
