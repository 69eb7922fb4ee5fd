"""The bridge for sandboxes with network: made at the engine, fenced in by the machine's packet filter."""

import asyncio
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from docker.errors import APIError, NotFound

from chaser.errors import ChaserError
from chaser.ids import InstanceId
from chaser.sandboxes.egress import jumps, jumps_v6, names, resolvers, rules
from chaser.sandboxes.engines.docker import Client, DockerEngine
from chaser.sandboxes.labels import INSTANCE
from chaser.sandboxes.networks import BridgeReady, EgressUnavailable

RESOLV_CONF = Path("/etc/resolv.conf")
INTERFACES = Path("/sys/class/net")

_ICC = "com.docker.network.bridge.enable_icc"
_INTERFACE = "com.docker.network.bridge.name"


class PacketFilterError(ChaserError):
    """The packet filter's program ended with a status other than 0."""


class DockerBridge:
    """Implements `networks.Bridge`. Every `ensure` sets the rules anew, in one change: there is no moment without."""

    def __init__(self, engine: DockerEngine, instance: InstanceId, resolv_conf: Path = RESOLV_CONF) -> None:
        self._engine = engine
        self._instance = instance
        self._names = names(instance)
        self._resolv_conf = resolv_conf

    async def ensure(self) -> BridgeReady | EgressUnavailable:
        hindrance = await self._hindrance()
        if hindrance is not None:
            return hindrance
        fault = await self._network()
        if fault is not None:
            return fault
        if not (INTERFACES / self._names.interface).exists():
            return EgressUnavailable(
                "The engine's bridge is not among this machine's interfaces: the engine has a network of its own.",
                "Run the service beside the engine.",
            )
        try:
            await self._filter()
        except PacketFilterError as error:
            return EgressUnavailable(
                f"The packet filter refused the rules: {error}.",
                "Load the kernel's iptables modules, or run the service where it may change the rules.",
            )
        return BridgeReady(self._names.network)

    async def retire(self) -> None:
        """Take the network away, and then its rules; both stay where a sandbox still uses them."""
        try:
            await self._engine.run(lambda client: client.remove_network(self._names.network))
        except NotFound:
            pass  # the rules may be left
        except APIError as error:
            if error.status_code == 403:  # it is in use
                return
            raise
        for program, each in (("iptables", jumps(self._names)), ("ip6tables", jumps_v6(self._names))):
            for chain, rule in each:
                while shutil.which(program) and await _holds(program, chain, rule):
                    await _run(program, "-w", "-D", chain, *rule)
        for chain in (self._names.forward, self._names.host):
            if shutil.which("iptables") and await _status("iptables", "-w", "-S", chain) == 0:
                await _run("iptables", "-w", "-F", chain)
                await _run("iptables", "-w", "-X", chain)

    async def _hindrance(self) -> EgressUnavailable | None:
        info = await self._engine.info()
        if not info.local or info.rootless:
            return EgressUnavailable(
                "The engine is remote or rootless, so its packet filter cannot be reached from here.",
                "Run the service as root beside a local engine.",
            )
        if os.geteuid() != 0:
            return EgressUnavailable("The service may not change the packet filter.", "Run it as root.")
        if shutil.which("iptables") is None or shutil.which("iptables-restore") is None:
            return EgressUnavailable("There is no iptables here.", "Install it: apt-get install iptables")
        return None

    async def _network(self) -> EgressUnavailable | None:
        """Make the network, or find that it is there and as it must be."""
        found = await self._found()
        if found is None:
            await self._create()
            return None
        options = cast("dict[str, str]", found.get("Options") or {})
        if (
            options.get(_ICC) == "false"
            and options.get(_INTERFACE) == self._names.interface
            and not found["EnableIPv6"]
        ):
            return None
        return EgressUnavailable(
            f"The network {self._names.network} is there, but not as Chaser makes it.",
            f"Remove it, it is made anew: docker network rm {self._names.network}",
        )

    async def _found(self) -> dict[str, Any] | None:
        try:
            return await self._engine.run(lambda client: client.inspect_network(self._names.network))
        except NotFound:
            return None

    async def _create(self) -> None:
        def create(client: Client) -> None:
            try:
                client.create_network(
                    self._names.network,
                    driver="bridge",
                    options={_INTERFACE: self._names.interface, _ICC: "false"},
                    labels={INSTANCE: self._instance},
                    check_duplicate=True,
                )
            except APIError as error:
                if error.status_code != 409:  # another start of the service was quicker
                    raise

        await self._engine.run(create)

    async def _filter(self) -> None:
        servers = resolvers(self._resolv_conf.read_text() if self._resolv_conf.exists() else "")
        await _run("iptables-restore", "-w", "--noflush", given=rules(self._names, servers))
        await _lead("iptables", jumps(self._names))
        if shutil.which("ip6tables") is not None:
            await _lead("ip6tables", jumps_v6(self._names))


async def _lead(program: str, rules_of_chains: Sequence[tuple[str, tuple[str, ...]]]) -> None:
    for chain, rule in rules_of_chains:
        if not await _holds(program, chain, rule):
            await _run(program, "-w", "-I", chain, "1", *rule)


async def _holds(program: str, chain: str, rule: Sequence[str]) -> bool:
    return await _status(program, "-w", "-C", chain, *rule) == 0


async def _status(program: str, *arguments: str) -> int:
    process = await asyncio.create_subprocess_exec(
        program, *arguments, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    return await process.wait()


async def _run(program: str, *arguments: str, given: str = "") -> None:
    process = await asyncio.create_subprocess_exec(
        program,
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, complaint = await process.communicate(given.encode())
    if process.returncode != 0:
        raise PacketFilterError(f"{program}: {complaint.decode(errors='replace').strip()}")
