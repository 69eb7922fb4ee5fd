"""Weather: of all deliveries and calls so many go wrong, chosen by chance, and the same ones again for the same seed.

What happens to one follows from the seed, from what it is, and from how many such there were before it: not from when it
comes, nor from what else there is. So a run can be repeated though its parts go on side by side.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

from chaser.simulator.faults import Fault, Mishap
from chaser.simulator.limits import endpoint

_ANSWERS: Mapping[int, str] = {500: "Server Error", 502: "Bad Gateway", 503: "Service Unavailable"}


@dataclass(frozen=True, slots=True)
class Forecast:
    """In percent. A delivery meets with one thing at most, a call as well."""

    seed: str = ""
    lost: float = 0
    """Of deliveries: they fail on their way, and the log of deliveries says so."""
    vanished: float = 0
    """Not even that."""
    doubled: float = 0
    reordered: float = 0
    late: float = 2
    """The most seconds by which one that is reordered is late."""
    refused: float = 0
    """Of calls to the API: a 5xx in the place of what was asked for."""
    unheard: float = 0
    """The call takes effect, and only then the answer is a 5xx."""


class Weather:
    def __init__(self) -> None:
        self.forecast = Forecast()
        self.met: Counter[str] = Counter()
        """How often each thing has happened, by its name in the forecast."""
        self._seen: Counter[str] = Counter()

    def change(self, forecast: Forecast) -> None:
        self.forecast = forecast
        self._seen.clear()

    def mishap(self, event: str, payload: Mapping[str, object]) -> Mishap | None:
        """What happens to this delivery; each attempt is one of its own."""
        at, chance = self.forecast, self._chance(f"{event} {_subject(payload)}")
        shares = {
            "lost": at.lost,
            "vanished": at.vanished,
            "doubled": at.doubled,
            "reordered": at.reordered,
        }
        match self._drawn(chance, shares):
            case "lost":
                return Mishap("lose", event)
            case "vanished":
                return Mishap("vanish", event)
            case "doubled":
                return Mishap("double", event)
            case "reordered":
                return Mishap("delay", event, seconds=chance.uniform(0, at.late))
            case _:
                return None

    def fault(self, method: str, path: str) -> Fault | None:
        """The answer that this call gets instead of the true one."""
        at, chance = self.forecast, self._chance(endpoint(method, path))
        met = self._drawn(chance, {"refused": at.refused, "unheard": at.unheard})
        if met is None:
            return None
        status = chance.choice(list(_ANSWERS))
        return Fault(path, status, {"message": _ANSWERS[status]}, after_effect=met == "unheard")

    def _chance(self, what: str) -> Random:
        self._seen[what] += 1
        return Random(f"{self.forecast.seed} {what} {self._seen[what]}")  # noqa: S311 # nothing is kept secret by it

    def _drawn(self, chance: Random, shares: Mapping[str, float]) -> str | None:
        point = chance.uniform(0, 100)
        for name, share in shares.items():
            point -= share
            if point < 0:
                self.met[name] += 1
                return name
        return None


def _subject(payload: Mapping[str, object]) -> str:
    """Action, repository and name of the job: its ids are others each time."""
    found = [str(payload.get("action"))]
    for key, name in (("repository", "full_name"), ("workflow_job", "name")):
        part = payload.get(key)
        if isinstance(part, Mapping):
            found.append(str(part.get(name)))  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
    return " ".join(found)
