"""What is full, of what runs."""

from chaser.ids import KeyId
from chaser.jobs.caps import Caps, Share
from chaser.jobs.ports import FREE, Full

ONE = Share(KeyId("key_a"), "large", "acme/a", "acme", key_cap=2)


def test_where_nothing_has_a_cap_nothing_is_full() -> None:
    assert Caps().full([Share(None, "large", "acme/a", "acme")] * 50, slots=False) == FREE
    assert not Caps().one_by_one


def test_each_is_full_at_its_own_cap() -> None:
    caps = Caps({"large": 2, "small": 1}, lane=3, tenant=4)
    assert caps.one_by_one
    assert caps.full([ONE], slots=False) == FREE
    assert caps.full([ONE] * 2, slots=True) == Full(
        keys=frozenset({KeyId("key_a")}), profiles=frozenset({"large"}), slots=True
    )
    other = Share(None, None, "acme/b", "acme")
    assert caps.full([other] * 3, slots=False) == Full(lanes=frozenset({"acme/b"}))
    assert caps.full([other] * 2 + [Share(None, None, "acme/c", "acme")] * 2, slots=False) == Full(
        tenants=frozenset({"acme"})
    )


def test_a_keys_cap_counts_all_its_jobs_once_one_of_them_knows_it() -> None:
    unknown = Share(KeyId("key_a"), None, None, None)
    known = Share(KeyId("key_a"), None, None, None, key_cap=2)
    assert Caps().full([unknown, known], slots=False) == Full(keys=frozenset({KeyId("key_a")}))
