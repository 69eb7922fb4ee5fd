"""Which network a sandbox gets: never one without its rules."""

import asyncio
from dataclasses import dataclass, field

import pytest

from chaser.errors import Refused, Unavailable
from chaser.jobs.reason import Reason
from chaser.sandboxes.networks import BridgeReady, EgressUnavailable, EngineNetworks
from chaser.sandboxes.spec import Network

READY = BridgeReady("chaser-egress")
REFUSED = EgressUnavailable("iptables is missing.", "Install it.")


@dataclass
class FakeBridge:
    """A bridge whose rules can, or cannot, be set."""

    outcome: BridgeReady | EgressUnavailable | Unavailable = READY
    looks: int = 0
    looked: asyncio.Event = field(default_factory=asyncio.Event)
    retired: bool = False

    async def ensure(self) -> BridgeReady | EgressUnavailable:
        self.looks += 1
        self.looked.set()
        await asyncio.sleep(0)
        if isinstance(self.outcome, Unavailable):
            raise self.outcome
        return self.outcome

    async def retire(self) -> None:
        if isinstance(self.outcome, Unavailable):
            raise self.outcome
        self.retired = True


async def test_no_network_needs_no_bridge() -> None:
    bridge = FakeBridge()

    assert await EngineNetworks(bridge).named(Network.NONE) == "none"
    assert bridge.looks == 0


async def test_the_bridge_is_made_once_for_all_who_ask() -> None:
    bridge = FakeBridge()
    networks = EngineNetworks(bridge)

    assert await networks.named(Network.INTERNET) == READY.name
    assert await networks.named(Network.INTERNET) == READY.name
    assert bridge.looks == 1


async def test_without_its_rules_there_is_no_internet() -> None:
    networks = EngineNetworks(FakeBridge(REFUSED))

    with pytest.raises(Refused, match=r"iptables is missing\. Install it\.") as refused:
        await networks.named(Network.INTERNET)
    assert refused.value.reason is Reason.NETWORK_UNAVAILABLE


async def test_an_allow_list_is_refused_by_this_version() -> None:
    with pytest.raises(Refused, match="no allow lists"):
        await EngineNetworks(FakeBridge()).named(Network.ALLOWLIST)


async def test_an_engine_that_is_away_is_not_a_network_that_cannot_be_had() -> None:
    networks = EngineNetworks(FakeBridge(Unavailable(Reason.ENGINE_UNAVAILABLE, "away")))

    with pytest.raises(Unavailable):
        await networks.named(Network.INTERNET)


async def test_nothing_is_looked_after_before_it_is_needed() -> None:
    bridge = FakeBridge()
    networks = EngineNetworks(bridge)
    watching = asyncio.create_task(networks.watch())
    await asyncio.sleep(0)
    assert bridge.looks == 0

    await networks.named(Network.INTERNET)
    await bridge.looked.wait()

    watching.cancel()


async def test_the_watch_outlives_an_engine_that_is_away() -> None:
    bridge = FakeBridge(Unavailable(Reason.ENGINE_UNAVAILABLE, "away"))
    networks = EngineNetworks(bridge)
    watching = asyncio.create_task(networks.watch())
    with pytest.raises(Unavailable):
        await networks.named(Network.INTERNET)
    bridge.looked.clear()

    await bridge.looked.wait()
    await asyncio.sleep(0)

    assert not watching.done()
    watching.cancel()


async def test_a_bridge_is_retired_or_left() -> None:
    bridge = FakeBridge()
    await EngineNetworks(bridge).retire()
    assert bridge.retired

    await EngineNetworks(FakeBridge(Unavailable(Reason.ENGINE_UNAVAILABLE, "away"))).retire()
