"""One way to call the blocking SDK from the event loop: a bounded pool, a deadline, and Docker's errors made ours."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import requests
import urllib3
from docker.errors import APIError, DockerException

from chaser.errors import Unavailable
from chaser.jobs.reason import Reason

T = TypeVar("T")

THREADS = 32
DEADLINE = 60.0
"""Seconds that one call may take. Under a burst of starts a single start of some seconds is normal."""


def unavailable(error: BaseException) -> Unavailable:
    """What to tell of an engine that does not answer."""
    message = f"The Docker engine does not answer ({type(error).__name__}); see `chaser doctor`."
    return Unavailable(Reason.ENGINE_UNAVAILABLE, message)


def translated(work: Callable[[], T]) -> T:
    """Run `work`; what means "no answer" becomes `Unavailable`, answers of the engine (4xx) pass as `APIError`."""
    try:
        return work()
    except APIError as error:
        if error.is_client_error():
            raise
        raise unavailable(error) from error
    except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
        raise unavailable(error) from error
    except DockerException as error:
        # The SDK raises its bare base class when it cannot ask the engine for its API version.
        raise unavailable(error) from error


class Calls:
    """The pool. A cancelled caller still waits for its call to return, so that what it began can be undone; a caller
    that is not `patient` ends the call itself."""

    def __init__(self, threads: int = THREADS) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="engine")

    async def run(
        self, work: Callable[[], T], deadline: float | None = DEADLINE, *, patient: bool = True
    ) -> T:
        call = asyncio.get_running_loop().run_in_executor(self._pool, translated, work)
        try:
            return await asyncio.wait_for(asyncio.shield(call), deadline)
        except TimeoutError as error:
            call.add_done_callback(_retrieve)
            raise unavailable(error) from error
        except asyncio.CancelledError:
            if patient:
                await asyncio.wait({call}, timeout=deadline)
            call.add_done_callback(_retrieve)
            raise

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


def _retrieve(call: "asyncio.Future[T]") -> None:
    """Look at a late outcome, so that asyncio does not report it as never retrieved."""
    if not call.cancelled():
        call.exception()
