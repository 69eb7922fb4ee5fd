"""The bridge for sandboxes with network: made at the engine, fenced in by the machine's packet filter."""

import os
import shutil
from collections.abc import Sequence
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, cast

from docker.errors import APIError, NotFound

from chaser.ids import InstanceId
from chaser.sandboxes.egress import STUB, jumps, jumps_v6, names, resolvers, rules
from chaser.sandboxes.engines.docker import Client, DockerEngine
from chaser.sandboxes.engines.packet_filter import PacketFilterError, discard, holds, lead, replace, withdraw
from chaser.sandboxes.labels import INSTANCE
from chaser.sandboxes.networks import BridgeReady, EgressUnavailable

RESOLV_CONF = Path("/etc/resolv.conf")
BEHIND_STUB = Path("/run/systemd/resolve/resolv.conf")
INTERFACES = Path("/sys/class/net")
BRIDGED_TOO = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")
"""1 where the packet filter also sees what passes from one port of a bridge to another."""

_ICC = "com.docker.network.bridge.enable_icc"
_INTERFACE = "com.docker.network.bridge.name"


class DockerBridge:
    """Implements `networks.Bridge`. Every `ensure` sets the rules anew, in one change: there is no moment without."""

    def __init__(self, engine: DockerEngine, instance: InstanceId, resolv_conf: Path = RESOLV_CONF) -> None:
        self._engine = engine
        self._instance = instance
        self._names = names(instance)
        self._resolv_conf = resolv_conf

    async def ensure(self) -> BridgeReady | EgressUnavailable:
        hindrance = await self._hindrance() or await self._network() or await self._out_of_reach()
        if hindrance is not None:
            return hindrance
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
            if shutil.which(program):
                await withdraw(program, each)
        if shutil.which("iptables"):
            await discard((self._names.forward, self._names.host))

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

    async def _out_of_reach(self) -> EgressUnavailable | None:
        """Why rules, though they could be set, would not hold for the bridge."""
        if not (INTERFACES / self._names.interface).exists():
            return EgressUnavailable(
                "The engine's bridge is not among this machine's interfaces: the engine has a network of its own.",
                "Run the service beside the engine.",
            )
        if not _filters_bridged():
            return EgressUnavailable(
                "The packet filter does not see what passes within a bridge, so sandboxes could reach each other.",
                "Switch it on: modprobe br_netfilter && sysctl -w net.bridge.bridge-nf-call-iptables=1",
            )
        if not await holds("iptables", "FORWARD", ("-j", "DOCKER-USER")):
            return EgressUnavailable(
                "The packet filter does not lead to Docker's chain DOCKER-USER, where the rules belong.",
                "Let Docker keep its rules (iptables: true in its daemon.json), in the same packet filter as the "
                "program iptables, and restart it.",
            )
        return None

    async def _network(self) -> EgressUnavailable | None:
        """Make the network, or find that it is there and as it must be."""
        found = await self._found()
        if found is None:
            return await self._create()
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

    async def _create(self) -> EgressUnavailable | None:
        def create(client: Client) -> None:
            client.create_network(
                self._names.network,
                driver="bridge",
                options={_INTERFACE: self._names.interface, _ICC: "false"},
                labels={INSTANCE: self._instance},
                check_duplicate=True,
            )

        try:
            await self._engine.run(create)
        except APIError as error:
            if error.status_code == 409:  # another start of the service was quicker
                return None
            return EgressUnavailable(
                f"The engine refuses to make the network: {error.explanation}.",
                "If it has no addresses left, remove networks that nobody uses: docker network prune",
            )
        return None

    async def _filter(self) -> None:
        await replace(rules(self._names, self._resolvers()))
        await lead("iptables", jumps(self._names), self._names)
        if shutil.which("ip6tables") is not None:
            await lead("ip6tables", jumps_v6(self._names), self._names)

    def _resolvers(self) -> Sequence[IPv4Address]:
        """Those that Docker asks for a sandbox, by Docker's own rule."""
        found = _read(self._resolv_conf)
        return _read(BEHIND_STUB) if found == [STUB] else found


def _filters_bridged() -> bool:
    return BRIDGED_TOO.exists() and BRIDGED_TOO.read_text().strip() == "1"


def _read(resolv_conf: Path) -> Sequence[IPv4Address]:
    return resolvers(resolv_conf.read_text()) if resolv_conf.exists() else []
