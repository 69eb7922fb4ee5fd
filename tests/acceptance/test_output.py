"""A run's output: byte for byte at the job's logs, as much as fits in the answer, and nothing lost at its end."""

import hashlib
from collections.abc import Mapping

import pytest

from tests.acceptance.service import Service

pytestmark = pytest.mark.docker

MIB = 1 << 20
KEPT = 8 * MIB
TAIL = MIB
SLACK = 8192
"""What the pieces of the tail weigh beside their bytes."""


@pytest.fixture(scope="module")
def settings() -> Mapping[str, str]:
    return {"CHASER_LIMITS__OUTPUT_KEEP_BYTES": str(KEPT)}


def test_300_mb_are_counted_exactly_and_kept_at_both_ends(service: Service) -> None:
    middle = 300_000_000
    total = len("HEAD\n") + middle + len("TAIL")
    before = service.resident_bytes
    answer = service.run(f"echo HEAD; head -c {middle} /dev/zero | tr '\\0' x; printf TAIL")
    assert (answer["status"], answer["exit_code"]) == ("succeeded", 0)
    assert answer["output_bytes"] == total
    assert answer["output_truncated"]
    assert len(answer["output"].encode()) <= MIB
    assert answer["output"].startswith("HEAD\nxxx")
    assert answer["output"].endswith("xxxTAIL")
    head, line, tail = answer["output"][5:].split("\n")
    assert f" {total - 5 - len(head) - len(tail)} bytes are left out" in line

    log = service.output(answer["id"])
    assert log[:KEPT] == b"HEAD\n" + b"x" * (KEPT - 5)
    _, line, end = log[KEPT:].split(b"\n")
    assert end.endswith(b"xxxTAIL")
    assert TAIL - SLACK < len(end) <= TAIL
    (gap,) = (frame for frame in service.frames(answer["id"]) if frame["stream"] == "gap")
    assert gap["skipped"] == total - KEPT - len(end)
    assert str(gap["skipped"]).encode() in line
    assert service.resident_bytes - before < 64 * MIB


def test_what_fits_is_whole_at_the_logs_even_if_the_answer_cannot_hold_it(service: Service) -> None:
    size = 5_000_000
    answer = service.run(f"head -c {size} /dev/urandom | tee /tmp/x; sha256sum /tmp/x >&2", streams="split")
    frames = list(service.frames(answer["id"]))
    digest = "".join(frame["data"] for frame in frames if frame["stream"] == "stderr").split()[0]
    data = service.http.get(f"/v1/jobs/{answer['id']}/logs", params={"stream": "stdout"}).content
    assert len(data) == size
    assert hashlib.sha256(data).hexdigest() == digest
    seqs = [frame["seq"] for frame in frames]
    assert seqs == sorted(seqs)
    assert set(seqs) == set(range(1, seqs[-1] + 1))


def test_invalid_utf8_is_exact_at_the_logs_and_replaced_in_the_answer(service: Service) -> None:
    answer = service.run(r"printf 'a\377b\303(\342\202\n'; printf '\342\202\254\360\237'")
    assert answer["output"] == "a\ufffdb\ufffd(\ufffd\n€\ufffd"
    assert service.output(answer["id"]) == b"a\xffb\xc3(\xe2\x82\n\xe2\x82\xac\xf0\x9f"
    assert answer["output_bytes"] == 13
    assert not answer["output_truncated"]


def test_every_byte_there_is_comes_through(service: Service) -> None:
    """NUL and the marks' own characters among them; and a CR stays a CR."""
    every = "".join(f"\\{byte:03o}" for byte in range(256))
    answer = service.run(f"printf '{every}\\r\\n'")
    assert service.output(answer["id"]) == bytes(range(256)) + b"\r\n"


@pytest.mark.parametrize("size", [1, 16_383, 16_384, 16_385, 65_536, 300_000])
def test_an_unterminated_last_line_is_whole(service: Service, size: int) -> None:
    answer = service.run(f"printf 'first\\n'; head -c {size} /dev/zero | tr '\\0' z")
    assert answer["output"] == "first\n" + "z" * size
    assert answer["output_bytes"] == 6 + size


def test_no_byte_is_lost_at_the_end_of_either_stream(service: Service) -> None:
    """The two pipes drain apart; both are read to their ends."""
    command = "head -c 300000 /dev/zero | tr '\\0' o; head -c 300000 /dev/zero | tr '\\0' e >&2"
    answer = service.run(command, streams="split")
    logs = f"/v1/jobs/{answer['id']}/logs"
    assert service.http.get(logs, params={"stream": "stdout"}).content == b"o" * 300_000
    assert service.http.get(logs, params={"stream": "stderr"}).content == b"e" * 300_000
    assert answer["output_bytes"] == 600_000


def test_merged_streams_keep_their_order(service: Service) -> None:
    command = "for n in 1 2 3 4 5 6 7 8 9; do echo o$n; echo e$n >&2; done"
    answer = service.run(command)
    assert answer["output"] == "".join(f"o{n}\ne{n}\n" for n in range(1, 10))
    assert {frame["stream"] for frame in service.frames(answer["id"])} == {"output"}


def test_what_was_printed_before_a_timeout_is_kept(service: Service) -> None:
    answer = service.run("head -c 200000 /dev/zero | tr '\\0' k; sleep 60", timeout_ms=1500)
    assert (answer["reason"], answer["exit_code"]) == ("run_timeout", None)
    assert answer["output"] == "k" * 200_000
