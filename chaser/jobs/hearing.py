"""What other processes on the same database tell, passed on to the parts of this one that it concerns."""

from typing import assert_never

from chaser.jobs.completion import Completion
from chaser.jobs.dispatcher import Dispatcher
from chaser.jobs.notices import CancelAsked, JobChanged, LookAtQueue, Notice, Notices


class Hearing:
    def __init__(self, notices: Notices, dispatcher: Dispatcher, completion: Completion) -> None:
        self._notices = notices
        self._dispatcher = dispatcher
        self._completion = completion

    async def listen(self) -> None:
        """Until cancelled, or for no time where there is no other process."""
        await self._notices.listen(self._heard)

    def _heard(self, notice: Notice) -> None:
        match notice:
            case LookAtQueue():
                self._dispatcher.wake()
            case JobChanged(job_id=job_id):
                self._completion.changed(job_id)
            case CancelAsked(job_id=job_id, reason=reason):
                self._dispatcher.stop_running(job_id, reason)
                self._completion.changed(job_id)
            case _:
                assert_never(notice)
