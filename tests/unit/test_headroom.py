"""What nobody waits for yet is made only where there is memory and disk to spare."""

from dataclasses import dataclass

from chaser.headroom import Headroom, available_memory

LEAST = 1000


@dataclass
class Machine:
    memory: int = 2 * LEAST
    disk: str | None = None

    def headroom(self, *, remote: bool = False) -> Headroom:
        return Headroom(LEAST, lambda: self.disk, None if remote else lambda: self.memory)


def test_with_enough_of_both_there_is_no_shortage() -> None:
    assert Machine(memory=LEAST).headroom().shortage() is None


def test_too_little_memory_is_a_shortage_with_its_setting() -> None:
    assert "limits.free_memory_bytes" in (Machine(memory=LEAST - 1).headroom().shortage() or "")


def test_a_full_disk_is_a_shortage() -> None:
    assert Machine(disk="It is full.").headroom().shortage() == "It is full."


def test_what_is_ready_goes_only_when_memory_is_well_below() -> None:
    assert not Machine(memory=LEAST - 1).headroom().scarce()
    assert not Machine(memory=LEAST // 2).headroom().scarce()
    assert Machine(memory=LEAST // 2 - 1).headroom().scarce()


def test_the_memory_of_another_machine_is_not_guessed_at() -> None:
    headroom = Machine(memory=0).headroom(remote=True)
    assert (headroom.shortage(), headroom.scarce()) == (None, False)


def test_this_machine_tells_what_is_available() -> None:
    assert 1 << 20 < available_memory() < 1 << 50
