"""What the service counts of itself, for operators: plain values, whatever reads them. The vocabulary of `/metrics`."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

Labels = tuple[tuple[str, str], ...]
"""Names and values, in the order in which they are shown."""


class Sort(StrEnum):
    COUNTER = "counter"
    """Only grows while the process lives."""
    GAUGE = "gauge"


@dataclass(frozen=True, slots=True)
class Measure:
    """`name` is in the form of Prometheus, with its unit: `chaser_ghost_registrations`, `chaser_github_wait_seconds`.

    https://prometheus.io/docs/practices/naming/
    """

    name: str
    help: str
    """What it counts, and what to do when it is not as it should be."""
    sort: Sort
    values: Mapping[Labels, float]
