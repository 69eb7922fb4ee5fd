"""The short calls of the client commands: one request, one document."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager

import httpx

from chaser.cli import document
from chaser.cli.failure import Failure
from chaser.cli.refusal import refusal, unreachable
from chaser.cli.service import Service

Document = Mapping[str, object]

_SILENCE_SECONDS = 90
"""More than the longest that a call waits in the service."""


def patience(silence: float | None = None) -> httpx.Timeout:
    """How long to wait for a connection, and for the next byte: `silence` seconds, if not the usual."""
    return httpx.Timeout(connect=10, read=silence or _SILENCE_SECONDS, write=60, pool=10)


@contextmanager
def client(service: Service) -> Generator[httpx.Client]:
    """A client of the service, whose failures to connect are told as such."""
    # a proxy of the environment is for the way out, not for this machine
    with httpx.Client(
        base_url=service.url, headers=service.headers, timeout=patience(), trust_env=not service.local
    ) as made:
        try:
            yield made
        except (httpx.ConnectError, httpx.ConnectTimeout):
            raise unreachable(service.url) from None
        except httpx.TransportError as error:
            raise Failure(
                "connection_lost", f"The service at {service.url} did not answer to the end; try again."
            ) from error


def call(
    service: Service,
    method: str,
    path: str,
    query: Mapping[str, str] | None = None,
    body: Mapping[str, object] | None = None,
) -> Document:
    """The document that the service answers. Raises `Failure` for anything but success."""
    with client(service) as made:
        response = made.request(method, path, params=dict(query or {}), json=body)
    return answered(response)


def answered(response: httpx.Response) -> Document:
    if not response.is_success:
        raise refusal(response.status_code, response.content)
    answer = document.parse(response.content)
    if not answer:
        raise refusal(response.status_code, b"")
    return answer
