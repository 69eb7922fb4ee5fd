"""Which images were pulled here, on each database."""

from dataclasses import replace
from datetime import timedelta

from chaser.sandboxes.pulled_images import PulledImage
from chaser.store.store import Store
from tests.rows import START

HOUR = timedelta(hours=1)


def pulled(reference: str, hours: int = 0, engine_id: str = "engine-a") -> PulledImage:
    return PulledImage(
        engine_id, reference, f"id of {reference}", (reference, "mirror"), START + hours * HOUR
    )


async def test_what_was_needed_longest_ago_comes_first(store: Store) -> None:
    for reference, hours in (("b:1", 2), ("a:1", 3), ("c:1", 1), ("d:1", 9)):
        await store.pulled_images.add(pulled(reference, hours))
    await store.pulled_images.add(pulled("e:1", 0, "engine-b"))

    found = await store.pulled_images.least_used("engine-a", START + 9 * HOUR)

    assert found == [pulled("c:1", 1), pulled("b:1", 2), pulled("a:1", 3)]


async def test_a_use_counts_for_what_was_pulled_here_alone(store: Store) -> None:
    await store.pulled_images.add(pulled("a:1"))

    await store.pulled_images.used("engine-a", "a:1", START + HOUR)
    await store.pulled_images.used("engine-a", "b:1", START + HOUR)
    await store.pulled_images.used("engine-b", "a:1", START + 2 * HOUR)

    assert await store.pulled_images.get("engine-a", "a:1") == pulled("a:1", 1)
    assert await store.pulled_images.get("engine-a", "b:1") is None
    assert await store.pulled_images.get("engine-b", "a:1") is None


async def test_a_later_pull_takes_the_place_of_an_earlier_one_and_can_be_forgotten(store: Store) -> None:
    await store.pulled_images.add(pulled("a:1"))
    later = replace(pulled("a:1", 1), image_id="another")

    await store.pulled_images.add(later)
    assert await store.pulled_images.get("engine-a", "a:1") == later

    await store.pulled_images.forget("engine-a", "a:1")
    assert await store.pulled_images.least_used("engine-a", START + 9 * HOUR) == []
