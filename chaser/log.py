"""Logging: one line per event, a sentence with `action` and ids, to stderr.

JSON lines for machines, a readable line on a terminal. Modules log through the standard library, naming facts in
`extra` (`logger.info("The sandbox is ready.", extra={"action": "sandbox.ready"})`), or through structlog; both, and
uvicorn's own, come out the same way. Tracebacks never show local variables: those may hold secrets.
"""

import logging
import sys
from typing import TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from chaser.log_context import bound_ids

_CHATTY = ("httpx", "httpcore", "urllib3", "docker", "hishel", "alembic", "asyncio")
"""Libraries whose lines at `info` say nothing to an operator."""
_WITH_HANDLERS_OF_THEIR_OWN = ("uvicorn", "uvicorn.error", "uvicorn.access")


def configure(level: str = "info", stream: TextIO | None = None, *, readable: bool | None = None) -> None:
    """Take over all logging of the process. `readable` of none: if the stream is a terminal."""
    out = stream or sys.stderr
    for_people = out.isatty() if readable is None else readable
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), _without_colours, *_common()],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_rendering(for_people=for_people, colours=out.isatty()),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    _silence(level)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            *_common(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def _without_colours(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Uvicorn gives each of its lines a second time, with escape codes."""
    event.pop("color_message", None)
    return event


def _common() -> list[Processor]:
    return [
        _with_ids,
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
    ]


def _rendering(*, for_people: bool, colours: bool) -> list[Processor]:
    if for_people:
        plain = structlog.dev.plain_traceback
        return [structlog.dev.ConsoleRenderer(colors=colours, timestamp_key="at", exception_formatter=plain)]
    return [
        structlog.processors.format_exc_info,
        structlog.processors.EventRenamer("message"),
        structlog.processors.JSONRenderer(default=str),
    ]


def _with_ids(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    for name, value in bound_ids().items():
        event.setdefault(name, value)
    return event


def _silence(level: str) -> None:
    for name in _WITH_HANDLERS_OF_THEIR_OWN:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.setLevel(logging.NOTSET)
        logger.propagate = True
    if level != "debug":
        for name in _CHATTY:
            logging.getLogger(name).setLevel(logging.WARNING)
