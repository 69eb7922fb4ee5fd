"""How the service hears of GitHub's jobs, put together: what GitHub delivers, and the looks at what it has not."""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from chaser.api.context import Counting
from chaser.grounds import Parts
from chaser.jobs.intake import Intake
from chaser.jobs.reason import Reason
from chaser.runners.decide import Ours
from chaser.runners.inbox import IntakeMode
from chaser.runners.poll import Bounds, Poll
from chaser.runners.reception import Reception
from chaser.runners.recovery import Recovery, Rhythm
from chaser.runners.redeliveries import Redeliveries, Unread
from chaser.webhooks.endpoint import WebhookEndpoint
from chaser.webhooks.events import Malformed, Ping, parse


@dataclass(frozen=True, slots=True)
class Receiving:
    reception: Reception
    webhook: WebhookEndpoint | None
    """None: nothing of ours is to be reached from outside."""
    loops: Mapping[str, Callable[[], Coroutine[None, None, None]]]
    counting: Sequence[Counting]


def receiving(parts: Parts, intake: Intake, ours: Ours, *, screen: Callable[[], None]) -> Receiving:
    """A webhook secret alone is a valid setting: then deliveries are stored, and what they ask for waits."""
    github, store, clock = parts.settings.github, parts.store, parts.clock
    reception = Reception(
        ours,
        store.inbox,
        clock,
        awaken=intake.awaken,
        cancelled=partial(intake.cancelled, reason=Reason.CANCELLED_BY_GITHUB),
        screen=screen,
    )
    redeliveries = Redeliveries(store.looks, reception, clock, unread, intake=github.intake)
    bounds = Bounds(young=github.grace, starts=github.poll_starts, missing=4 * github.grace)
    recovery = Recovery(
        parts.access.lookout,
        store.looks,
        store.installations,
        reception,
        redeliveries,
        Poll(store.looks, reception, clock, bounds),
        clock,
        Rhythm(
            deliveries=github.redeliver if github.intake is IntakeMode.WEBHOOK else github.intake_every,
            polls=github.poll,
            everything=github.sweep,
            again=github.grace,
        ),
    )
    webhook = (
        None
        if github.intake is IntakeMode.DELIVERIES
        else WebhookEndpoint(parts.signatures, reception, clock)
    )
    return Receiving(
        reception,
        webhook,
        {
            "deliveries": recovery.watch_deliveries,
            "polls": recovery.watch_jobs,
            "sweeps": recovery.watch_everything,
        },
        (reception, redeliveries, recovery, *(() if webhook is None else (webhook,))),
    )


def unread(event: str, body: bytes) -> Unread:
    """A payload that was read out of the App's list of deliveries."""
    match parse(event, body):
        case Malformed(message):
            return Unread(None, message)
        case Ping():
            return Unread(None)
        case found:
            return Unread(found)
