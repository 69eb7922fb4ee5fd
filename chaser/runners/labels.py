"""`runs-on` labels: which jobs are for us, and in which profile they run.

    chaser              the profile `default`
    chaser-<profile>    that profile

Exactly one label begins with the prefix; every other one says what each of our runners is: `self-hosted`, `linux` and
the architecture. Case does not matter, as it does not to GitHub.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

DEFAULT_PREFIX = "chaser"
_ARCHITECTURES = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}
_LATER = re.compile(r"-(\d+cpu|\d+gb|run\d+(\.\d+)?)$")
"""Sizes and pins."""


@dataclass(frozen=True, slots=True)
class Grammar:
    """What a label may say. `architecture` is GitHub's word for the machine: `x64` or `arm64`."""

    profiles: frozenset[str]
    prefix: str = DEFAULT_PREFIX
    architecture: str = "x64"

    @property
    def plain(self) -> frozenset[str]:
        """The labels that all our runners carry, whatever their profile."""
        return frozenset({"self-hosted", "linux", self.architecture})


@dataclass(frozen=True, slots=True)
class Accepted:
    profile: str


@dataclass(frozen=True, slots=True)
class Declined:
    """Meant for us, and not understood. `message` says what to write instead."""

    message: str


@dataclass(frozen=True, slots=True)
class NotOurs:
    """No label has our prefix."""


Match = Accepted | Declined | NotOurs


def architecture(machine: str) -> str:
    """GitHub's word for what `uname -m`, or the engine, calls the machine."""
    return _ARCHITECTURES.get(machine.lower(), machine.lower())


def match_labels(labels: Sequence[str], grammar: Grammar) -> Match:
    lowered = [label.lower() for label in labels]
    ours = [label for label in lowered if label.startswith(grammar.prefix)]
    strange = [label for label in lowered if label not in ours and label not in grammar.plain]
    match ours:
        case []:
            return NotOurs()
        case [label]:
            return _with_others(_profile(label, grammar), strange, grammar)
        case _:
            written = ", ".join(map(repr, ours))
            return Declined(f"runs-on has {len(ours)} labels for this service ({written}); keep exactly one.")


def _with_others(match: Match, strange: Sequence[str], grammar: Grammar) -> Match:
    if isinstance(match, Declined) or not strange:
        return match
    written = ", ".join(map(repr, strange))
    known = ", ".join(sorted(grammar.plain))
    return Declined(
        f"No runner of this service has the label {written}; beside its own, runs-on may name: {known}."
    )


def _profile(label: str, grammar: Grammar) -> Match:
    if label == grammar.prefix:
        return _known("default", label, grammar)
    if not label.startswith(f"{grammar.prefix}-"):
        return _unknown(label, grammar)
    return _known(label.removeprefix(f"{grammar.prefix}-"), label, grammar)


def _known(name: str, label: str, grammar: Grammar) -> Match:
    return Accepted(name) if name in grammar.profiles else _unknown(label, grammar)


def _unknown(label: str, grammar: Grammar) -> Declined:
    if later := _LATER.search(label):
        plain = _LATER.sub("", label)
        return Declined(
            f"The label {label!r} asks for {later[1]!r}: this version understands neither sizes nor pins in a label. "
            f"Write {plain!r}, and give the profile the size that you want."
        )
    written = {f"{grammar.prefix}-{profile}" for profile in grammar.profiles}
    nearest = get_close_matches(label, sorted({*written, grammar.prefix}), n=1)
    advice = f"Did you mean {nearest[0]!r}?" if nearest else f"There are: {', '.join(sorted(written))}."
    return Declined(f"The label {label!r} names no profile of this service. {advice}")
