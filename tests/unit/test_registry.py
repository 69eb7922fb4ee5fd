"""Which images are allowed, where mirrors stand, and that logins do not show."""

import pytest

from chaser.sandboxes.reference import Reference, parse_reference
from chaser.sandboxes.registry import AllowList, Login, Registries, Registry
from chaser.secret import Secret

DIGEST = "sha256:" + "a1" * 32
OTHER = "sha256:" + "b2" * 32


class UserLogins:
    """The logins of `docker login`."""

    def __init__(self, logins: dict[str, Login] | None = None) -> None:
        self._logins = logins or {}

    async def find(self, host: str) -> Login | None:
        return self._logins.get(host)


def parsed(text: str) -> Reference:
    reference = parse_reference(text)
    assert reference is not None
    return reference


@pytest.mark.parametrize(
    ("patterns", "text", "allowed"),
    [
        ((), "anything:1", True),
        (("debian",), "debian:12", True),
        (("debian",), "docker.io/library/debian:11", True),
        (("debian:12",), "debian:11", False),
        (("debian",), "evil.example/debian:12", False),
        (("ghcr.io/acme/*",), "ghcr.io/acme/a/b:1", True),
        (("ghcr.io/acme/*",), "ghcr.io/acme-evil/b:1", False),
        ((DIGEST,), f"ghcr.io/acme/b@{DIGEST}", True),
        ((DIGEST,), f"ghcr.io/acme/b@{OTHER}", False),
        ((DIGEST,), "ghcr.io/acme/b:1", False),
        (("debian", "alpine:*"), "alpine:3", True),
    ],
)
def test_the_allow_list_goes_by_glob_and_digest(patterns: tuple[str, ...], text: str, allowed: bool) -> None:
    assert AllowList(patterns).allows(parsed(text)) is allowed


@pytest.mark.parametrize(
    ("mirror", "image", "there"),
    [
        ("mirror.example:5000", "debian:12", "mirror.example:5000/library/debian:12"),
        ("http://mirror.example:5000/hub/", "acme/tool", "mirror.example:5000/hub/acme/tool:latest"),
        ("https://mirror.example", f"debian@{DIGEST}", f"mirror.example/library/debian@{DIGEST}"),
    ],
)
def test_a_mirror_has_the_same_image_under_its_own_name(mirror: str, image: str, there: str) -> None:
    registries = Registries([Registry("docker.io", mirror=mirror)], UserLogins())

    mirrored = registries.mirrored(parsed(image))

    assert mirrored is not None
    assert mirrored.full == there


def test_a_registry_without_mirror_is_asked_itself() -> None:
    registries = Registries([Registry("ghcr.io", username="robot")], UserLogins())

    assert registries.mirrored(parsed("ghcr.io/a/b")) is None
    assert registries.mirrored(parsed("debian")) is None


async def test_a_configured_login_comes_before_the_users_own() -> None:
    user = UserLogins({"ghcr.io": Login("me", Secret("mine")), "quay.io": Login("me", Secret("mine"))})
    registries = Registries([Registry("GHCR.io", username="robot", password=Secret("its"))], user)

    assert await registries.login("ghcr.io") == Login("robot", Secret("its"))
    assert await registries.login("quay.io") == Login("me", Secret("mine"))
    assert await registries.login("docker.io") is None


def test_a_password_shows_in_no_repr() -> None:
    registry = Registry("ghcr.io", username="robot", password=Secret("hunter2"))

    assert "hunter2" not in repr(registry)
    assert "hunter2" not in repr(registry.login)
