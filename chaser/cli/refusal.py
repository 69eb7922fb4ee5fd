"""The service's errors, as failures of a command."""

from chaser.cli import document, exit_status
from chaser.cli.failure import Failure


def unreachable(url: str) -> Failure:
    return Failure(
        "unreachable",
        f"No service answers at {url}. Start it with `chaser serve`, or set CHASER_API_URL to where it runs.",
    )


def lost(job: str | None) -> Failure:
    more = (
        f"`chaser jobs get {job}` tells what became of it."
        if job
        else "`chaser jobs list` shows what became of it."
    )
    return Failure(
        "connection_lost",
        f"The connection to the service was lost before the result came. {more}",
        details={"job": job} if job else {},
    )


def refusal(http_status: int, body: bytes) -> Failure:
    """What the service answered instead of doing it."""
    error = document.table(document.parse(body).get("error"))
    code, message, details = error.get("code"), error.get("message"), document.table(error.get("details"))
    if isinstance(code, str) and isinstance(message, str):
        told = "\n".join([message, *_fields(details)])
        return Failure(code, told, exit_status.of_refusal(http_status, code), details)
    return Failure(
        "not_chaser",
        f"The answer (HTTP status {http_status}) is not one of Chaser's; is CHASER_API_URL right?",
    )


def _fields(details: dict[str, object]) -> list[str]:
    fields = [document.table(field) for field in document.items(details.get("fields"))]
    return [f"  {field.get('pointer')}: {field.get('reason')}" for field in fields]
