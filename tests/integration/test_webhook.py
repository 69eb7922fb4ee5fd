"""`POST /webhooks/github` on the real store: what is answered, what is stored, who is woken."""

import asyncio
import hmac
import json
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import cast

import httpx
import pytest
from sqlalchemy import func, select
from starlette.applications import Starlette
from starlette.types import Message

from chaser.clock import ManualClock
from chaser.errors import Unavailable
from chaser.ids import JobId
from chaser.jobs.job import Job as StoredJob
from chaser.jobs.job import Status
from chaser.jobs.ports import JobFilter
from chaser.jobs.reason import Reason
from chaser.runners.demand import State
from chaser.runners.inbox import Delivery as StoredDelivery
from chaser.runners.inbox import News, Recorded, Repeated
from chaser.runners.latency import Stage
from chaser.runners.policy import Policy
from chaser.runners.reception import Reception
from chaser.secret import Secret
from chaser.simulator.delivery import Delivery, delivery, ping, queued
from chaser.simulator.payload import Job, workflow_job
from chaser.simulator.serving import serving
from chaser.store.store import Store
from chaser.store.tables import deliveries
from chaser.webhooks.endpoint import PATH, WebhookEndpoint
from chaser.webhooks.signature import Signatures
from tests.workflow_jobs import OURS, runner_of

SECRET = "it's a secret"
JOB = Job(("self-hosted", "chaser"), id=77)
SMALL = 64 << 10
"""The largest body in these tests, in bytes."""


@dataclass
class Side:
    """The service's side of the webhook, and what can be seen of it."""

    store: Store
    app: Starlette
    client: httpx.AsyncClient
    woken: list[bool] = field(default_factory=list[bool])
    cancelled: list[JobId] = field(default_factory=list[JobId])

    async def send(self, sent: Delivery, secret: str = SECRET, **headers: str) -> httpx.Response:
        given = {**sent.headers(secret), **headers}
        return await self.client.post(PATH, content=sent.body, headers=given)

    async def jobs(self) -> Sequence[StoredJob]:
        return await self.store.jobs.list(JobFilter())

    async def stored(self) -> int:
        """How many deliveries are stored."""
        query = select(func.count()).select_from(deliveries)
        return await self.store.database.read(lambda connection: connection.execute(query).scalar_one())


@pytest.fixture
async def side(store: Store, clock: ManualClock) -> AsyncGenerator[Side]:
    woken, cancelled = list[bool](), list[JobId]()
    endpoint = WebhookEndpoint(
        Signatures([Secret(SECRET), Secret("the one before")]),
        Reception(
            OURS,
            store.inbox,
            clock,
            awaken=lambda: woken.append(True),
            cancelled=cancelled.append,
            screen=lambda: None,
        ),
        clock,
        largest=SMALL,
    )
    app = Starlette(routes=[endpoint.route()])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://chaser") as client:
        yield Side(store, app, client, woken, cancelled)


def part(of: dict[str, object], key: str) -> dict[str, object]:
    return cast("dict[str, object]", of[key])


def error(answer: httpx.Response) -> tuple[int, str]:
    body = answer.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"code", "message", "details"}
    assert body["error"]["message"]
    return answer.status_code, body["error"]["code"]


async def test_a_queued_job_is_stored_and_its_runner_owed(side: Side) -> None:
    sent = queued(JOB)
    answer = await side.send(sent)
    assert answer.status_code == 202
    assert answer.json() == {"delivery": sent.guid, "decision": "accepted", "message": None}
    (job,) = await side.jobs()
    assert (job.kind, job.status, job.origin) == ("github.runner", Status.QUEUED, "github/workflow_job/77")
    assert (job.input["profile"], job.input["labels"]) == ("default", ["self-hosted", "chaser"])
    assert (await side.stored(), side.woken) == (1, [True])


async def test_a_repeated_delivery_has_no_effect(side: Side) -> None:
    sent = queued(JOB)
    await side.send(sent)
    answer = await side.send(sent)
    assert (answer.status_code, answer.json()["decision"]) == (202, "accepted")
    assert (len(await side.jobs()), await side.stored(), side.woken) == (1, 1, [True])


async def test_the_same_job_in_another_delivery_owes_no_second_runner(side: Side) -> None:
    """A webhook of the repository and one of the App, or an approval gate, tell of a job twice."""
    await side.send(queued(JOB))
    answer = await side.send(queued(JOB))
    assert (answer.status_code, answer.json()["decision"]) == (202, "accepted")
    assert (len(await side.jobs()), await side.stored()) == (1, 2)


async def test_one_delivery_sent_many_times_at_once_owes_one_runner(side: Side) -> None:
    sent = queued(JOB)
    answers = await asyncio.gather(*(side.send(sent) for _ in range(8)))
    assert {answer.status_code for answer in answers} == {202}
    assert (len(await side.jobs()), await side.stored()) == (1, 1)


async def test_the_secret_that_is_being_replaced_still_signs(side: Side) -> None:
    answer = await side.send(queued(JOB), "the one before")
    assert answer.status_code == 202


async def test_a_bad_signature_stores_nothing(side: Side) -> None:
    sent = queued(JOB)
    genuine = sent.headers(SECRET)["X-Hub-Signature-256"]
    for signature in (
        *("", "sha256=", "sha256=" + "0" * 64, "sha1=" + "0" * 40, "\xff", "x" * 5000),
        *(genuine.upper(), "sha256=" + genuine[7:].upper(), genuine[:-1], genuine + "0", genuine[7:]),
        *(f"{genuine},{genuine}", f" {genuine} x", genuine.replace("sha256", "sha512")),
    ):
        headers = httpx.Headers(sent.headers(SECRET), encoding="latin-1")
        headers["X-Hub-Signature-256"] = signature
        answer = await side.client.post(PATH, content=sent.body, headers=headers)
        assert error(answer) == (401, "bad_signature")
    assert (await side.jobs(), await side.stored(), side.woken) == ([], 0, [])
    assert (await side.send(sent)).json()["decision"] == "accepted"


async def test_the_signature_of_old_is_none(side: Side) -> None:
    """SHA-1, which GitHub still sends beside the other."""
    sent = queued(JOB)
    headers = {name: value for name, value in sent.headers(SECRET).items() if "Signature" not in name}
    headers["X-Hub-Signature"] = "sha1=" + hmac.new(SECRET.encode(), sent.body, "sha1").hexdigest()
    answer = await side.client.post(PATH, content=sent.body, headers=headers)
    assert error(answer) == (401, "bad_signature")


async def test_a_genuine_signature_twice_is_none(side: Side) -> None:
    sent = queued(JOB)
    headers = [*sent.headers(SECRET).items()]
    headers += [each for each in headers if each[0] == "X-Hub-Signature-256"]
    assert error(await side.client.post(PATH, content=sent.body, headers=headers)) == (401, "bad_signature")


async def test_a_guid_that_comes_back_with_another_body_has_no_effect(side: Side) -> None:
    """The id is not signed: so it may only keep something from happening."""
    first = queued(JOB)
    await side.send(first)
    cancel = Delivery("workflow_job", json.dumps(workflow_job("completed", JOB)).encode(), guid=first.guid)
    assert (await side.send(cancel)).status_code == 202
    (job,) = await side.jobs()
    assert (job.status, side.cancelled) == (Status.QUEUED, [])


async def test_a_missing_and_a_wrong_secret_and_a_changed_body_are_answered_alike(side: Side) -> None:
    sent = queued(JOB)
    unsigned = {name: value for name, value in sent.headers(SECRET).items() if "Signature" not in name}
    answers = [
        await side.client.post(PATH, content=sent.body, headers=unsigned),
        await side.send(sent, "another secret"),
        await side.client.post(PATH, content=sent.body + b" ", headers=sent.headers(SECRET)),
    ]
    assert {error(answer) for answer in answers} == {(401, "bad_signature")}
    assert len({answer.text for answer in answers}) == 1
    assert await side.stored() == 0


async def test_two_signatures_are_as_bad_as_none(side: Side) -> None:
    sent = queued(JOB)
    headers = [*sent.headers(SECRET).items(), ("X-Hub-Signature-256", "sha256=" + "0" * 64)]
    assert error(await side.client.post(PATH, content=sent.body, headers=headers)) == (401, "bad_signature")


async def test_a_ping_is_answered_and_not_stored(side: Side) -> None:
    assert (await side.send(ping())).status_code == 200
    assert error(await side.send(ping(), "another secret")) == (401, "bad_signature")
    assert await side.stored() == 0


async def test_other_events_and_actions_are_noted_as_not_ours(side: Side) -> None:
    for sent in (
        delivery("workflow_job", workflow_job("teleported", JOB)),
        delivery("push", {"ref": "refs/heads/main"}),
        delivery("installation_target", {"action": "renamed", "installation": {"id": 5}}),
        queued(replace(JOB, labels=("ubuntu-latest",))),
        delivery("workflow_job", workflow_job("completed", replace(JOB, labels=("ubuntu-latest",)))),
    ):
        answer = await side.send(sent)
        assert (answer.status_code, answer.json()["decision"]) == (202, "not_ours")
    assert (await side.jobs(), await side.stored(), side.woken) == ([], 5, [])


async def test_a_job_that_is_cancelled_before_its_start_gets_no_runner(side: Side) -> None:
    await side.send(queued(JOB))
    answer = await side.send(delivery("workflow_job", workflow_job("completed", JOB)))
    assert (answer.status_code, answer.json()["decision"]) == (202, "accepted")
    (job,) = await side.jobs()
    assert (job.status, job.reason) == (Status.CANCELLED, Reason.CANCELLED_BY_GITHUB)
    assert (side.cancelled, side.woken) == ([job.id], [True])


async def test_a_repeated_cancel_tells_nobody_again(side: Side) -> None:
    await side.send(queued(JOB))
    cancel = delivery("workflow_job", workflow_job("completed", JOB))
    await side.send(cancel)
    await side.send(cancel)
    assert len(side.cancelled) == 1


async def test_a_job_that_is_held_back_is_said_to_be(side: Side) -> None:
    await side.send(queued(JOB))
    answer = await side.send(delivery("workflow_job", workflow_job("waiting", JOB)))
    assert (answer.status_code, answer.json()["decision"]) == (202, "accepted")
    assert "holds the job back" in answer.json()["message"]
    assert len(side.cancelled) == 1
    await side.send(queued(JOB))
    assert side.woken == [True, True]


async def test_who_lost_its_runner_wakes_the_queue(side: Side) -> None:
    await side.send(queued(replace(JOB, labels=("linux", "chaser"))))
    (job,) = await side.jobs()
    payload = workflow_job("in_progress", Job(("linux",), id=78))
    payload["workflow_job"] = {
        **part(payload, "workflow_job"),
        "runner_id": 3,
        "runner_name": runner_of(job.id),
    }
    answer = await side.send(delivery("workflow_job", payload))
    assert (answer.status_code, answer.json()["decision"]) == (202, "not_ours")
    assert (len(await side.jobs()), side.woken) == (2, [True, True])


async def test_an_installation_is_taken_in(side: Side) -> None:
    payload = {"action": "created", "installation": {"id": 5, "account": {"login": "octo-org"}}}
    answer = await side.send(delivery("installation", payload))
    assert (answer.status_code, answer.json()["decision"]) == (202, "accepted")
    (known,) = await side.store.installations.list()
    assert (known.id, known.account) == (5, "octo-org")


async def test_an_installation_that_ends_takes_its_jobs_along(side: Side) -> None:
    await side.send(queued(replace(JOB, installation_id=5)))
    await side.send(delivery("installation", {"action": "deleted", "installation": {"id": 5}}))
    (job,) = await side.jobs()
    assert (job.status, side.cancelled) == (Status.CANCELLED, [job.id])


async def test_what_is_refused_can_be_looked_up(side: Side) -> None:
    await side.send(queued(replace(JOB, labels=("chaser-lagre",))))
    story = await side.store.demands.story(77)
    assert story is not None
    assert story.demand.state is State.REFUSED
    assert "chaser-large" in (story.demand.message or "")


async def test_a_label_that_is_not_understood_is_refused_in_the_answer(side: Side) -> None:
    """GitHub shows the answer to whoever looks at the App's deliveries."""
    answer = await side.send(queued(replace(JOB, labels=("chaser-lagre",))))
    assert (answer.status_code, answer.json()["decision"]) == (202, "refused")
    assert "chaser-large" in answer.json()["message"]
    assert (await side.jobs(), await side.stored()) == ([], 1)


async def test_a_signed_body_that_is_not_githubs_is_malformed(side: Side) -> None:
    for body in (
        b"",
        b"{}",
        b"[]",
        b"\x00" * 100,
        b"\xff\xfe",
        b"[" * 50_000,
        b"payload=%7B%7D",
        json.dumps({**workflow_job("queued", JOB), "workflow_job": {"id": "77"}}).encode(),
        json.dumps(workflow_job("queued", replace(JOB, name="a\x00b"))).encode(),
        json.dumps(workflow_job("queued", replace(JOB, name="\ud800"))).encode(),
        json.dumps(workflow_job("queued", replace(JOB, id=1 << 63))).encode(),
        json.dumps(workflow_job("queued", replace(JOB, run_id=10**30))).encode(),
        b'{"action": ' + b"9" * 10_000 + b"}",
        json.dumps(workflow_job("queued", JOB)).encode("utf-16"),
        json.dumps({**workflow_job("queued", JOB), "deployment": {"updated_at": 1e300}}).encode(),
    ):
        assert error(await side.send(Delivery("workflow_job", body))) == (400, "malformed_event")
    assert (await side.jobs(), await side.stored()) == ([], 0)


async def test_a_header_that_is_not_githubs_is_malformed(side: Side) -> None:
    sent = queued(JOB)
    for name in ("X-GitHub-Delivery", "X-GitHub-Event"):
        for value in ("", " ", "a b", "x" * 65, "\xe9", "a\tb", "'; DROP TABLE jobs; --"):
            headers = httpx.Headers(sent.headers(SECRET), encoding="latin-1")
            headers[name] = value
            answer = await side.client.post(PATH, content=sent.body, headers=headers)
            assert error(answer) == (400, "malformed_event")
    assert await side.stored() == 0


async def test_a_repeated_header_is_malformed(side: Side) -> None:
    sent = queued(JOB)
    headers = [*sent.headers(SECRET).items(), ("X-GitHub-Delivery", "another")]
    assert error(await side.client.post(PATH, content=sent.body, headers=headers)) == (400, "malformed_event")


async def test_it_counts_as_delivered_when_its_first_byte_comes_and_as_stored_when_it_is(
    side: Side, clock: ManualClock
) -> None:
    """So that the time until it is stored shows whatever the service itself adds."""
    sent, first = queued(JOB), clock.now()

    async def body() -> AsyncIterator[bytes]:
        yield sent.body[:100]
        clock.advance(timedelta(seconds=5))
        yield sent.body[100:]

    await side.client.post(PATH, content=body(), headers=sent.headers(SECRET))

    passage = await side.store.passages.of(JOB.id)
    assert passage is not None
    assert passage.moments[Stage.DELIVERED] == first
    assert passage.moments[Stage.STORED] == passage.moments[Stage.PLANNED] == clock.now()
    assert clock.now() - first == timedelta(seconds=5)


async def test_a_body_that_says_it_is_too_large_is_refused_unread(side: Side) -> None:
    read: list[bool] = []

    async def body() -> AsyncIterator[bytes]:
        read.append(True)
        yield b"x"

    headers = {**queued(JOB).headers(SECRET), "Content-Length": str(SMALL + 1)}
    answer = await side.client.post(PATH, content=body(), headers=headers)
    assert error(answer) == (413, "body_too_large")
    assert read == []


async def test_a_body_without_end_is_refused_and_cut_off(side: Side) -> None:
    """Over HTTP, in chunks, without a length: the sender can only stop."""

    async def body() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * (1 << 10)

    async with serving(side.app) as url, httpx.AsyncClient() as client:
        try:
            answer = await client.post(url + PATH, content=body(), headers=queued(JOB).headers(SECRET))
        except httpx.TransportError:
            pass  # the connection was reset before the answer was read
        else:
            assert error(answer) == (413, "body_too_large")
    assert await side.stored() == 0


async def test_the_largest_body_is_read(side: Side) -> None:
    payload = workflow_job("queued", JOB)
    padding = SMALL - len(json.dumps({**payload, "padding": ""}))
    body = json.dumps({**payload, "padding": "x" * padding}).encode()
    assert len(body) == SMALL
    assert (await side.send(Delivery("workflow_job", body))).status_code == 202
    assert error(await side.send(Delivery("workflow_job", body + b" "))) == (413, "body_too_large")


async def test_a_sender_that_goes_away_leaves_nothing(side: Side) -> None:
    sent = queued(JOB)
    messages: list[Message] = [
        {"type": "http.request", "body": sent.body[:100], "more_body": True},
        {"type": "http.disconnect"},
    ]
    answers: list[Message] = []

    async def receive() -> Message:
        return messages.pop(0)

    async def send(message: Message) -> None:
        answers.append(message)

    headers = [(name.lower().encode(), value.encode()) for name, value in sent.headers(SECRET).items()]
    scope = {"type": "http", "method": "POST", "path": PATH, "headers": headers, "query_string": b""}
    await side.app(scope, receive, send)
    assert answers[0]["status"] == 400
    assert await side.stored() == 0


async def test_only_post_is_answered(side: Side) -> None:
    assert (await side.client.get(PATH)).status_code == 405


async def test_a_job_of_a_public_repository_is_stored_and_its_run_is_to_be_looked_at(
    store: Store, clock: ManualClock
) -> None:
    """By another than the webhook: its answer waits for nobody."""
    screened, woken = list[bool](), list[bool]()
    endpoint = WebhookEndpoint(
        Signatures([Secret(SECRET)]),
        Reception(
            replace(OURS, policy=Policy(("*/*",))),
            store.inbox,
            clock,
            awaken=lambda: woken.append(True),
            cancelled=lambda _: None,
            screen=lambda: screened.append(True),
        ),
        clock,
    )
    sent = queued(replace(JOB, private=False))
    transport = httpx.ASGITransport(Starlette(routes=[endpoint.route()]))
    async with httpx.AsyncClient(transport=transport, base_url="http://chaser") as client:
        answer = await client.post(PATH, content=sent.body, headers=sent.headers(SECRET))
    assert (answer.status_code, answer.json()["decision"]) == (202, "accepted")
    assert "looked at" in answer.json()["message"]
    assert (screened, woken, await store.jobs.list(JobFilter())) == ([True], [], [])


async def test_only_a_delivery_that_was_not_stored_gets_a_5xx(clock: ManualClock) -> None:
    """GitHub does not send it again by itself: so a 503 says that it is lost until somebody asks for it."""

    class BrokenInbox:
        async def record(self, delivery: StoredDelivery, news: News) -> Recorded | Repeated:
            raise Unavailable(Reason.STORE_UNAVAILABLE, "The disk is full.")

    endpoint = WebhookEndpoint(
        Signatures([Secret(SECRET)]),
        Reception(
            OURS, BrokenInbox(), clock, awaken=lambda: None, cancelled=lambda _: None, screen=lambda: None
        ),
        clock,
    )
    transport = httpx.ASGITransport(Starlette(routes=[endpoint.route()]))
    sent = queued(JOB)
    async with httpx.AsyncClient(transport=transport, base_url="http://chaser") as client:
        answer = await client.post(PATH, content=sent.body, headers=sent.headers(SECRET))
    assert error(answer) == (503, "store_unavailable")
    assert "The disk is full" in answer.text
