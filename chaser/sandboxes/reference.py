"""Image references, by the grammar of https://github.com/distribution/reference and with Docker's defaults.

A reference is always asked of the engine in its full form (`docker.io/library/debian:12`): the short one might also be
the beginning of the id of an image that the asker must not use.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import AddressValueError, IPv6Address

HUB = "docker.io"
_HUB_ALIAS = "index.docker.io"
_OFFICIAL = "library/"

LONGEST_NAME = 255
_LONGEST = LONGEST_NAME + 1 + 128 + 1 + 136

_COMPONENT = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_HOST = rf"(?:{_COMPONENT}(?:\.{_COMPONENT})*|\[(?P<ipv6>[0-9a-fA-F:]+)\])"
_PATH_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"

_DOMAIN = re.compile(rf"{_HOST}(?::(?P<port>[0-9]{{1,5}}))?")
_PATH = re.compile(rf"{_PATH_COMPONENT}(?:/{_PATH_COMPONENT})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128}")
_IMAGE_ID = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Reference:
    """A whole reference: the registry's host (with its port), the path there, and a tag or a digest.

    Where both are given, the digest decides, as it does in Docker.
    """

    registry: str
    path: str
    tag: str | None
    digest: str | None = None

    @property
    def name(self) -> str:
        """Registry and path, in full."""
        return f"{self.registry}/{self.path}"

    @property
    def selector(self) -> str:
        """What chooses the manifest: the digest, else the tag."""
        return self.digest or self.tag or "latest"

    @property
    def full(self) -> str:
        """The unambiguous form for the engine, which takes either a tag or a digest."""
        return f"{self.name}@{self.digest}" if self.digest else f"{self.name}:{self.tag}"

    @property
    def familiar_name(self) -> str:
        """The name as people write it: without Docker Hub's host, and without `library/` there."""
        return self.path.removeprefix(_OFFICIAL) if self.registry == HUB else self.name

    @property
    def familiar(self) -> str:
        return f"{self.familiar_name}{self.full.removeprefix(self.name)}"

    def __str__(self) -> str:
        return self.familiar


@lru_cache(maxsize=1024)
def parse_reference(text: str) -> Reference | None:
    """The reference that `text` spells; none if it is not one."""
    if len(text) > _LONGEST or not text.isascii():
        return None
    rest, at, digest = text.partition("@")
    if at and _DIGEST.fullmatch(digest) is None:
        return None
    name, tag = _split_tag(rest)
    if tag is not None and _TAG.fullmatch(tag) is None:
        return None
    if _IMAGE_ID.fullmatch(name):
        return None
    registry, path = _split_registry(name)
    if not _well_formed(registry, path):
        return None
    return Reference(registry, path, tag if tag is not None or at else "latest", digest or None)


def _split_tag(text: str) -> tuple[str, str | None]:
    """A colon after the last slash begins a tag; one before it is a port's."""
    head, slash, last = text.rpartition("/")
    name, colon, tag = last.partition(":")
    return f"{head}{slash}{name}", tag if colon else None


def _split_registry(name: str) -> tuple[str, str]:
    """What stands before the first slash is a host if it looks like one, by Docker's own rule."""
    first, slash, rest = name.partition("/")
    if not slash or not ("." in first or ":" in first or first == "localhost" or first != first.lower()):
        registry, path = HUB, name
    else:
        registry, path = first.lower(), rest
    if registry in {HUB, _HUB_ALIAS}:
        return HUB, path if "/" in path else _OFFICIAL + path
    return registry, path


def _well_formed(registry: str, path: str) -> bool:
    domain = _DOMAIN.fullmatch(registry)
    return (
        len(registry) + 1 + len(path) <= LONGEST_NAME
        and domain is not None
        and (domain["port"] is None or 0 < int(domain["port"]) < 65536)
        and (domain["ipv6"] is None or _is_ipv6(domain["ipv6"]))
        and _PATH.fullmatch(path) is not None
    )


def _is_ipv6(text: str) -> bool:
    try:
        IPv6Address(text)
    except AddressValueError:
        return False
    return True
