"""Image references: what is one, and how it is spelled in full."""

import pytest

from chaser.sandboxes.reference import Reference, parse_reference

DIGEST = "sha256:" + "a1" * 32


@pytest.mark.parametrize(
    ("text", "full", "familiar"),
    [
        ("debian", "docker.io/library/debian:latest", "debian:latest"),
        ("debian:12", "docker.io/library/debian:12", "debian:12"),
        ("docker.io/debian", "docker.io/library/debian:latest", "debian:latest"),
        ("index.docker.io/debian", "docker.io/library/debian:latest", "debian:latest"),
        ("acme/tool", "docker.io/acme/tool:latest", "acme/tool:latest"),
        ("localhost/tool", "localhost/tool:latest", "localhost/tool:latest"),
        ("127.0.0.1:5000/a/w__e-x.y:T", "127.0.0.1:5000/a/w__e-x.y:T", "127.0.0.1:5000/a/w__e-x.y:T"),
        ("[::1]:5000/tool", "[::1]:5000/tool:latest", "[::1]:5000/tool:latest"),
        ("GHCR.io/acme/tool:1", "ghcr.io/acme/tool:1", "ghcr.io/acme/tool:1"),
        (f"debian@{DIGEST}", f"docker.io/library/debian@{DIGEST}", f"debian@{DIGEST}"),
        (f"debian:12@{DIGEST}", f"docker.io/library/debian@{DIGEST}", f"debian@{DIGEST}"),
        # Might be the id of an image; in full it cannot be one.
        ("6172532d2352", "docker.io/library/6172532d2352:latest", "6172532d2352:latest"),
    ],
)
def test_a_reference_has_one_full_spelling(text: str, full: str, familiar: str) -> None:
    reference = parse_reference(text)

    assert reference is not None
    assert (reference.full, reference.familiar) == (full, familiar)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        "Debian",
        "acme/",
        "acme//tool",
        "a..b",
        "debian:",
        "debian:12\n",
        "debian 12",
        "$(reboot)",
        "debian;reboot",
        "debian`id`",
        "../etc/passwd",
        "--privileged",
        "debian@sha256:a1",
        "debian@md5:" + "a" * 32,
        f"debian@{DIGEST}@{DIGEST}",
        "registry.example:99999/tool",
        "registry.example:0/tool",
        "[:::]/tool",
        "dëbian",
        "a" * 64,
        "b" * 256,
        "debian:" + "t" * 129,
        "x" * 100_000,
    ],
)
def test_what_the_grammar_does_not_allow_is_no_reference(text: str) -> None:
    assert parse_reference(text) is None


def test_a_digest_decides_where_a_tag_is_given_too() -> None:
    assert parse_reference(f"ghcr.io/a/b:1@{DIGEST}") == Reference("ghcr.io", "a/b", "1", DIGEST)
    assert Reference("ghcr.io", "a/b", "1", DIGEST).selector == DIGEST
