"""The setup page's HTML: what people read stays text, and what they are to type or to open is set apart."""

import pytest

from chaser.findings import Finding, failed, ok
from chaser.runners.app import Manifest
from chaser.setup import page

INSTALL = "https://github.com/apps/chaser-ci/installations/new"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Run `chaser github setup` there.", "Run <code>chaser github setup</code> there."),
        (
            "Accept it at https://github.example/a?b=c&d=e#f.",
            'Accept it at <a href="https://github.example/a?b=c&amp;d=e#f">https://github.example/a?b=c&amp;d=e#f</a>.',
        ),
        ("`<b>` and <i>", "<code>&lt;b&gt;</code> and &lt;i&gt;"),
        (
            'https://a.example"><script>',
            '<a href="https://a.example">https://a.example</a>&quot;&gt;&lt;script&gt;',
        ),
        ("javascript:alert(1) and a lone `", "javascript:alert(1) and a lone `"),
    ],
)
def test_commands_and_addresses_are_set_apart_and_the_rest_stays_text(text: str, shown: str) -> None:
    assert f"<p>{shown}</p>" in page.message("Title", text)


@pytest.mark.parametrize(
    ("findings", "offered"),
    [
        ([failed("installation", "The App is installed nowhere", "Install it.")], True),
        ([failed("app", "GitHub could not be asked", "Look there.")], False),
        (
            [ok("installation octo-org", "It may register runners"), failed("docker", "none", "Start it.")],
            False,
        ),
        ([ok("installation octo-org", "It may register runners")], False),
    ],
)
def test_the_app_can_be_installed_from_here_while_it_is_installed_nowhere(
    findings: list[Finding], offered: bool
) -> None:
    assert (INSTALL in page.checks(findings, install_page=INSTALL, anew=None)) is offered


def test_permissions_are_listed_as_github_calls_them() -> None:
    manifest = Manifest(
        "https://github.com/settings/apps/new?state=s", "{}", ["Actions (repository): read-only"]
    )
    assert "<li>Actions (repository): read-only</li>" in page.confirmation(manifest, "github.com")
