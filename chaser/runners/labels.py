"""`runs-on` labels: which jobs are for us, in which profile they run, how large, and held to which job.

    chaser[-<profile>][-<n>cpu][-<n>gb][-run<digits>[.<digits>]]

Exactly one label begins with the prefix; every other one says what each of our runners is (`self-hosted`, `linux` and
the architecture), or is one that the profile declares. Without a profile's name it is `default`. The sizes may change
places, and each is said at most once; a `gb` is a GiB, as everywhere here. The pin comes last: it makes the label one
that no other job has, and GitHub gives a runner no job whose labels it lacks.

The longest profile name that leaves nothing but sizes and a pin wins: of the profiles `large` and `large-gpu`, the label
`chaser-large-gpu-4cpu` means the second, and it would be so if a profile had a name that looks like a size.

Case does not matter, as it does not to GitHub: that of ASCII letters, of which all that can be understood is made. Other
letters stay as they are, so that none becomes one of ours that GitHub would not take for it.
"""

import re
import string
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from chaser.sandboxes.spec import Limits, Profile

DEFAULT_PREFIX = "chaser"
DEFAULT_PROFILE = "default"
_ARCHITECTURES = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}
_TOKEN = re.compile(r"(?P<cpus>[0-9]+)cpu|(?P<gib>[0-9]+)gb|run(?P<pin>[0-9]+(?:\.[0-9]+)?)")
_LIKE_TOKEN = re.compile(r"[0-9]|run[0-9.]*$")
"""How a part of a label begins that was meant as a size or a pin, and no profile's name."""
_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
_MOST_DIGITS = 15
"""More say no more: no machine is that large."""
_MOST_COMPARED = 100
"""Characters of a label that are held against the names of profiles, which are shorter, and that are repeated in answers."""
_MOST_LISTED = 10

_Tokens = Sequence[re.Match[str]]


@dataclass(frozen=True, slots=True)
class Sizes:
    """What a label says of the sandbox's size; none: as the profile says."""

    cpus: float | None = None
    memory_bytes: int | None = None

    def within(self, maxima: Limits) -> "Sizes":
        """The nearest sizes that a label can say and that the maxima allow."""
        cpus, memory = int(maxima.cpus), maxima.memory_bytes >> 30 << 30
        return Sizes(
            None if self.cpus is None or cpus < 1 else min(max(self.cpus, 1), cpus),
            None if self.memory_bytes is None or not memory else min(max(self.memory_bytes, 1 << 30), memory),
        )


@dataclass(frozen=True, slots=True)
class Grammar:
    """What a label may say. `architecture` is GitHub's word for the machine: `x64` or `arm64`.

    `default` is among the profiles, and names and prefix are in lower case; the configuration sees to both.
    """

    profiles: Mapping[str, Profile]
    prefix: str = DEFAULT_PREFIX
    architecture: str = "x64"

    @property
    def plain(self) -> frozenset[str]:
        """The labels that all our runners carry, whatever their profile."""
        return frozenset({"self-hosted", "linux", self.architecture})

    def label(self, profile: str, sizes: Sizes | None = None, pin: str | None = None) -> str:
        """How this is written."""
        said = sizes or Sizes()
        parts = [
            self.prefix,
            None if profile == DEFAULT_PROFILE else profile,
            None if said.cpus is None else f"{said.cpus:.0f}cpu",
            None if said.memory_bytes is None else f"{said.memory_bytes >> 30}gb",
            None if pin is None else f"run{pin}",
        ]
        return "-".join(part for part in parts if part is not None)


@dataclass(frozen=True, slots=True)
class Accepted:
    profile: str
    limits: Sizes = Sizes()
    pin: str | None = None
    """What stands after `run`: a workflow run's id, perhaps with the job's place in its matrix."""


@dataclass(frozen=True, slots=True)
class Declined:
    """Meant for us, and not to be had. `message` says what to write instead."""

    message: str
    instead: str | None = None
    """The nearest label of ours that can be understood, if there is one."""


@dataclass(frozen=True, slots=True)
class NotOurs:
    """No label has our prefix."""


Match = Accepted | Declined | NotOurs


def architecture(machine: str) -> str:
    """GitHub's word for what `uname -m`, or the engine, calls the machine."""
    return _ARCHITECTURES.get(machine.lower(), machine.lower())


def match_labels(labels: Sequence[str], grammar: Grammar) -> Match:
    """What `runs-on` asks of us. Whatever the labels are, this raises nothing."""
    lowered = dict.fromkeys(label.translate(_LOWER) for label in labels)
    ours = [label for label in lowered if label.startswith(grammar.prefix)]
    match ours:
        case []:
            return NotOurs()
        case [label]:
            match = _read(label, grammar)
            others = [other for other in lowered if other != label]
            return _with_others(match, others, grammar) if isinstance(match, Accepted) else match
        case _:
            written = _listed(map(_quoted, ours))
            return Declined(f"runs-on has {len(ours)} labels for this service ({written}); keep exactly one.")


def nearest(word: str, names: Iterable[str]) -> str:
    """The most similar of some names; there is at least one."""
    return get_close_matches(word[:_MOST_COMPARED], sorted(names), n=1, cutoff=0)[0]


def _with_others(match: Accepted, others: Sequence[str], grammar: Grammar) -> Match:
    known = grammar.plain | grammar.profiles[match.profile].runner_labels
    strange = [other for other in others if other not in known]
    if not strange:
        return match
    having = [
        name
        for name, profile in grammar.profiles.items()
        if grammar.plain | profile.runner_labels >= {*others}
    ]
    missing = (
        f"No runner of the profile {match.profile!r} has the label {_listed(map(_quoted, strange))}; "
        f"beside its own, runs-on may name: {', '.join(sorted(known))}."
    )
    if having:
        other = nearest(match.profile, having)
        instead = grammar.label(other, match.limits.within(grammar.profiles[other].maxima), match.pin)
        return Declined(f"{missing} The profile {other!r} has it: write {instead!r}.", instead)
    instead = grammar.label(match.profile, match.limits, match.pin)
    return Declined(
        f"{missing} Leave it out, or declare it in profiles.{match.profile}.runner_labels.", instead
    )


def _read(label: str, grammar: Grammar) -> Accepted | Declined:
    rest = label.removeprefix(grammar.prefix)
    for name in sorted(grammar.profiles, key=len, reverse=True):
        tokens = _after(f"-{name}", rest)
        if tokens is not None:
            return _sized(label, name, tokens, grammar)
    tokens = _after("", rest)
    return _unknown(label, grammar) if tokens is None else _sized(label, DEFAULT_PROFILE, tokens, grammar)


def _after(name: str, rest: str) -> _Tokens | None:
    """The sizes and the pin behind the name; none if it is not that name, or if anything else is behind it."""
    if not rest.startswith(name):
        return None
    before, *parts = rest.removeprefix(name).split("-")
    tokens = [token for part in parts if (token := _TOKEN.fullmatch(part))]
    return None if before or len(tokens) < len(parts) else tokens


def _sized(label: str, name: str, tokens: _Tokens, grammar: Grammar) -> Accepted | Declined:
    sizes, pin, maxima = _sizes(tokens), _first("pin", tokens), grammar.profiles[name].maxima
    faults = [*_misplaced(tokens), *_out_of_bounds(sizes, name, maxima)]
    if not faults:
        return Accepted(name, sizes, pin)
    instead = grammar.label(name, sizes.within(maxima), pin)
    return Declined(f"The label {_quoted(label)} {', and '.join(faults)}. Write {instead!r}.", instead)


def _first(group: str, tokens: _Tokens) -> str | None:
    return next((token[group] for token in tokens if token[group] is not None), None)


def _sizes(tokens: _Tokens) -> Sizes:
    cpus, gib = _first("cpus", tokens), _first("gib", tokens)
    return Sizes(None if cpus is None else _number(cpus), None if gib is None else _number(gib) << 30)


def _number(digits: str) -> int:
    return int(digits.lstrip("0")[:_MOST_DIGITS] or "0")


def _misplaced(tokens: _Tokens) -> Iterable[str]:
    groups = [token.lastgroup for token in tokens]
    if len({*groups}) < len(groups):
        yield "says a size or a pin more than once"
    if "pin" in groups[:-1]:
        yield "has its pin before its end"


def _out_of_bounds(sizes: Sizes, name: str, maxima: Limits) -> Iterable[str]:
    if sizes.cpus == 0 or sizes.memory_bytes == 0:
        yield "asks for nothing at all"
    if sizes.cpus is not None and sizes.cpus > maxima.cpus:
        yield (
            f"asks for {sizes.cpus:.0f} cpus, where the profile {name!r} allows at most {maxima.cpus:g} "
            f"(profiles.{name}.maxima.cpus)"
        )
    if sizes.memory_bytes is not None and sizes.memory_bytes > maxima.memory_bytes:
        yield (
            f"asks for {sizes.memory_bytes >> 30} GiB, where the profile {name!r} allows at most "
            f"{(maxima.memory_bytes * 100 >> 30) / 100:g} (profiles.{name}.maxima.memory)"
        )


def _unknown(label: str, grammar: Grammar) -> Declined:
    """What can be understood of it is kept in what is advised."""
    head, *parts = label.split("-")
    tokens = [token for part in parts if (token := _TOKEN.fullmatch(part))]
    words = "-".join([head, *(part for part in parts if not _LIKE_TOKEN.match(part))])
    slips = [part for part in parts if _LIKE_TOKEN.match(part) and not _TOKEN.fullmatch(part)]
    written = {grammar.label(name): name for name in grammar.profiles}
    close = get_close_matches(words[:_MOST_COMPARED], sorted(written), n=1)
    name = written[close[0] if close else nearest(words, written)]
    sizes = _sizes(tokens).within(grammar.profiles[name].maxima)
    instead = grammar.label(name, sizes, _first("pin", tokens))
    sentences = [
        f"The label {_quoted(label)} is not understood.",
        *(f"{_quoted(slip)} is neither a size (4cpu, 16gb) nor a pin (run123)." for slip in slips[:1]),
        f"The nearest profile is {name!r}: write {instead!r}.",
        *([] if close else [f"There are: {_listed(sorted(written))}."]),
    ]
    return Declined(" ".join(sentences), instead)


def _quoted(label: str) -> str:
    """As it is written, shortened in the middle if it is very long."""
    half = _MOST_COMPARED // 2
    return repr(label if len(label) <= _MOST_COMPARED else f"{label[:half]}…{label[-half:]}")


def _listed(names: Iterable[str]) -> str:
    first, more = [*names], ""
    if len(first) > _MOST_LISTED:
        more = f" and {len(first) - _MOST_LISTED} more"
    return ", ".join(first[:_MOST_LISTED]) + more
