"""What every part of the bench prints with, and measures with."""

import math
import statistics
import time
from collections.abc import Callable, Sequence

MIB = 1 << 20


def say(what: str, measured: str, wanted: str) -> None:
    print(f"{what:<44} {measured:<34} {wanted}", flush=True)


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that is not below `share` of them."""
    return sorted(values)[max(0, math.ceil(len(values) * share) - 1)]


def spread(seconds: Sequence[float]) -> str:
    """The median and the slowest hundredth, in milliseconds."""
    return f"{statistics.median(seconds) * 1000:.1f} ms, p99 {percentile(seconds, 0.99) * 1000:.1f} ms"
