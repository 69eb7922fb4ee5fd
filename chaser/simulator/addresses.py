"""Addresses in what GitHub says: its own ones, or those of a simulated GitHub that can be called itself."""

from chaser.simulator.bodies import API, WEB


def moved(body: bytes, address: str | None, base: str = "") -> bytes:
    """With addresses that lead to `address` and, for the API, to `base` below it. None: they stay as GitHub's are."""
    if address is None:
        return body
    return _begin(_begin(body, API, f"{address}{base}"), WEB, address)


def _begin(body: bytes, old: str, new: str) -> bytes:
    return body.replace(f'"{old}/'.encode(), f'"{new}/'.encode())
