"""Who runs the transactions that write: as many threads as the database takes writers."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection, Engine

from chaser.store.transactions import transact

T = TypeVar("T")
Work = Callable[[Connection], T]

_TOGETHER = 64
"""Works in one transaction at the most."""


class Writers(Protocol):
    async def write(self, work: Work[T], *, alone: bool = False) -> T:
        """Run `work` in a transaction; when this returns, it is on disk. `work` may run twice, in two transactions.

        `alone`: it is one statement on PostgreSQL.
        """
        ...

    def shut(self) -> None:
        """After what was asked for."""
        ...


class ManyWriters:
    """PostgreSQL's. `single` commits each statement by itself, without the round trips around it."""

    def __init__(self, engine: Engine, single: Engine, count: int) -> None:
        self._engine = engine
        self._single = single
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="store-write")

    async def write(self, work: Work[T], *, alone: bool = False) -> T:
        engine = self._single if alone else self._engine
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, partial(transact, engine, work, single=alone))

    def shut(self) -> None:
        self._threads.shutdown()


@dataclass(frozen=True, slots=True)
class _Waiting:
    work: Work[Any]
    answer: "asyncio.Future[Any]"


@dataclass(frozen=True, slots=True)
class _Written:
    answer: "asyncio.Future[Any]"
    result: Any = None
    error: BaseException | None = None


class OneWriter:
    """SQLite's. What waits when a transaction begins goes into it: so many have to wait for the disk only once, and the
    event loop, whose only one this serves, is woken once for all.

    If one of them fails, all is undone, and each has a transaction of its own.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._waiting: SimpleQueue[_Waiting | None] = SimpleQueue()
        self._thread = Thread(target=self._run, name="store-write")
        self._thread.start()

    async def write(self, work: Work[T], *, alone: bool = False) -> T:
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.put(_Waiting(work, answer))
        return await answer

    def shut(self) -> None:
        self._waiting.put(None)
        self._thread.join()

    def _run(self) -> None:
        while True:
            taken = [self._waiting.get()]
            try:
                while len(taken) < _TOGETHER:
                    taken.append(self._waiting.get_nowait())
            except Empty:
                pass
            batch = [each for each in taken if each and not each.answer.cancelled()]
            if batch:
                loop, written = batch[0].answer.get_loop(), self._write(batch)
                if not loop.is_closed():
                    loop.call_soon_threadsafe(_tell, written)
            if None in taken:
                return

    def _write(self, batch: Sequence[_Waiting]) -> Sequence[_Written]:
        begun = False

        def together(connection: Connection) -> list[Any]:
            nonlocal begun
            begun = True
            return [each.work(connection) for each in batch]

        try:
            results = transact(self._engine, together)
        except BaseException as error:  # noqa: BLE001  # whatever it is belongs to whoever waits, and others wait behind it
            if begun and len(batch) > 1:
                return [one for each in batch for one in self._write([each])]
            return [_Written(each.answer, error=error) for each in batch]
        return [_Written(each.answer, result) for each, result in zip(batch, results, strict=True)]


def _tell(written: Iterable[_Written]) -> None:
    for each in written:
        if each.answer.done():
            continue  # nobody waits for it any more
        if each.error is None:
            each.answer.set_result(each.result)
        else:
            each.answer.set_exception(each.error)
