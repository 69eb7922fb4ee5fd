"""From what one call asks for to jobs that can be written: rights, uploads and workspaces looked up, each once."""

from collections.abc import Mapping

from chaser.api.auth import require_profile, require_scope
from chaser.api.call import Call
from chaser.api.context import Place
from chaser.api.faults import invalid
from chaser.api.orders import below
from chaser.api.uploads import upload_faults
from chaser.errors import Rejected
from chaser.ids import UploadId, new_job_id
from chaser.jobs.job import NewJob
from chaser.jobs.kind import Admitted, AnyKind
from chaser.sandboxes.spec import WorkspaceUse


class Drafts:
    def __init__(self, call: Call) -> None:
        self._call = call
        self._places: dict[str, Place] = {}
        self._usable: set[UploadId] = set()

    async def draft(self, kind: AnyKind, admitted: Admitted, at: str) -> NewJob:
        """A job that is due at once and may wait for ever. Raises `Rejected` where the key may not, or what is named
        is not there; `at` is where the kind's input stands in the body of the call."""
        key = self._call.key
        if kind.scope is not None:
            require_scope(key, kind.scope)
        if admitted.profile is not None:
            require_profile(key, admitted.profile)
        try:
            await self._check_uploads(admitted.uploads)
            for selector in admitted.workspaces.values():
                await self._call.api.workspaces.find(selector, key)
            place = await self._place(admitted)
        except Rejected as error:
            raise below(at, error) from None
        return self._new(kind, admitted, place)

    async def _check_uploads(self, named: Mapping[str, UploadId]) -> None:
        unknown = {where: upload for where, upload in named.items() if upload not in self._usable}
        faults = await upload_faults(self._call.api, self._call.key, unknown)
        if faults:
            raise invalid(faults)
        self._usable.update(unknown.values())

    async def _place(self, admitted: Admitted) -> Place | None:
        if admitted.workspace is None:
            return None
        selector = admitted.workspace.selector
        if selector not in self._places:
            self._places[selector] = await self._call.api.workspaces.use(selector, self._call.key)
        return self._places[selector]

    def _new(self, kind: AnyKind, admitted: Admitted, place: Place | None) -> NewJob:
        now = self._call.api.clock.now()
        shown, workspace = dict(admitted.input), None
        if place is not None and admitted.workspace is not None:
            shown["image"] = place.image or shown["image"]
            workspace = WorkspaceUse(place.id, admitted.workspace.mode)
        return NewJob(
            id=new_job_id(now),
            kind=kind.name,
            input=shown,
            secrets=admitted.secrets,
            created_at=now,
            queue_until=None,
            profile=admitted.profile,
            workspace=workspace,
            key_id=self._call.key.id,
        )
