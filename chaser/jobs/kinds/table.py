"""The one table of kinds. A new kind is one module and one line here."""

from collections.abc import Iterable, Mapping

from chaser.jobs.kind import AnyKind
from chaser.jobs.kinds.exec import Exec
from chaser.jobs.kinds.pipeline import Pipeline
from chaser.sandboxes.spec import Profile


def kinds(profiles: Mapping[str, Profile], more: Iterable[AnyKind] = ()) -> Mapping[str, AnyKind]:
    """Every kind by its name. `more` are those that need a part of the outside, wired by whoever has that."""
    every: tuple[AnyKind, ...] = (
        Exec(profiles),
        Pipeline(profiles),
        *more,
    )
    return {kind.name: kind for kind in every}
