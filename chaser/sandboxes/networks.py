"""The networks that a sandbox can have, under the names that the engine knows them by."""

import asyncio
from dataclasses import dataclass
from typing import Protocol

import structlog

from chaser.errors import ChaserError, Refused, Unavailable
from chaser.jobs.reason import Reason
from chaser.sandboxes.spec import Network

log = structlog.stdlib.get_logger()

RENEWED_EVERY = 60.0
"""Seconds between two looks at the firewall rules: an engine that restarts, or an administrator, may flush them, and
nothing tells of it."""


ENGINE_AWAY = 5.0


@dataclass(frozen=True, slots=True)
class BridgeReady:
    """The bridge is there, and its rules hold."""

    name: str


@dataclass(frozen=True, slots=True)
class EgressUnavailable:
    """The rules cannot be set here; without them a sandbox could reach what it must not."""

    why: str
    mend: str


class Bridge(Protocol):
    async def ensure(self) -> BridgeReady | EgressUnavailable:
        """Make the bridge and its rules, or find that they are there."""
        ...

    async def retire(self) -> None:
        """Take them away again, unless a sandbox uses them."""
        ...


class EngineNetworks:
    """Implements `host.Networks`. The bridge is made at the first need, and looked after from then on."""

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge
        self._lock = asyncio.Lock()
        self._needed = asyncio.Event()
        self._outcome: BridgeReady | EgressUnavailable | None = None

    async def named(self, network: Network) -> str:
        match network:
            case Network.NONE:
                return "none"
            case Network.INTERNET:
                return await self._internet()
            case Network.ALLOWLIST:
                raise Refused(
                    Reason.NETWORK_UNAVAILABLE, "This version has no allow lists; ask for none or internet."
                )

    async def watch(self) -> None:
        """Keep the rules in place once they are needed, until cancelled."""
        await self._needed.wait()
        while True:
            pause = RENEWED_EVERY
            try:
                await self._renew()
            except Unavailable as error:
                log.warning(
                    "Cannot look at the network's rules.", action="egress_unknown", error=error.message
                )
                pause = ENGINE_AWAY
            await asyncio.sleep(pause)

    async def retire(self) -> None:
        """The service stops: leave nothing behind that nobody uses."""
        try:
            await self._bridge.retire()
        except ChaserError as error:
            log.warning("The network's rules are left behind.", action="egress_left", error=str(error))

    async def _internet(self) -> str:
        self._needed.set()
        match self._outcome or await self._renew():
            case BridgeReady(name=name):
                return name
            case EgressUnavailable(why=why, mend=mend):
                message = (
                    f'The network "internet" cannot be offered: {why} {mend} Or ask for the network "none".'
                )
                raise Refused(Reason.NETWORK_UNAVAILABLE, message)

    async def _renew(self) -> BridgeReady | EgressUnavailable:
        async with self._lock:
            outcome = await self._bridge.ensure()
            if isinstance(outcome, EgressUnavailable) and outcome != self._outcome:
                log.error(
                    "Sandboxes get no network: its rules cannot be set.",
                    action="egress_unavailable",
                    why=outcome.why,
                    mend=outcome.mend,
                )
            self._outcome = outcome
            return outcome
