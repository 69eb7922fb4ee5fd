"""Measures as Prometheus' text: https://prometheus.io/docs/instrumenting/exposition_formats/"""

import math

from chaser.api.exposition import exposition
from chaser.measures import Labels, Measure, Sort


def measure(values: dict[Labels, float], name: str = "chaser_jobs", text: str = "Jobs.") -> Measure:
    return Measure(name, text, Sort.GAUGE, values)


def test_a_measure_has_its_help_its_sort_and_a_line_for_each_value() -> None:
    counted = Measure(
        "chaser_deliveries_total",
        "Deliveries.",
        Sort.COUNTER,
        {(("outcome", "accepted"), ("event", "ping")): 3, (): 0.25},
    )

    assert exposition([counted]) == (
        "# HELP chaser_deliveries_total Deliveries.\n"
        "# TYPE chaser_deliveries_total counter\n"
        'chaser_deliveries_total{outcome="accepted",event="ping"} 3\n'
        "chaser_deliveries_total 0.25\n"
    )


def test_what_means_something_to_the_format_is_escaped() -> None:
    text = exposition([measure({(("profile", 'a"b\\c\nd'),): 1}, text="One\\two\nthree")])

    assert 'profile="a\\"b\\\\c\\nd"' in text
    assert "# HELP chaser_jobs One\\\\two\\nthree\n" in text


def test_values_of_one_name_stand_together_whoever_counted_them() -> None:
    here, there = measure({(("at", "here"),): 1}), measure({(("at", "there"),): 2})

    lines = exposition([here, measure({(): 5}, name="chaser_more"), there]).splitlines()

    assert lines[:4] == [
        "# HELP chaser_jobs Jobs.",
        "# TYPE chaser_jobs gauge",
        'chaser_jobs{at="here"} 1',
        'chaser_jobs{at="there"} 2',
    ]
    assert lines.count("# TYPE chaser_jobs gauge") == 1


def test_one_without_values_is_left_out() -> None:
    assert exposition([measure({})]) == ""


def test_numbers_are_whole_broken_and_beyond_all() -> None:
    values: dict[Labels, float] = {
        (("n", str(n)),): n for n in (3.0, 0.1, 1e300, math.inf, -math.inf, math.nan)
    }

    told = [line.rpartition(" ")[2] for line in exposition([measure(values)]).splitlines()[2:]]

    assert [float(text) for text in told[:-1]] == [3.0, 0.1, 1e300, math.inf, -math.inf]
    assert math.isnan(float(told[-1]))
