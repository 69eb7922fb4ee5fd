"""The boot script's marks, found across any border, and nobody else's."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from chaser.sandboxes.markers import Begin, End, Mark, MarkScanner, Output, Ready, begin_mark

NONCE = "0123456789abcdef0123456789abcdef"
OTHER = "f" * 32
BEGIN = begin_mark(NONCE, 0)


def end_mark(code: int = 0, kills: int = 0, nonce: str = NONCE, step: int = 0, cut: int = 0) -> bytes:
    return f"\x1eEND {nonce} {step} {code} {kills} {cut}\x1e\n".encode()


def scan(pieces: Sequence[bytes]) -> list[Mark]:
    """All marks of a stream that comes in `pieces`, neighbouring output joined."""
    scanner = MarkScanner()
    scanner.expect(NONCE)
    found = [mark for piece in pieces for mark in scanner.feed(piece)]
    return joined([*found, *scanner.finish()])


def joined(marks: Sequence[Mark]) -> list[Mark]:
    whole: list[Mark] = []
    for mark in marks:
        match whole[-1:], mark:
            case [Output(data=before, end=border)], Output(data=after, end=end):
                assert end == border + len(after)
                whole[-1] = Output(before + after, end)
            case _:
                whole.append(mark)
    return whole


def cut(data: bytes, places: Sequence[int]) -> list[bytes]:
    borders = sorted({place % (len(data) + 1) for place in places})
    return [data[start:stop] for start, stop in zip([0, *borders], [*borders, len(data)], strict=True)]


PLACES = st.lists(st.integers(min_value=0, max_value=10_000), max_size=30)
NEARLY_MARKS = st.sampled_from(
    [
        b"\x1e",
        b"\n",
        BEGIN[:-1],
        BEGIN[:-9],
        end_mark()[:-3],
        end_mark(nonce=OTHER),
        begin_mark(OTHER, 0),
        begin_mark(NONCE, 12345),
        f"\x1eBEGIN {NONCE}\x1e\n".encode(),
        f"\x1eEND {NONCE} 0 1234 0 0\x1e\n".encode(),
        f"\x1eEND {NONCE} 0 1 12345678901 0\x1e\n".encode(),
        f"\x1eEND {NONCE} 0 1 0 2\x1e\n".encode(),
        f"\x1eEND {NONCE} 0  1 0\x1e".encode(),
        f"\x1eEND {NONCE} 0 1 0 ".encode(),
        b"READY\n",
        NONCE.encode(),
    ]
)
OUTPUT = (
    st.lists(st.one_of(st.binary(max_size=200), NEARLY_MARKS), max_size=8)
    .map(b"".join)
    .filter(lambda data: not {type(mark) for mark in scan([BEGIN + data])} & {End} and BEGIN not in data)
)


def printed(output: bytes, before: bytes) -> list[Mark]:
    """`output`, with its place after what came before it."""
    return [Output(output, len(before) + len(output))] if output else []


@given(
    output=OUTPUT,
    step=st.integers(0, 9999),
    code=st.integers(0, 255),
    kills=st.integers(0, 10**9),
    was_cut=st.booleans(),
    places=PLACES,
)
def test_output_and_end_are_the_same_however_the_stream_is_cut(
    output: bytes, step: int, code: int, kills: int, was_cut: bool, places: list[int]
) -> None:
    before = b"noise before" + begin_mark(NONCE, step)
    stream = before + output + end_mark(code, kills, step=step, cut=int(was_cut)) + b"noise after"

    found = scan(cut(stream, places))

    assert found == [Begin(step), *printed(output, before), End(step, code, kills, was_cut)]


@given(outputs=st.lists(OUTPUT, max_size=4), places=PLACES)
def test_each_step_has_its_own_begin_and_end(outputs: list[bytes], places: list[int]) -> None:
    stream = b""
    expected: list[Mark] = []
    for step, output in enumerate(outputs):
        stream += begin_mark(NONCE, step)
        expected += [Begin(step), *printed(output, stream), End(step, step, 0)]
        stream += output + end_mark(step, step=step)

    assert scan(cut(stream, places)) == expected


@given(data=st.binary(max_size=300), places=PLACES)
def test_what_comes_before_the_first_begin_is_nobodys_output(data: bytes, places: list[int]) -> None:
    if BEGIN not in data and not any(isinstance(mark, End) for mark in scan([data])):
        assert scan(cut(data, places)) == []


@given(output=OUTPUT, places=PLACES)
def test_a_stream_that_ends_without_an_end_keeps_all_that_was_printed(
    output: bytes, places: list[int]
) -> None:
    assert scan(cut(BEGIN + output, places)) == [Begin(0), *printed(output, BEGIN)]


@given(output=OUTPUT, after=OUTPUT, places=PLACES)
def test_after_a_jump_all_is_output_until_the_next_mark(
    output: bytes, after: bytes, places: list[int]
) -> None:
    scanner = MarkScanner()
    scanner.expect(NONCE)
    before = [*scanner.feed(BEGIN + output), *scanner.jump(10**6)]

    found = [mark for piece in cut(after + end_mark(step=2), places) for mark in scanner.feed(piece)]

    assert joined(before) == [Begin(0), *printed(output, BEGIN)]
    assert joined(found) == [*printed(after, bytes(10**6)), End(2, 0, 0)]


@given(output=OUTPUT)
def test_no_more_is_held_back_than_a_mark_is_long(output: bytes) -> None:
    scanner = MarkScanner()
    scanner.expect(NONCE)
    passed = sum(len(mark.data) for mark in scanner.feed(BEGIN + output) if isinstance(mark, Output))

    assert len(output) - passed < 128


@given(places=PLACES, shout=st.binary(max_size=50))
def test_ready_is_found_across_any_border(places: list[int], shout: bytes) -> None:
    scanner = MarkScanner()
    pieces = cut(shout.replace(b"READY", b"") + b"READY\n", places)

    assert [mark for piece in pieces for mark in scanner.feed(piece)] == [Ready()]


def test_the_end_is_known_before_its_newline() -> None:
    scanner = MarkScanner()
    scanner.expect(NONCE)

    assert scanner.feed(BEGIN + end_mark(3)[:-1])[-1] == End(0, 3, 0)
    assert scanner.feed(b"\n") == []
