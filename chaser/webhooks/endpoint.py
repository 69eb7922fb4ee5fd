"""`POST /webhooks/github`: verify, read, decide, store in one transaction, answer. It calls nobody and waits for nobody.

GitHub does not send a failed delivery again by itself, so the one answer that loses it (a 5xx) is kept for the one
case in which it was not stored.
"""

from collections.abc import Callable
from typing import Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from chaser.clock import Clock
from chaser.errors import Unavailable
from chaser.ids import JobId, new_job_id
from chaser.runners.decide import Ours, Ruling, decide
from chaser.runners.event import Event
from chaser.runners.inbox import Decision, Inbox, Recorded, Repeated
from chaser.webhooks.events import Malformed, Ping, parse
from chaser.webhooks.headers import Headers, read_headers
from chaser.webhooks.signature import HEADER, ChangingSignatures, Signatures

PATH: Final = "/webhooks/github"
LARGEST: Final = 25 << 20
"""GitHub's own cap on a payload, in bytes."""


class WebhookEndpoint:
    def __init__(
        self,
        signatures: Signatures | ChangingSignatures,
        ours: Ours,
        inbox: Inbox,
        clock: Clock,
        *,
        awaken: Callable[[], None],
        cancelled: Callable[[JobId], None],
        largest: int = LARGEST,
    ) -> None:
        """Both are called when it is on disk: `awaken` after a runner was newly owed, `cancelled` for each job that GitHub
        no longer wants."""
        self._signatures = signatures
        self._ours = ours
        self._inbox = inbox
        self._clock = clock
        self._awaken = awaken
        self._cancelled = cancelled
        self._largest = largest

    def route(self) -> Route:
        return Route(PATH, self.receive, methods=["POST"])

    async def receive(self, request: Request) -> Response:
        try:
            body = await self._body(request)
        except ClientDisconnect:
            return _problem(
                400, "malformed_event", "The connection was closed before the whole body had arrived."
            )
        if body is None:
            message = f"The body is larger than the {self._largest} bytes that GitHub sends at most."
            # Without this the server would go on reading what is still being sent, to throw it away.
            return _problem(413, "body_too_large", message, {"Connection": "close"})
        if not self._signatures.genuine(body, request.headers.getlist(HEADER)):
            message = (
                "The signature is missing or wrong; is the webhook's secret the one in github.webhook_secret?"
            )
            return _problem(401, "bad_signature", message)
        headers = read_headers(request.headers)
        if isinstance(headers, Malformed):
            return _problem(400, "malformed_event", headers.message)
        match parse(headers.event, body):
            case Malformed(message):
                return _problem(400, "malformed_event", message)
            case Ping():
                return JSONResponse({"delivery": headers.guid, "pong": True})
            case event:
                return await self._store(headers, event)

    async def _body(self, request: Request) -> bytes | None:
        """The whole body; none as soon as it is known to be too large."""
        announced = request.headers.get("content-length", "")
        if announced.isascii() and announced.isdigit() and int(announced[:20]) > self._largest:
            return None
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > self._largest:
                return None
        return bytes(body)

    async def _store(self, headers: Headers, event: Event) -> Response:
        now = self._clock.now()
        ruling = decide(headers.guid, event, self._ours, new_job_id(now), now)
        try:
            stored = await self._inbox.record(ruling.delivery, ruling.news)
        except Unavailable as error:
            retry_after = {"Retry-After": "60"}
            return _problem(503, error.reason, f"The delivery is not stored: {error.message}", retry_after)
        return self._answer(headers, ruling, stored)

    def _answer(self, headers: Headers, ruling: Ruling, stored: Recorded | Repeated) -> Response:
        match stored:
            case Recorded(planned=planned, cancelled=cancelled):
                for job_id in cancelled:
                    self._cancelled(job_id)
                if planned:
                    self._awaken()
                return _accepted(headers, ruling.delivery.decision, ruling.delivery.message)
            case Repeated(decision=decision):
                return _accepted(headers, decision, "This delivery was received before.")


def _accepted(headers: Headers, decision: Decision, message: str | None) -> Response:
    """The message is there for the person who reads the response in the App's list of deliveries."""
    return JSONResponse({"delivery": headers.guid, "decision": decision, "message": message}, 202)


def _problem(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"error": {"code": code, "message": message, "details": {}}}, status, headers)
