"""The simulated GitHub's weather: as often as was said, and the same again for the same seed."""

from collections import Counter

import pytest

from chaser.simulator.weather import Forecast, Weather

CALL = "/app/installations/7/access_tokens"


def weather(seed: str, **shares: float) -> Weather:
    made = Weather()
    made.change(Forecast(seed, **shares))
    return made


def kinds(made: Weather, times: int, name: str = "build") -> list[str | None]:
    payload = {"action": "queued", "workflow_job": {"name": name, "id": 5}}
    found = [made.mishap("workflow_job", payload) for _ in range(times)]
    return [None if mishap is None else mishap.kind for mishap in found]


def answers(made: Weather, times: int, path: str = CALL) -> list[tuple[int | None, bool] | None]:
    found = [made.fault("POST", path) for _ in range(times)]
    return [None if fault is None else (fault.status, fault.after_effect) for fault in found]


def test_in_fair_weather_nothing_happens() -> None:
    made = Weather()
    assert set(kinds(made, 100)) == {None}
    assert set(answers(made, 100)) == {None}
    assert not made.met


def test_as_many_deliveries_meet_with_something_as_was_said() -> None:
    made = weather("a", lost=20, vanished=10, doubled=10, reordered=5)
    met = Counter(kinds(made, 10_000))
    expected = {"lose": 2000, "vanish": 1000, "double": 1000, "delay": 500}
    for kind, count in expected.items():
        assert met[kind] == pytest.approx(count, rel=0.15)
    assert sum(made.met.values()) == 10_000 - met[None]


def test_as_many_calls_fail_before_and_after_their_effect_as_was_said() -> None:
    made = weather("a", refused=5, unheard=10)
    met = Counter(None if found is None else found[1] for found in answers(made, 10_000))
    assert met[False] == pytest.approx(500, rel=0.15)
    assert met[True] == pytest.approx(1000, rel=0.15)
    assert {found[0] for found in answers(made, 1000) if found is not None} == {500, 502, 503}


def test_the_same_seed_has_the_same_weather_whatever_else_there_is_in_between() -> None:
    shares = {"lost": 20.0, "doubled": 20.0, "refused": 20.0}
    one, other = weather("a", **shares), weather("a", **shares)
    alone = kinds(one, 50)
    among = list[str | None]()
    for _ in range(50):
        kinds(other, 3, name="another")
        answers(other, 2)
        among += kinds(other, 1)
    assert among == alone
    assert answers(one, 50, "/app/installations/9/access_tokens")[:1] == answers(weather("a", **shares), 1)
    assert kinds(weather("b", **shares), 50) != alone


def test_a_delivery_that_is_reordered_is_late_by_no_more_than_was_said() -> None:
    made = weather("a", reordered=100, late=0.5)
    found = [made.mishap("ping", {"zen": "x"}) for _ in range(100)]
    seconds = [mishap.seconds for mishap in found if mishap is not None]
    assert len(set(seconds)) == 100
    assert 0 <= min(seconds) < max(seconds) <= 0.5
