"""Registries: how to log in there, where a mirror stands, and which images may be used at all."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Protocol

from chaser.sandboxes.reference import Reference
from chaser.secret import Secret

_NO_SECRET = Secret("")


@dataclass(frozen=True, slots=True)
class Login:
    """Credentials of one registry. `identity` is a token that stands in for both, as `docker login` may have left it."""

    username: str = ""
    password: Secret = _NO_SECRET
    identity: Secret = _NO_SECRET


@dataclass(frozen=True, slots=True)
class Registry:
    """What the configuration says of a registry. `host` has its port.

    `mirror` is another one's `[http[s]://]host[:port][/path]`; which of the two it speaks is the engine's to find out.
    """

    host: str
    username: str | None = None
    password: Secret | None = None
    mirror: str | None = None

    @property
    def login(self) -> Login | None:
        return None if self.username is None else Login(self.username, self.password or _NO_SECRET)


class Logins(Protocol):
    """Credentials that are kept outside the configuration: those of `docker login`."""

    async def find(self, host: str) -> Login | None: ...


class Registries:
    """The configured registries, and behind them the logins of the user who runs the service."""

    def __init__(self, configured: Iterable[Registry], logins: Logins) -> None:
        self._configured: Mapping[str, Registry] = {each.host.lower(): each for each in configured}
        self._logins = logins

    async def login(self, host: str) -> Login | None:
        configured = self._configured.get(host)
        if configured is not None and configured.login is not None:
            return configured.login
        return await self._logins.find(host)

    def mirrored(self, reference: Reference) -> Reference | None:
        """The same image at the registry's mirror; none: it has no mirror."""
        configured = self._configured.get(reference.registry)
        if configured is None or configured.mirror is None:
            return None
        bare = configured.mirror.removeprefix("https://").removeprefix("http://").removesuffix("/")
        host, _, prefix = bare.partition("/")
        path = f"{prefix}/{reference.path}" if prefix else reference.path
        return Reference(host.lower(), path, reference.tag, reference.digest)


@dataclass(frozen=True, slots=True)
class AllowList:
    """Which images may be used: globs (in which `*` also spans `/`) and digests. Empty: all.

    A glob is held against the full and the familiar spelling, each with and without its tag, so that `debian` stands
    for all of its tags. A digest (`sha256:…`) allows references that name it, whatever their registry.
    """

    patterns: tuple[str, ...] = ()

    def allows(self, reference: Reference) -> bool:
        spellings = [reference.full, reference.familiar, reference.name, reference.familiar_name]
        if reference.digest is not None:
            spellings.append(reference.digest)
        return not self.patterns or any(
            fnmatchcase(spelling, pattern) for spelling in spellings for pattern in self.patterns
        )
