"""Which jobs are for us, in which profile they run, how large, and held to which job."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaser.runners.labels import (
    Accepted,
    Declined,
    Grammar,
    NotOurs,
    Sizes,
    architecture,
    match_labels,
    nearest,
)
from chaser.sandboxes.spec import Limits
from tests.profiles import MAXIMA, named

PROFILES = {
    **named("default", "large", "large-gpu", "no-net"),
    "cuda": replace(named("cuda")["cuda"], runner_labels=frozenset({"gpu", "cuda-12.4"})),
    "tiny": replace(named("tiny")["tiny"], maxima=Limits(cpus=0.5, memory_bytes=512 << 20)),
}
GRAMMAR = Grammar(PROFILES)


def declined(*labels: str, grammar: Grammar = GRAMMAR) -> Declined:
    match = match_labels(labels, grammar)
    assert isinstance(match, Declined)
    return match


@pytest.mark.parametrize(
    ("labels", "profile"),
    [
        (["chaser"], "default"),
        (["chaser-default"], "default"),
        (["chaser-large"], "large"),
        (["chaser-no-net"], "no-net"),
        (["CHASER-Large"], "large"),
        (["self-hosted", "chaser"], "default"),
        (["Self-Hosted", "Linux", "X64", "chaser-large"], "large"),
        (["chaser", "Chaser"], "default"),
        (["chaser-cuda", "GPU", "cuda-12.4", "linux"], "cuda"),
    ],
)
def test_one_label_of_ours_names_the_profile(labels: list[str], profile: str) -> None:
    assert match_labels(labels, GRAMMAR) == Accepted(profile)


@pytest.mark.parametrize(
    "labels",
    [[], ["ubuntu-latest"], ["self-hosted"], ["self-hosted", "linux", "x64"], ["my-chaser"], ["gpu"], [""]],
)
def test_without_our_prefix_a_job_is_not_ours(labels: list[str]) -> None:
    """Labels that any self-hosted runner has are anybody's."""
    assert match_labels(labels, GRAMMAR) == NotOurs()


@pytest.mark.parametrize(
    ("label", "match"),
    [
        ("chaser-4cpu", Accepted("default", Sizes(cpus=4))),
        ("chaser-16gb", Accepted("default", Sizes(memory_bytes=16 << 30))),
        ("chaser-large-4cpu-16gb", Accepted("large", Sizes(4, 16 << 30))),
        ("chaser-large-16gb-4cpu", Accepted("large", Sizes(4, 16 << 30))),
        ("Chaser-Large-4CPU-16GB-Run7", Accepted("large", Sizes(4, 16 << 30), "7")),
        ("chaser-run123", Accepted("default", pin="123")),
        ("chaser-run123.4", Accepted("default", pin="123.4")),
        ("chaser-large-run00", Accepted("large", pin="00")),
        ("chaser-large-gpu-08cpu", Accepted("large-gpu", Sizes(cpus=8))),
    ],
)
def test_sizes_and_a_pin_follow_the_profile(label: str, match: Accepted) -> None:
    assert match_labels([label], GRAMMAR) == match


@pytest.mark.parametrize(
    ("label", "match"),
    [
        ("chaser-large-4cpu", Accepted("large-4cpu")),
        ("chaser-large-4cpu-2cpu", Accepted("large-4cpu", Sizes(cpus=2))),
        ("chaser-large-2cpu", Accepted("large", Sizes(cpus=2))),
        ("chaser-8gb", Accepted("8gb")),
        ("chaser-default-8gb", Accepted("default", Sizes(memory_bytes=8 << 30))),
        ("chaser-run7", Accepted("run7")),
        ("chaser-run7-run8", Accepted("run7", pin="8")),
    ],
)
def test_the_longest_profile_that_fits_wins(label: str, match: Accepted) -> None:
    profiles = named("default", "large", "large-4cpu", "8gb", "run7")
    assert match_labels([label], Grammar(profiles)) == match


@pytest.mark.parametrize(
    ("label", "advice"),
    [
        ("chaser-lagre", "chaser-large"),
        ("chaser_large", "chaser-large"),
        ("chaser-lrge", "chaser-large"),
        ("chasers", "chaser"),
        ("chaser-", "chaser"),
        ("chaser--4cpu", "chaser-4cpu"),
        ("chaser-large-", "chaser-large"),
        ("chaser-lagre-4cpu-run7", "chaser-large-4cpu-run7"),
        ("chaser-4cpu-large", "chaser-large-4cpu"),
        ("chaser-lagre-99cpu", "chaser-large-8cpu"),
        ("chaser-large-4cpus", "chaser-large"),
        ("chaser-large-1.5cpu", "chaser-large"),
        ("chaser-large-run", "chaser-large"),
        ("chaser-large-run7.", "chaser-large"),
        ("chaser-large-run7.8.9", "chaser-large"),
        ("chaser-large\n", "chaser-large"),
        ("chaser-large ", "chaser-large"),
    ],
)
def test_what_is_not_understood_is_answered_with_the_nearest(label: str, advice: str) -> None:
    match = declined(label)
    assert match.instead == advice
    assert f"write {advice!r}" in match.message
    assert "nearest profile" in match.message


@pytest.mark.parametrize("slip", ["4cpus", "1.5cpu", "16g", "run", "run7."])
def test_a_slip_in_a_size_or_a_pin_is_named(slip: str) -> None:
    assert f"{slip!r} is neither a size (4cpu, 16gb) nor a pin" in declined(f"chaser-large-{slip}").message


def test_where_no_profile_is_near_all_are_named() -> None:
    written = "chaser, chaser-cuda, chaser-large, chaser-large-gpu, chaser-no-net, chaser-tiny"
    assert f"There are: {written}." in declined("chaser-zzzzzzzzzzzzzzzzzzzz").message


def test_of_very_many_profiles_only_some_are_named() -> None:
    profiles = named("default", *(f"profile-{number:03}" for number in range(200)))
    match = declined(f"chaser-{'z' * 200}", grammar=Grammar(profiles))
    assert match.message.endswith("and 191 more.")


@pytest.mark.parametrize(
    ("label", "complaint", "advice"),
    [
        ("chaser-9cpu", "asks for 9 cpus, where the profile 'default' allows at most 8", "chaser-8cpu"),
        ("chaser-large-17gb", "profiles.large.maxima.memory", "chaser-large-16gb"),
        ("chaser-large-9cpu-17gb-run1", "profiles.large.maxima.cpus", "chaser-large-8cpu-16gb-run1"),
        (f"chaser-{'9' * 200}cpu", "allows at most 8 ", "chaser-8cpu"),
        ("chaser-tiny-1cpu-1gb", "allows at most 0.5 (profiles.tiny.maxima.cpus)", "chaser-tiny"),
        ("chaser-0cpu", "asks for nothing", "chaser-1cpu"),
        ("chaser-0gb", "asks for nothing", "chaser-1gb"),
        ("chaser-4cpu-8cpu", "more than once", "chaser-4cpu"),
        ("chaser-run1-run2", "more than once", "chaser-run1"),
        ("chaser-run1-4cpu", "has its pin before its end", "chaser-4cpu-run1"),
    ],
)
def test_what_cannot_be_had_is_refused_with_what_can(label: str, complaint: str, advice: str) -> None:
    match = declined(label)
    assert complaint in match.message
    assert match.instead == advice
    assert f"Write {advice!r}." in match.message


def test_all_that_is_wrong_with_a_label_is_said_at_once() -> None:
    message = declined("chaser-large-run1-9cpu-17gb").message
    assert [each in message for each in ("its pin before", "maxima.cpus", "maxima.memory")] == [True] * 3


def test_two_labels_of_ours_are_one_too_many() -> None:
    assert "exactly one" in declined("chaser", "chaser-large").message
    assert "and 40 more" in declined(*(f"chaser-{number}" for number in range(50))).message


@pytest.mark.parametrize("other", ["riscv", "windows", "arm64", "ubuntu-latest", ""])
def test_a_label_that_no_runner_of_the_profile_has_is_refused(other: str) -> None:
    """GitHub gives a job only to a runner that has all of its labels."""
    match = declined("chaser-4cpu", other)
    assert repr(other) in match.message
    assert "linux, self-hosted, x64" in match.message
    assert "profiles.default.runner_labels" in match.message
    assert match.instead == "chaser-4cpu"


def test_a_profile_that_has_the_label_is_named() -> None:
    match = declined("chaser-4cpu-run7", "gpu", "linux")
    assert "The profile 'cuda' has it: write 'chaser-cuda-4cpu-run7'." in match.message
    assert match.instead == "chaser-cuda-4cpu-run7"
    assert declined("chaser", "gpu", "riscv").instead == "chaser"


def test_the_prefix_and_the_architecture_are_settings() -> None:
    grammar = Grammar(named("default"), prefix="acme", architecture="arm64")
    assert match_labels(["acme", "arm64"], grammar) == Accepted("default")
    assert match_labels(["chaser"], grammar) == NotOurs()
    assert isinstance(match_labels(["acme", "x64"], grammar), Declined)


def test_a_prefix_that_looks_like_a_pin_is_only_a_prefix() -> None:
    grammar = Grammar(named("default", "large"), prefix="run1")
    assert match_labels(["run1-run2"], grammar) == Accepted("default", pin="2")
    assert declined("run12", grammar=grammar).instead == "run1"


@pytest.mark.parametrize(
    "label", ["cha\u017fer", "chaser\u200b", "chaser-\uff14cpu", "chaser-run\u0661", "chaser-no-ne\u0165"]
)
def test_letters_that_only_look_like_ours_are_not(label: str) -> None:
    """A runner with the label in another spelling would never get the job."""
    assert not isinstance(match_labels([label], GRAMMAR), Accepted)


def test_a_kelvin_sign_is_no_k() -> None:
    """Though its lower case is one."""
    grammar = Grammar(named("default", "kiln"))
    assert declined("chaser-\u212ailn", grammar=grammar).instead == "chaser-kiln"


@pytest.mark.parametrize(
    ("machine", "word"),
    [("x86_64", "x64"), ("aarch64", "arm64"), ("arm64", "arm64"), ("AMD64", "x64"), ("s390x", "s390x")],
)
def test_architectures_have_githubs_names(machine: str, word: str) -> None:
    assert architecture(machine) == word


def test_the_nearest_of_some_names_is_always_one_of_them() -> None:
    assert nearest("lagre", ["small", "large"]) == "large"
    assert nearest("", ["small"]) == "small"


PARTS = st.from_regex(r"[a-z][a-z0-9]{0,9}", fullmatch=True).filter(lambda part: not part.startswith("run"))
NAMES = st.lists(PARTS, min_size=1, max_size=3).map("-".join)
"""Names as the configuration allows them: no part reads as a size or a pin."""
PINS = st.from_regex(r"[0-9]{1,20}(\.[0-9]{1,5})?", fullmatch=True)
TOKENS = st.from_regex(r"[0-9]{1,3}(cpu|gb)|run[0-9.]{1,4}", fullmatch=True)


def long_label(text: str, times: int) -> str:
    return f"chaser-{text * times}"


LABELS: st.SearchStrategy[str] = (
    st.text()
    | st.text(st.characters(max_codepoint=127))
    | st.text(max_size=300).map("chaser{}".format)
    | st.lists(TOKENS | st.sampled_from([*PROFILES, ""])).map(lambda parts: "-".join(["chaser", *parts]))
    | st.builds(long_label, TOKENS | st.text(), st.integers(0, 500))
    | st.sampled_from(
        [
            f"chaser-{'9' * 5000}cpu",
            "chaser",
            "CHASER-large",
            "linux",
            "self-hosted",
            "gpu",
            "chaser-\ud800",
            "chaser-\0",
        ]
    )
)


@given(
    names=st.sets(NAMES, max_size=5),
    data=st.data(),
    cpus=st.none() | st.integers(1, int(MAXIMA.cpus)),
    gib=st.none() | st.integers(1, MAXIMA.memory_bytes >> 30),
    pin=st.none() | PINS,
    others=st.sets(st.sampled_from(["Self-Hosted", "linux", "X64"])),
    upper=st.booleans(),
)
def test_all_that_can_be_meant_can_be_written(
    names: set[str],
    data: st.DataObject,
    cpus: int | None,
    gib: int | None,
    pin: str | None,
    others: set[str],
    upper: bool,
) -> None:
    grammar = Grammar(named("default", *names))
    profile = data.draw(st.sampled_from(sorted(grammar.profiles)))
    meant = Accepted(profile, Sizes(cpus, None if gib is None else gib << 30), pin)
    sizes = [f"-{cpus}cpu"] * (cpus is not None) + [f"-{gib}gb"] * (gib is not None)
    end = "" if pin is None else f"-run{pin}"
    for order in itertools.permutations(sizes):
        label = f"chaser-{profile}{''.join(order)}{end}"
        assert match_labels([*others, label.upper() if upper else label], grammar) == meant
    assert match_labels([grammar.label(profile, meant.limits, pin)], grammar) == meant


@given(labels=st.lists(LABELS, max_size=4))
def test_whatever_the_labels_are_there_is_an_answer_and_its_advice_holds(labels: list[str]) -> None:
    match = match_labels(labels, GRAMMAR)
    match match:
        case Accepted(profile, limits):
            assert limits.within(PROFILES[profile].maxima) == limits
            assert all(label.isascii() for label in labels)
        case Declined(message, instead):
            assert message.isprintable()
            assert len(message) < 5000
            assert instead is None or isinstance(match_labels([instead], GRAMMAR), Accepted)
        case NotOurs():
            assert not any(label.lower().startswith("chaser") for label in labels)


@given(labels=st.lists(LABELS, max_size=4))
def test_order_and_case_do_not_matter(labels: list[str]) -> None:
    """GitHub ignores both; beyond ASCII we would rather not guess what it does."""
    match = match_labels(labels, GRAMMAR)
    turned = [label.lower() if label.isascii() else label for label in reversed(labels)]
    again = match_labels(turned, GRAMMAR)
    assert type(match) is type(again)
    if not isinstance(match, Declined):
        assert match == again
