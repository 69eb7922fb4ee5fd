"""`POST /webhooks/github`: verify, read, decide, store in one transaction, answer. It calls nobody and waits for nobody.

GitHub does not send a failed delivery again by itself, so the one answer that loses it (a 5xx) is kept for the one
case in which it was not stored.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from chaser.clock import Clock
from chaser.errors import Unavailable
from chaser.measures import Measure, Sort
from chaser.runners.event import Event
from chaser.runners.inbox import Decision, Recorded, Repeated
from chaser.runners.reception import Reception, Taken
from chaser.webhooks.events import Malformed, Ping, parse
from chaser.webhooks.headers import Headers, read_headers
from chaser.webhooks.signature import HEADER, ChangingSignatures, Signatures

PATH: Final = "/webhooks/github"
LARGEST: Final = 25 << 20
"""GitHub's own cap on a payload, in bytes."""
_REPEATED: Final = "repeated"
_PING: Final = "ping"
_FAULTS: Final = ("bad_signature", "malformed_event", "body_too_large", "store_unavailable")


class WebhookEndpoint:
    def __init__(
        self,
        signatures: Signatures | ChangingSignatures,
        reception: Reception,
        clock: Clock,
        *,
        largest: int = LARGEST,
    ) -> None:
        self._signatures = signatures
        self._reception = reception
        self._clock = clock
        self._largest = largest
        # each from the first, so that a rate can be told when one comes
        self._outcomes = Counter[str](dict.fromkeys((*Decision, _REPEATED, _PING, *_FAULTS), 0))

    def route(self) -> Route:
        return Route(PATH, self.receive, methods=["POST"])

    def measures(self) -> Sequence[Measure]:
        return (
            Measure(
                "chaser_webhook_deliveries_total",
                "Deliveries to this process by what was made of them. bad_signature: compare the webhook's secret; "
                "store_unavailable: they are lost unless they are delivered again.",
                Sort.COUNTER,
                {(("outcome", name),): count for name, count in self._outcomes.items()},
            ),
        )

    async def receive(self, request: Request) -> Response:
        arrived = self._clock.now()
        try:
            body = await self._body(request)
        except ClientDisconnect:
            return self._problem(
                400, "malformed_event", "The connection was closed before the whole body had arrived."
            )
        if body is None:
            message = f"The body is larger than the {self._largest} bytes that GitHub sends at most."
            # Without this the server would go on reading what is still being sent, to throw it away.
            return self._problem(413, "body_too_large", message, {"Connection": "close"})
        if not self._signatures.genuine(body, request.headers.getlist(HEADER)):
            message = (
                "The signature is missing or wrong; is the webhook's secret the one in github.webhook_secret?"
            )
            return self._problem(401, "bad_signature", message)
        headers = read_headers(request.headers)
        if isinstance(headers, Malformed):
            return self._problem(400, "malformed_event", headers.message)
        match parse(headers.event, body):
            case Malformed(message):
                return self._problem(400, "malformed_event", message)
            case Ping():
                self._outcomes[_PING] += 1
                return JSONResponse({"delivery": headers.guid, "pong": True})
            case event:
                return await self._store(headers, event, arrived)

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

    async def _store(self, headers: Headers, event: Event, arrived: datetime) -> Response:
        try:
            taken = await self._reception.take(headers.guid, event, arrived=arrived)
        except Unavailable as error:
            retry_after = {"Retry-After": "60"}
            return self._problem(
                503, error.reason, f"The delivery is not stored: {error.message}", retry_after
            )
        return self._answer(headers, taken)

    def _answer(self, headers: Headers, taken: Taken) -> Response:
        match taken.stored:
            case Recorded():
                self._outcomes[taken.delivery.decision] += 1
                return _accepted(headers, taken.delivery.decision, taken.delivery.message)
            case Repeated(decision=decision):
                self._outcomes[_REPEATED] += 1
                return _accepted(headers, decision, "This delivery was received before.")

    def _problem(
        self, status: int, code: str, message: str, headers: dict[str, str] | None = None
    ) -> Response:
        self._outcomes[code] += 1
        return JSONResponse({"error": {"code": code, "message": message, "details": {}}}, status, headers)


def _accepted(headers: Headers, decision: Decision, message: str | None) -> Response:
    """The message is there for the person who reads the response in the App's list of deliveries."""
    return JSONResponse({"delivery": headers.guid, "decision": decision, "message": message}, 202)
