"""Which files a pattern means."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaser.sandboxes.globs import Glob


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("a.log", ["/w/a.log"], ["/w/b/a.log", "/a.log", "/w/a.logs"]),
        ("*.log", ["/w/a.log", "/w/.log", "/w/.hidden.log"], ["/w/d/a.log", "/w/a.log/x"]),
        ("a?c", ["/w/abc", "/w/a\nc", "/w/aéc"], ["/w/ac", "/w/abbc", "/w/a/c"]),
        ("[ab]*", ["/w/apple", "/w/b"], ["/w/cherry"]),
        ("[!ab]*", ["/w/cherry"], ["/w/apple"]),
        ("a[b", ["/w/a[b"], ["/w/ab"]),
        ("[*]", ["/w/*"], ["/w/x"]),
        ("**", ["/w/a", "/w/a/b/c"], ["/w", "/x/a"]),
        ("**/*.xml", ["/w/a.xml", "/w/b/a.xml", "/w/b/c/a.xml"], ["/w/a.xml/b"]),
        ("d/**", ["/w/d/a", "/w/d/b/c"], ["/w/d", "/w/e/a"]),
        ("d/", ["/w/d/a", "/w/d/b/c"], ["/w/d"]),
        ("d/**/e/*", ["/w/d/e/x", "/w/d/1/2/e/x", "/w/d/e/e/x"], ["/w/d/e", "/w/d/1/x"]),
        ("**/**/x", ["/w/x", "/w/a/x"], ["/w/xx"]),
        ("/var/log/*", ["/var/log/syslog"], ["/w/var/log/syslog"]),
        ("./d//x", ["/w/d/x"], ["/w/x"]),
        ("/", ["/anything", "/at/all"], []),
    ],
)
def test_a_pattern_means_these_and_not_those(pattern: str, yes: list[str], no: list[str]) -> None:
    glob = Glob.below("/w", pattern)

    assert [path for path in [*yes, *no] if glob.matches(path)] == yes


@pytest.mark.parametrize(
    ("pattern", "root", "literal"),
    [
        ("report.xml", "/w/report.xml", True),
        ("out/*.xml", "/w/out", False),
        ("out/**/deep/x", "/w/out", False),
        ("*", "/w", False),
        ("/*", "/", False),
        ("/etc/passwd", "/etc/passwd", True),
        ("dist/", "/w/dist", False),
    ],
)
def test_only_the_part_that_is_left_open_is_searched(pattern: str, root: str, literal: bool) -> None:
    glob = Glob.below("/w", pattern)

    assert (glob.root, glob.literal) == (root, literal)


NAMES = st.text(st.sampled_from("ab*?[]!.\n"), min_size=1, max_size=6).filter(lambda name: name.strip("."))


@given(st.lists(NAMES, min_size=1, max_size=5))
def test_a_literal_path_matches_itself_and_all_is_below_its_directories(parts: list[str]) -> None:
    path = "/w/" + "/".join(parts)
    quoted = "/".join("".join(f"[{each}]" if each in "*?[" else each for each in part) for part in parts)

    assert Glob.below("/w", quoted).matches(path)
    assert Glob.below("/", "**").matches(path)
    assert not Glob.below("/", quoted + "/*").matches(path)


def test_a_hostile_pattern_costs_no_more_than_pattern_times_name() -> None:
    """Ended by the suite's time limit if stars are tried in every combination."""
    glob = Glob.below("/", "/".join(["**", "*a" * 60 + "b"] * 20))

    assert not glob.matches("/".join(["a" * 250] * 16))
