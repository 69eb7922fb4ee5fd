"""Where a sandbox's network leads, tried from within real containers against a piece of world of the tests' own."""

import asyncio
import secrets
import socket
import subprocess
import sys
from collections.abc import Generator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Literal

import pytest

from chaser.ids import InstanceId
from chaser.sandboxes.egress import Names, names
from chaser.sandboxes.engines.bridge import DockerBridge
from chaser.sandboxes.engines.docker import DockerEngine
from chaser.sandboxes.networks import BridgeReady, EgressUnavailable
from tests.images import docker, small_image

pytestmark = [pytest.mark.docker, pytest.mark.network_rules]

Protocol = Literal["tcp", "udp"]

PORT = 8000
DNS = 53


class Met(StrEnum):
    """What a sandbox meets at an address."""

    SERVICE = "service"
    REFUSAL = "refusal"
    SILENCE = "silence"


PROBE = f"""
import socket, sys
protocol, address, port = sys.argv[1:]
with socket.socket(type=socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM) as probe:
    probe.settimeout(3)
    try:
        probe.connect((address, int(port)))
        probe.send(b"anybody?\\n")
        print("{Met.SERVICE}" if b"hello" in probe.recv(1000) else "{Met.SILENCE}")
    except TimeoutError:
        print("{Met.SILENCE}")
    except OSError:
        print("{Met.REFUSAL}")
"""

SERVICES = f"""
import socketserver, sys, threading
class Tcp(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.recv(10_000)
        self.request.sendall(b"HTTP/1.0 200 OK\\r\\n\\r\\nhello")
class Udp(socketserver.DatagramRequestHandler):
    def handle(self):
        self.wfile.write(b"hello")
for address in sys.argv[1:]:
    for port in ({PORT}, {DNS}):
        for kind, handler in ((socketserver.ThreadingTCPServer, Tcp), (socketserver.ThreadingUDPServer, Udp)):
            threading.Thread(target=kind((address, port), handler).serve_forever, daemon=True).start()
print("ready", flush=True)
sys.stdin.read()
"""


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout.strip()


@contextmanager
def serving(entering: Sequence[str], *addresses: str) -> Generator[None]:
    """The services of `SERVICES` at these addresses, in the network that the command `entering` enters."""
    command = [*entering, sys.executable, "-c", SERVICES, *addresses]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield
        process.communicate()


@dataclass(frozen=True)
class World:
    """A machine beyond this one, with a public address and one in each of the private ranges."""

    namespace: str
    here: str
    """This machine's own address on the way there: a public one."""
    public: str
    private: dict[str, str]


RANGES = {
    "10/8": "10.213.{}.{}",
    "100.64/10": "100.64.{}.{}",
    "169.254/16": "169.254.{}.{}",
    "172.16/12": "172.31.{}.{}",
    "192.0.0/24": "192.0.0.{1}",
    "192.168/16": "192.168.{}.{}",
    "198.18/15": "198.19.{}.{}",
}


@pytest.fixture(scope="module")
def world() -> Generator[World]:
    # The engine gives its networks parts of 192.168/16 from below; the last part is the least likely to be a sandbox's own.
    third, fourth = secrets.randbelow(15) + 240, secrets.randbelow(120) + 4
    private = {name: pattern.format(third, fourth) for name, pattern in RANGES.items()}
    word = secrets.token_hex(3)
    # 198.51.100.0/24 is TEST-NET-2: nobody's, and not among the refused ranges.
    world = World(f"chaser-{word}", f"198.51.100.{2 * fourth}", f"198.51.100.{2 * fourth + 1}", private)
    near, far = f"cht{word}a", f"cht{word}b"
    run("ip", "netns", "add", world.namespace)
    try:
        within = ("ip", "-n", world.namespace)
        run("ip", "link", "add", near, "type", "veth", "peer", "name", far, "netns", world.namespace)
        run("ip", "address", "add", world.here, "peer", world.public, "dev", near)
        run(*within, "address", "add", world.public, "peer", world.here, "dev", far)
        for device in (
            ("ip", "link", "set", near),
            (*within, "link", "set", far),
            (*within, "link", "set", "lo"),
        ):
            run(*device, "up")
        for address in private.values():
            run(*within, "address", "add", f"{address}/32", "dev", far)
            run("ip", "route", "add", f"{address}/32", "via", world.public, "dev", near)
        with serving(("ip", "netns", "exec", world.namespace), world.public, *private.values()):
            yield world
    finally:
        # The pair of interfaces and its routes go with the namespace.
        run("ip", "netns", "delete", world.namespace)


def new_instance() -> InstanceId:
    return InstanceId(secrets.token_hex(4))


async def ensured(instance: InstanceId, resolv_conf: Path) -> BridgeReady | EgressUnavailable:
    engine = DockerEngine(None, instance)
    try:
        return await DockerBridge(engine, instance, resolv_conf).ensure()
    finally:
        await engine.close()


async def retired(instance: InstanceId) -> None:
    engine = DockerEngine(None, instance)
    try:
        await DockerBridge(engine, instance).retire()
    finally:
        await engine.close()


@dataclass(frozen=True)
class Sandbox:
    container: str
    address: str
    gateway: str
    network: str
    """The path of its network namespace."""

    @property
    def entering(self) -> tuple[str, ...]:
        return ("nsenter", f"--net={self.network}")

    def meets(self, address: str, port: int = PORT, protocol: Protocol = "tcp") -> Met:
        return Met(run(*self.entering, sys.executable, "-c", PROBE, protocol, address, str(port)))

    def succeeds(self, *command: str) -> bool:
        done = subprocess.run(["docker", "exec", self.container, *command], capture_output=True, check=False)
        return done.returncode == 0


@contextmanager
def running(network: str) -> Generator[Sandbox]:
    image = small_image()
    container = docker(
        "run",
        "-d",
        "--rm",
        "--init",
        "--network",
        network,
        "--label",
        "chaser.test=egress",
        image,
        "sleep",
        "600",
    )
    try:
        told = "{{.State.Pid}} {{range .NetworkSettings.Networks}}{{.IPAddress}} {{.Gateway}}{{end}}"
        pid, address, gateway = docker("inspect", "--format", told, container).split()
        yield Sandbox(container, address, gateway, f"/proc/{pid}/ns/net")
    finally:
        docker("rm", "-f", container)


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Generator[InstanceId]:
    """An instance with its bridge, for which no resolver is let through."""
    instance = new_instance()
    outcome = asyncio.run(ensured(instance, tmp_path_factory.mktemp("etc") / "resolv.conf"))
    assert outcome == BridgeReady(names(instance).network)
    yield instance
    asyncio.run(retired(instance))


@pytest.fixture(scope="module")
def called(instance: InstanceId) -> Names:
    return names(instance)


@pytest.fixture
def sandbox(called: Names) -> Generator[Sandbox]:
    with running(called.network) as sandbox:
        yield sandbox


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_public_addresses_are_reached(world: World, sandbox: Sandbox, protocol: Protocol) -> None:
    assert sandbox.meets(world.public, protocol=protocol) is Met.SERVICE


def test_the_images_own_programs_reach_public_addresses(world: World, sandbox: Sandbox) -> None:
    assert sandbox.succeeds("sh", "-c", f"echo anybody? | nc -w 3 {world.public} {PORT} | grep hello")
    assert sandbox.succeeds("ping", "-c", "1", "-W", "3", world.public)


@pytest.mark.parametrize("name", RANGES)
def test_private_ranges_are_refused(world: World, sandbox: Sandbox, name: str) -> None:
    address = world.private[name]
    with socket.create_connection((address, PORT), timeout=3):
        pass  # the service is there, for this machine

    assert sandbox.meets(address) is Met.REFUSAL
    assert sandbox.meets(address, protocol="udp") is Met.REFUSAL
    assert not sandbox.succeeds("ping", "-c", "1", "-W", "1", address)


def test_it_is_the_rules_that_refuse(world: World) -> None:
    with running("bridge") as free:
        assert free.meets(world.private["10/8"]) is Met.SERVICE


def test_metadata_is_not_reached(sandbox: Sandbox) -> None:
    assert sandbox.meets("169.254.169.254", 80) is not Met.SERVICE


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_sandboxes_do_not_reach_each_other(called: Names, sandbox: Sandbox, protocol: Protocol) -> None:
    with running(called.network) as other, serving(other.entering, other.address):
        assert other.meets(other.address, protocol=protocol) is Met.SERVICE
        assert sandbox.meets(other.address, protocol=protocol) is not Met.SERVICE
        assert not sandbox.succeeds("ping", "-c", "1", "-W", "1", other.address)


def test_other_containers_are_not_reached(sandbox: Sandbox) -> None:
    with running("bridge") as other, serving(other.entering, other.address):
        assert sandbox.meets(other.address) is not Met.SERVICE


def test_the_machines_own_ports_are_refused_at_all_of_its_addresses(world: World, sandbox: Sandbox) -> None:
    with closing(socket.create_server(("0.0.0.0", 0))) as listener:
        port = listener.getsockname()[1]
        for address in (sandbox.gateway, world.here):
            with socket.create_connection((address, port), timeout=3):
                pass
            assert sandbox.meets(address, port) is Met.REFUSAL
            assert sandbox.meets(address, port, "udp") is Met.REFUSAL


def test_sandboxes_have_no_ipv6(sandbox: Sandbox) -> None:
    interfaces = docker("exec", sandbox.container, "cat", "/proc/net/if_inet6")

    assert "eth0" not in interfaces


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
async def test_a_private_resolver_is_reached_on_its_port_alone(
    world: World, instance: InstanceId, sandbox: Sandbox, tmp_path: Path, protocol: Protocol
) -> None:
    resolver, neighbour = world.private["10/8"], world.private["192.168/16"]
    resolv_conf = tmp_path / "resolv.conf"
    resolv_conf.write_text(f"nameserver {resolver}\n")

    await ensured(instance, resolv_conf)
    assert sandbox.meets(resolver, DNS, protocol) is Met.SERVICE
    assert sandbox.meets(resolver, PORT, protocol) is Met.REFUSAL
    assert sandbox.meets(neighbour, DNS, protocol) is Met.REFUSAL

    resolv_conf.unlink()
    await ensured(instance, resolv_conf)
    assert sandbox.meets(resolver, DNS, protocol) is Met.REFUSAL


def stated(called: Names) -> list[str]:
    """The rules of this instance, in both packet filters."""
    lines = [*run("iptables", "-S").splitlines(), *run("ip6tables", "-S").splitlines()]
    own = (called.forward, called.host, f"-i {called.interface} -j")
    return [line for line in lines if any(name in line for name in own) and "ACCEPT" not in line]


async def test_setting_the_rules_again_changes_nothing(
    instance: InstanceId, called: Names, tmp_path: Path
) -> None:
    await ensured(instance, tmp_path / "none")
    before = stated(called)

    assert await ensured(instance, tmp_path / "none") == BridgeReady(called.network)

    assert stated(called) == before
    assert len(before) == len(set(before))


async def test_rules_that_were_flushed_or_pushed_back_are_set_again(
    world: World, instance: InstanceId, called: Names, sandbox: Sandbox, tmp_path: Path
) -> None:
    await ensured(instance, tmp_path / "none")
    before = stated(called)
    forward = ("DOCKER-USER", "-i", called.interface, "-j", called.forward)
    ahead = ("INPUT", "-i", called.interface, "-p", "tcp", "-j", "ACCEPT")
    run("iptables", "-w", "-F", called.forward)
    run("iptables", "-w", "-D", *forward)
    run("iptables", "-w", "-I", *ahead)
    assert sandbox.meets(world.private["10/8"]) is Met.SERVICE

    try:
        await ensured(instance, tmp_path / "none")

        assert sandbox.meets(world.private["10/8"]) is Met.REFUSAL
        assert sandbox.meets(world.here, PORT) is Met.REFUSAL
        assert sorted(stated(called)) == sorted(before)
    finally:
        run("iptables", "-w", "-D", *ahead)


async def test_retiring_leaves_nothing_and_takes_nothing_of_others(tmp_path: Path) -> None:
    instance = new_instance()
    called = names(instance)
    policy = run("iptables", "-S", "FORWARD").splitlines()[0]
    assert await ensured(instance, tmp_path / "none") == BridgeReady(called.network)
    assert stated(called)

    with running(called.network):
        await retired(instance)
        assert stated(called), "a sandbox still needs its rules"

    await retired(instance)

    assert stated(called) == []
    assert docker("network", "ls", "--quiet", "--filter", f"name={called.network}") == ""
    assert "docker0" in {name for _, name in socket.if_nameindex()}
    assert run("iptables", "-S", "FORWARD").splitlines()[0] == policy
    await retired(instance)


async def test_a_network_of_that_name_with_other_options_is_not_used(tmp_path: Path) -> None:
    instance = new_instance()
    network = names(instance).network
    docker("network", "create", network)
    try:
        outcome = await ensured(instance, tmp_path / "none")
    finally:
        docker("network", "rm", network)

    assert isinstance(outcome, EgressUnavailable)
    assert f"docker network rm {network}" in outcome.mend
