"""What looks after the fleet's runners and the demands that they are for, put together."""

from dataclasses import dataclass
from functools import partial

from chaser.grounds import Parts
from chaser.jobs.intake import Intake
from chaser.runners.fates import Patience
from chaser.runners.inbox import Learned
from chaser.runners.reception import Reception
from chaser.runners.renewals import Renewals
from chaser.runners.sweep import Sweep
from chaser.runners.watchdog import Rhythm, Watchdog


@dataclass(frozen=True, slots=True)
class Tending:
    watchdog: Watchdog
    renewals: Renewals


def tend(parts: Parts, intake: Intake, reception: Reception) -> Tending:
    github, store = parts.settings.github, parts.store
    patience = Patience(github.runner_online, github.runner_job, github.runner_end, github.runner_sight)
    return Tending(
        Watchdog(
            parts.access.registrar,
            parts.access.remaining,
            store.runners,
            Sweep(store.runners, parts.clock, store.instance_id),
            parts.clock,
            patience,
            Rhythm(github.runner_lists),
            stop=intake.cancelled,
        ),
        Renewals(
            store.renewals,
            parts.access.workflow_jobs,
            parts.clock,
            tell=partial(reception.see, learned=Learned.POLL),
            awaken=intake.awaken,
        ),
    )
