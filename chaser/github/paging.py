"""Pages of a list, by number: as long as they are asked for, and no further than GitHub could have."""

from collections.abc import Iterator, Mapping

SIZE = 100
_MOST = 100
"""A runner group holds 10,000 runners at most."""


def pages() -> Iterator[Mapping[str, str]]:
    """The parameters of each page in turn."""
    for number in range(1, _MOST + 1):
        yield {"per_page": str(SIZE), "page": str(number)}
