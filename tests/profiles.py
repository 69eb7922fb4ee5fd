"""Profiles as the configuration makes them, for what looks at nothing but names, maxima and who may use them."""

from collections.abc import Mapping
from dataclasses import replace

from chaser.sandboxes.spec import Isolation, Limits, Network, Profile

MAXIMA = Limits(cpus=8, memory_bytes=16 << 30)
_PLAIN = Profile(
    name="default",
    image="image",
    isolation=Isolation.STANDARD,
    network=Network.INTERNET,
    limits=Limits(cpus=2, memory_bytes=4 << 30),
    maxima=MAXIMA,
    runner_image="runner-image",
    runner_isolation=Isolation.SUDO,
)


def named(*names: str) -> Mapping[str, Profile]:
    """Profiles that differ in nothing but their names."""
    return {name: replace(_PLAIN, name=name) for name in names}
