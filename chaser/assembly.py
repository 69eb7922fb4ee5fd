"""The parts of the service, put together: which is given to which. Nothing is begun here."""

import asyncio
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from chaser import __version__
from chaser.api.context import Api, Counting, GitHubParts, Rules, WorkspaceParts
from chaser.api.key_ring import KeyRing
from chaser.api.schemas.jobs import Because
from chaser.api.workspace_access import WorkspaceAccess
from chaser.errors import Unavailable
from chaser.grounds import Grounds, Parts, ground
from chaser.jobs.attempt import Attempts
from chaser.jobs.caps import Caps
from chaser.jobs.completion import Completion
from chaser.jobs.deletion import Deletions
from chaser.jobs.dispatcher import Dispatcher
from chaser.jobs.driver import Driver
from chaser.jobs.expiry import Expiry
from chaser.jobs.hearing import Hearing
from chaser.jobs.intake import Intake
from chaser.jobs.kind import AnyKind
from chaser.jobs.kinds.table import kinds
from chaser.jobs.kinds.workspaces import workspace_kinds
from chaser.jobs.lease import Lease
from chaser.jobs.partings import Partings
from chaser.jobs.reaper import Reaper
from chaser.jobs.reason import Reason
from chaser.key_caps import KeyCaps
from chaser.receiving import receiving
from chaser.relief import Relief
from chaser.retention import Periods, Retention
from chaser.runners.decide import Ours
from chaser.runners.enrolment import Enrolments
from chaser.runners.gate import Gate
from chaser.runners.labels import Grammar, architecture
from chaser.runners.latency_measures import LatencyMeasures
from chaser.runners.registration import name_prefix
from chaser.runners.runner import Runner
from chaser.runners.screening import Screening
from chaser.sandboxes.output import OutputLimits
from chaser.service import Service
from chaser.tending import tend
from chaser.webhooks.endpoint import WebhookEndpoint

Assembled = tuple[Service, Api, WebhookEndpoint | None]


@dataclass(frozen=True, slots=True)
class Queue:
    completion: Completion
    kinds: Mapping[str, AnyKind]
    deletions: Deletions
    dispatcher: Dispatcher
    intake: Intake
    lease: Lease
    reaper: Reaper


def assemble(parts: Parts) -> Assembled:
    grounds = ground(parts)
    ours = _ours(parts)
    gate = Gate(parts.store.demands, ours)
    queue = _queue(parts, grounds, gate)
    screening = _screening(parts, queue.intake, ours)
    heard = receiving(parts, queue.intake, ours, screen=screening.wake)
    tending = tend(parts, queue.intake, heard.reception)
    own = (
        *(queue.dispatcher, screening, gate, parts.access),
        *(grounds.space, grounds.image_relief, grounds.pool),
        *(tending.watchdog, tending.renewals),
    )
    api = _api(parts, grounds, queue, screening, counting=(*own, *heard.counting))
    retention = _retention(parts)
    relief = Relief(grounds.space.crowded, parts.clock, (retention, grounds.image_relief))
    service = Service(
        engine=parts.engine,
        networks=grounds.networks,
        removals=grounds.host.removals,
        lease=queue.lease,
        dispatcher=queue.dispatcher,
        reaper=queue.reaper,
        orphans=grounds.orphans,
        space=grounds.space,
        stopping=api.stopping,
        others={
            "notices": Hearing(parts.store.notices, queue.dispatcher, queue.completion).listen,
            "retention": retention.watch,
            "relief": relief.watch,
            "sizes": grounds.sizes.run,
            "pool": grounds.pool.run,
            "app": parts.access.watch,
            "screening": screening.watch,
            "watchdog": tending.watchdog.watch,
            "renewals": tending.renewals.watch,
            "expiry": Expiry(parts.store.workspaces, queue.deletions, parts.clock).watch,
            **heard.loops,
        },
    )
    return service, api, heard.webhook


def _queue(parts: Parts, grounds: Grounds, gate: Gate) -> Queue:
    jobs, clock, completion = parts.store.jobs, parts.clock, Completion()
    # Filled in below: some kinds cancel jobs, and so need the intake, which needs what drives them.
    every: dict[str, AnyKind] = {}
    dispatcher = _dispatcher(parts, grounds, completion, every)
    intake = Intake(
        jobs,
        completion,
        clock,
        wake=dispatcher.wake,
        expect=dispatcher.expect,
        stop_running=dispatcher.stop_running,
    )
    deletions = Deletions(parts.store.workspaces, parts.engine, intake, completion)
    every.update(_kinds(parts, grounds, gate, deletions))
    reaper = Reaper(
        every,
        jobs,
        grounds.host,
        intake,
        completion,
        clock,
        grounds.worker,
        resume=dispatcher.resume,
        driven=dispatcher.driven,
        host_lost_after=parts.settings.deadlines.host_lost,
    )
    lease = Lease(
        jobs,
        clock,
        grounds.worker,
        parts.seat,
        stop_running=dispatcher.stop_running,
        held=reaper.held,
    )
    return Queue(completion, every, deletions, dispatcher, intake, lease, reaper)


def _kinds(parts: Parts, grounds: Grounds, gate: Gate, deletions: Deletions) -> Mapping[str, AnyKind]:
    runner = Runner(
        parts.settings.profiles,
        Enrolments(parts.store.instance_id, parts.access.registrar, parts.store.runners, parts.clock),
        gate,
        parts.access.ages,
        parts.clock,
        parts.settings.public_url,
    )
    on_workspaces = workspace_kinds(
        parts.store.workspaces, grounds.files, grounds.snapshots, deletions, parts.clock
    )
    return kinds(parts.settings.profiles, (runner, *on_workspaces))


def _dispatcher(
    parts: Parts, grounds: Grounds, completion: Completion, every: Mapping[str, AnyKind]
) -> Dispatcher:
    settings, jobs, clock = parts.settings, parts.store.jobs, parts.clock
    limits = settings.limits
    output = OutputLimits(keep_bytes=limits.output_keep_bytes, kill_bytes=limits.output_kill_bytes)
    attempts = Attempts(
        jobs,
        parts.store.logs,
        grounds.host,
        grounds.courier,
        completion,
        clock,
        output,
        settings.data_dir,
    )
    caps = Caps(
        {name: profile.max_running for name, profile in settings.profiles.items() if profile.max_running},
        lane=settings.github.max_running_per_repository,
        tenant=settings.github.max_running_per_installation,
    )
    return Dispatcher(
        jobs,
        Driver(every, jobs, attempts, grounds.host.removals, completion, clock),
        Partings(every, jobs, completion),
        completion,
        clock,
        grounds.worker,
        max_running=limits.max_running,
        caps=caps,
        cap_of=KeyCaps(parts.store.keys).of,
        held=grounds.space.shortage,
    )


def _retention(parts: Parts) -> Retention:
    kept, folder = parts.settings.retention, parts.settings.files_dir
    periods = Periods(kept.jobs, kept.deliveries, kept.sweep)
    return Retention(parts.store.retention, folder / "uploads", folder / "artifacts", parts.clock, periods)


def _api(
    parts: Parts, grounds: Grounds, queue: Queue, screening: Screening, *, counting: Sequence[Counting]
) -> Api:
    settings, store = parts.settings, parts.store
    quota = settings.workspaces.quota
    stopping = asyncio.Event()

    def admission() -> None:
        grounds.space.check()
        if stopping.is_set():
            raise Unavailable(
                Reason.STOPPING, "The service is stopping; send this again in a moment.", retry_after=5
            )

    return Api(
        jobs=store.jobs,
        logs=store.logs,
        keys=KeyRing(store.keys, parts.clock),
        uploads=grounds.uploads,
        artifacts=grounds.artifacts,
        intake=queue.intake,
        completion=queue.completion,
        profiles=settings.profiles,
        kinds=queue.kinds,
        workspaces=WorkspaceAccess(store.workspaces, parts.clock, quota),
        workspace_parts=WorkspaceParts(
            store.workspaces, grounds.files, grounds.snapshots, queue.deletions, quota
        ),
        github=GitHubParts(
            store.demands,
            store.installations,
            store.passages,
            store.instance_id,
            parts.access.spendings,
            screening.approve,
        ),
        clock=parts.clock,
        version=__version__,
        rules=Rules(
            rate=settings.limits.rate,
            max_queued=settings.limits.max_queued,
            default_timeout=settings.deadlines.timeout,
            max_timeout=settings.deadlines.timeout_max,
            default_queue_timeout=settings.deadlines.queue_timeout,
            body_bytes=settings.limits.body_bytes,
            batch_bytes=settings.limits.batch_bytes,
        ),
        pings={"store": store.ping, "docker": parts.engine.ping},
        counting=counting,
        looking=(store.tallies, LatencyMeasures(store.passages, parts.clock)),
        admission=admission,
        held=lambda: Because.DISK if grounds.space.shortage() else None,
        stopping=stopping,
    )


def _ours(parts: Parts) -> Ours:
    github = parts.settings.github
    grammar = Grammar(parts.settings.profiles, github.label_prefix, architecture(platform.machine()))
    names = name_prefix(parts.store.instance_id)
    return Ours(grammar, github.policy, names, refusal_runners=github.refusal_runners)


def _screening(parts: Parts, intake: Intake, ours: Ours) -> Screening:
    return Screening(
        parts.store.screenings,
        parts.access.workflow_runs,
        ours,
        parts.clock,
        awaken=intake.awaken,
        cancelled=partial(intake.cancelled, reason=Reason.CANCELLED_BY_GITHUB),
    )
