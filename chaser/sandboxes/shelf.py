"""The images that sandboxes are made of: present, or pulled once for all who wait."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from chaser.errors import Refused, Unavailable
from chaser.jobs.reason import Reason
from chaser.sandboxes.engine import Image
from chaser.sandboxes.reference import Reference, parse_reference
from chaser.sandboxes.registry import AllowList, Login, Registries
from chaser.sandboxes.spec import PullPolicy


class Present(Protocol):
    """What the shelf asks of the engine."""

    async def image(self, reference: str) -> Image | None: ...

    async def image_ids(self) -> frozenset[str]:
        """Of all images that are there, by whatever name."""
        ...


class Puller(Protocol):
    """The engine's way to registries."""

    def pull(self, reference: Reference, login: Login | None) -> AsyncGenerator[None]:
        """Pull; yields whenever bytes have arrived or were unpacked. Closing it ends the pull.

        Raises what `ImageSource.ensure` raises for a registry's or the engine's reasons; knows no deadline.
        """
        ...

    async def tag(self, source: Reference, target: Reference) -> None:
        """Let `target`, which has a tag, name the image that `source` names."""
        ...


class Notes(Protocol):
    """Remembers which images are ours to remove. Raises nothing."""

    async def pulled(
        self, reference: Reference, before: Image | None, after: Image, names: Sequence[str]
    ) -> None:
        """It was pulled, was not there before by any name, and goes by these now; `before` is what one of them named until
        then."""
        ...

    async def used(self, reference: Reference) -> None:
        """A sandbox is about to be made of it."""
        ...


@dataclass(frozen=True, slots=True)
class PullDeadlines:
    """How long a pull may take in all, and how long it may stand still."""

    whole: timedelta = timedelta(minutes=30)
    stall: timedelta = timedelta(minutes=1)


@dataclass(slots=True)
class _Pull:
    """One pull under way, and how many wait for it."""

    work: asyncio.Task[Image]
    waiters: int = 0


class ImageShelf:
    """Implements `ImageSource`."""

    def __init__(
        self,
        engine: Present,
        puller: Puller,
        registries: Registries,
        notes: Notes,
        *,
        allowed: AllowList,
        deadlines: PullDeadlines,
    ) -> None:
        self._engine = engine
        self._puller = puller
        self._registries = registries
        self._notes = notes
        self._allowed = allowed
        self._deadlines = deadlines
        self._pulls: dict[tuple[Reference, Login | None], _Pull] = {}

    async def ensure(self, reference: str, policy: PullPolicy, registries: frozenset[str] | None) -> Image:
        wanted = self._admitted(reference)
        image = await self._ensured(wanted, policy, registries)
        await self._notes.used(wanted)
        return image

    async def _ensured(
        self, wanted: Reference, policy: PullPolicy, registries: frozenset[str] | None
    ) -> Image:
        present = None if policy is PullPolicy.ALWAYS else await self._present(wanted)
        await self._check_registry(wanted, present, registries)
        if present is not None:
            return present
        if policy is PullPolicy.NEVER:
            raise Refused(Reason.IMAGE_NOT_FOUND, _ABSENT.format(wanted))
        return await self._shared_pull(wanted)

    def _admitted(self, text: str) -> Reference:
        reference = parse_reference(text)
        if reference is None:
            raise Refused(Reason.IMAGE_NOT_FOUND, _NO_REFERENCE)
        if not self._allowed.allows(reference):
            raise Refused(Reason.IMAGE_FORBIDDEN, _NOT_ALLOWED.format(reference))
        return reference

    async def _check_registry(
        self, wanted: Reference, present: Image | None, registries: frozenset[str] | None
    ) -> None:
        """What was, or would be, fetched with a login serves only the profiles that may use that login.

        An image that was built on the engine and never in a registry (it has no digest) belongs to nobody's login.
        """
        if registries is None or wanted.registry in registries:
            return
        if present is not None and present.digest is None:
            return
        if await self._registries.login(wanted.registry) is not None:
            raise Refused(Reason.IMAGE_FORBIDDEN, _NOT_THIS_PROFILE.format(wanted, wanted.registry))

    async def _present(self, wanted: Reference) -> Image | None:
        found = await self._engine.image(wanted.full)
        if found is None and wanted.digest is not None:
            # A digest cannot be tagged, so what came from a mirror is known by the mirror's name alone.
            mirrored = self._registries.mirrored(wanted)
            return None if mirrored is None else await self._engine.image(mirrored.full)
        return found

    async def _shared_pull(self, wanted: Reference) -> Image:
        key = (wanted, await self._registries.login(wanted.registry))
        pull = self._pulls.get(key)
        if pull is None:
            pull = self._pulls[key] = _Pull(asyncio.create_task(self._fetched(wanted, key[1])))
        pull.waiters += 1
        try:
            return await asyncio.shield(pull.work)
        finally:
            pull.waiters -= 1
            if pull.waiters == 0:
                if self._pulls.get(key) is pull:
                    del self._pulls[key]
                await _ended(pull.work)

    async def _fetched(self, wanted: Reference, login: Login | None) -> Image:
        whole = asyncio.timeout(self._deadlines.whole.total_seconds())
        before, there = await self._named(wanted), await self._engine.image_ids()
        try:
            async with whole:
                await self._from_nearest(wanted, login)
        except TimeoutError as error:
            if not whole.expired():
                raise
            raise Refused(Reason.PULL_TIMEOUT, _TOO_LONG.format(wanted, self._deadlines.whole)) from error
        image = await self._present(wanted)
        if image is None:
            raise Unavailable(Reason.ENGINE_UNAVAILABLE, _LOST_AGAIN.format(wanted), retry_after=5)
        if image.id not in there:
            names = list(await self._named(wanted))
            await self._notes.pulled(wanted, next(iter(before.values()), None), image, names)
        return image

    async def _named(self, wanted: Reference) -> Mapping[str, Image]:
        """What the engine has by the names that a pull gives."""
        mirrored = self._registries.mirrored(wanted)
        names = [each.full for each in (wanted, mirrored) if each is not None]
        return {name: image for name in names if (image := await self._engine.image(name)) is not None}

    async def _from_nearest(self, wanted: Reference, login: Login | None) -> None:
        """From the mirror if there is one; whatever its trouble is, the registry itself has the last word."""
        mirrored = self._registries.mirrored(wanted)
        if mirrored is not None:
            try:
                await self._pulled(mirrored, await self._registries.login(mirrored.registry))
                if wanted.digest is None:
                    await self._puller.tag(mirrored, wanted)
            except (Refused, Unavailable) as error:
                if error.reason is Reason.ENGINE_UNAVAILABLE:
                    raise
            else:
                return
        await self._pulled(wanted, login)

    async def _pulled(self, source: Reference, login: Login | None) -> None:
        loop, stall = asyncio.get_running_loop(), self._deadlines.stall
        still = asyncio.timeout(stall.total_seconds())
        try:
            async with still, aclosing(self._puller.pull(source, login)) as progress:
                async for _ in progress:
                    still.reschedule(loop.time() + stall.total_seconds())
        except TimeoutError as error:
            if not still.expired():
                raise
            raise Refused(Reason.PULL_TIMEOUT, _STOOD_STILL.format(source, stall, source.registry)) from error


async def _ended(work: asyncio.Task[Image]) -> None:
    """Cancel what nobody waits for, and see its end, so that nothing goes on unseen."""
    if not work.done():
        work.cancel()
        await asyncio.wait((work,))
        if not work.cancelled():
            work.exception()


_NO_REFERENCE = (
    "This is not an image reference; write it as name:tag, registry.example/name:tag or name@sha256:<digest>."
)
_NOT_ALLOWED = (
    "{} is not among the images that this service allows; use one that is, or add it to [images] allow in its "
    "configuration (a digest there allows only references that name that digest)."
)
_NOT_THIS_PROFILE = (
    "{} comes from {}, for which this service holds a login that the profile may not use; choose another profile, or "
    "add that registry to the profile's registries."
)
_ABSENT = "{} is not on the engine, and pull is never: load or build it there, or ask with pull missing."
_TOO_LONG = (
    "{} did not arrive within {} (hours:minutes:seconds): look at the speed of the registry and the network, pull it "
    "on the engine beforehand, or raise the limit for a whole pull."
)
_STOOD_STILL = (
    "The pull of {} stood still for {} (hours:minutes:seconds): look at the registry {} and the network between it "
    "and the engine, then try again."
)
_LOST_AGAIN = "The engine pulled {} and no longer has it: something removed it at once, such as a scheduled docker image prune."
