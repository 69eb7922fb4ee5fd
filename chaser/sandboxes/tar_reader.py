"""Reading a tar that somebody else has written, piece by piece as it comes, in bounded memory. Pure."""

from collections.abc import Iterator

from chaser.sandboxes.tar import BLOCK, Member, Type

MOST_EXTENDED = 1 << 20
"""Bytes of one extended header. A name may have 4,096; extended attributes, which are passed over, 65,536 each."""
_LARGEST = 1 << 62

_EMPTY = bytes(BLOCK)
_EXTENDED = frozenset({b"x", b"g", b"L", b"K"})
"""Headers that say something of the next member: pax's, pax's of all that follow, GNU's long names and long links."""
_TYPES = {
    b"0": Type.FILE,
    b"\0": Type.FILE,
    b"7": Type.FILE,
    b"1": Type.HARD_LINK,
    b"2": Type.SYMLINK,
    b"5": Type.DIRECTORY,
}


class BadTar(ValueError):
    """This is no tar, or not a whole one. The message says what is wrong, as the end of a sentence."""


class TarReader:
    """Feed it the bytes; it tells the members and their data. Raises `BadTar`."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._data = 0
        """Bytes of the present member's data that are still to come."""
        self._padding = 0
        self._said: dict[bytes, bytes] = {}
        """What extended headers say of the next member."""
        self._ended = False
        self._begun = False

    def feed(self, piece: bytes) -> Iterator[Member | bytes]:
        """Members as their headers are whole; after a file its data, in pieces."""
        self._buffer += piece
        while True:
            if self._data and self._buffer:
                data = bytes(self._buffer[: self._data])
                del self._buffer[: len(data)]
                self._data -= len(data)
                yield data
            elif self._padding and self._buffer:
                passed = min(self._padding, len(self._buffer))
                del self._buffer[:passed]
                self._padding -= passed
            elif self._data or self._padding or len(self._buffer) < self._needed():
                return
            elif self._ended:
                self._pass_filling()
            elif (member := self._entry()) is not None:
                yield member

    def finish(self) -> None:
        """No more will come."""
        if not self._begun and not self._ended:
            raise BadTar("is empty, or too short to be a tar")
        if not self._ended:
            raise BadTar("is cut off: its end is missing")
        if self._buffer.strip(b"\0"):
            raise BadTar("has data after its end")

    def _pass_filling(self) -> None:
        whole = len(self._buffer) // BLOCK * BLOCK
        if self._buffer[:whole].strip(b"\0"):
            raise BadTar("has data after its end")
        del self._buffer[:whole]

    def _needed(self) -> int:
        """How many bytes the next entry's header takes, as far as that can be said yet."""
        if self._ended or len(self._buffer) < BLOCK or bytes(self._buffer[156:157]) not in _EXTENDED:
            return BLOCK
        size = _number(bytes(self._buffer[124:136]))
        if size > MOST_EXTENDED:
            raise BadTar(f"has an extended header of more than {MOST_EXTENDED} bytes")
        return BLOCK + size + (-size % BLOCK)

    def _entry(self) -> Member | None:
        """The member whose header is next; none: it was an extended header, or the end."""
        whole = bytes(self._buffer[: self._needed()])
        del self._buffer[: len(whole)]
        block = whole[:BLOCK]
        if block == _EMPTY:
            self._ended = True
            return None
        if not _sums_up(block):
            # A name may begin with these bytes too, so a header that holds is none of gzip's.
            if not self._begun and block[:2] == b"\x1f\x8b":
                raise BadTar("is compressed with gzip; send it uncompressed")
            raise BadTar("is no tar, or is damaged: a header's checksum is wrong")
        self._begun = True
        kind = block[156:157]
        if kind in _EXTENDED:
            self._extended(kind, whole[BLOCK : BLOCK + _number(block[124:136])])
            return None
        said, self._said = self._said, {}
        return self._member(block, kind, said)

    def _extended(self, kind: bytes, content: bytes) -> None:
        match kind:
            case b"L":
                self._said[b"path"] = content.rstrip(b"\0")
            case b"K":
                self._said[b"linkpath"] = content.rstrip(b"\0")
            case b"g":
                if _records(content).keys() & {b"path", b"linkpath", b"size"}:
                    raise BadTar("names or sizes its members in a global header, which is not served")
            case _:
                self._said.update(_records(content))

    def _member(self, block: bytes, kind: bytes, said: dict[bytes, bytes]) -> Member:
        name = said.get(b"path") or _name(block)
        found = _TYPES.get(kind, Type.OTHER)
        if kind == b"\0" and name.endswith(b"/"):
            found = Type.DIRECTORY
        if any(key.startswith(b"GNU.sparse") for key in said):
            found = Type.OTHER
        size = _decimal(said[b"size"]) if b"size" in said else _number(block[124:136])
        if found in {Type.HARD_LINK, Type.SYMLINK, Type.DIRECTORY}:
            size = 0  # some writers put a size there, and no data
        self._data, self._padding = size, -size % BLOCK
        return Member(
            name=name,
            type=found,
            size=size,
            mode=_number(block[100:108]) & 0o7777,
            mtime=_time(block[136:148]),
            link=said.get(b"linkpath") or _text(block[157:257]),
        )


def _sums_up(block: bytes) -> bool:
    """Whether a header's checksum is right."""
    try:
        said = _number(block[148:156])
    except BadTar:
        return False
    return said == sum(block[:148]) + sum(block[156:]) + 8 * 0x20


def _name(block: bytes) -> bytes:
    name = _text(block[:100])
    prefix = _text(block[345:500]) if block[257:263] == b"ustar\0" else b""
    return prefix + b"/" + name if prefix else name


def _text(field: bytes) -> bytes:
    return field.partition(b"\0")[0]


def _number(field: bytes) -> int:
    """Octal text, or GNU's base 256."""
    if field[0] & 0x80:
        value = int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
        if value > _LARGEST:
            raise BadTar("has a header with a number out of all bounds")
        return value
    digits = _text(field).strip(b" ")
    if digits.strip(b"01234567"):
        raise BadTar("has a header with a number that is none")
    return int(digits, 8) if digits else 0


def _time(field: bytes) -> int:
    """A time that makes no sense is no reason to refuse anything."""
    try:
        return _number(field)
    except BadTar:
        return 0


def _decimal(digits: bytes) -> int:
    if not digits.isdigit() or len(digits) > 18:
        raise BadTar("has an extended header with a number that is none")
    return int(digits)


def _records(content: bytes) -> dict[bytes, bytes]:
    r"""`<length> <key>=<value>\n`, each."""
    found: dict[bytes, bytes] = {}
    at = 0
    while at < len(content):
        space = content.find(b" ", at, at + 20)
        digits = content[at:space] if space > 0 else b""
        end = at + (_decimal(digits) if digits else 0)
        key, equals, value = content[space + 1 : end].partition(b"=")
        if not digits or end > len(content) or not equals or not value.endswith(b"\n"):
            raise BadTar("has a damaged extended header")
        found[key] = value[:-1]
        at = end
    return found
