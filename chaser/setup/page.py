"""The setup page's HTML: no script, nothing from elsewhere, and every value escaped."""

import re
from collections.abc import Sequence
from functools import cache
from html import escape
from pathlib import Path

from chaser.findings import Finding, State
from chaser.runners.app import Account, Manifest

AGAIN_SECONDS = 5
"""Between two looks at checks that are not all well."""

_INSTALLATION = "installation"
_MARKED = re.compile(r"`(?P<code>[^`]+)`|(?P<address>https?://[^\s\"'<>`]*[^\s\"'<>`.,;:!?)])")


@cache
def _style() -> str:
    return Path(__file__).with_name("page.css").read_text(encoding="utf-8")


def page(title: str, body: str, *, again: bool = False) -> str:
    """`again`: the browser asks for it anew by itself."""
    refresh = f'<meta http-equiv="refresh" content="{AGAIN_SECONDS}">' if again else ""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">{refresh}'
        f"<title>{escape(title)} · Chaser</title><style>{_style()}</style></head>"
        f"<body><main><h1>{escape(title)}</h1>{body}</main></body></html>"
    )


def message(title: str, text: str) -> str:
    return page(title, f'<div class="card"><p>{_prose(text)}</p></div>')


def form(
    path: str, values: dict[str, str], faults: Sequence[str], *, longest_name: int, replaced: str | None
) -> str:
    """What is asked before the App is made. `replaced`: the App whose place the new one will take."""
    told = "".join(f'<p class="fault" role="alert">{_prose(fault)}</p>' for fault in faults)
    warning = (
        f"<p>The new App takes the place of <code>{escape(replaced)}</code>, whose credentials are forgotten here.</p>"
        if replaced
        else ""
    )
    choices = _choice(Account.ORGANIZATION, "An organization's", values) + _choice(
        Account.PERSONAL, "My personal account's", values
    )
    inputs = "".join(
        _field(name, title, hint, values)
        for name, title, hint in (
            ("organization", "Organization", "Its name in GitHub's addresses; empty for a personal account."),
            ("name", "Name of the App", f"Unique in all of GitHub, at most {longest_name} characters."),
            (
                "public_url",
                "Address of this service",
                "GitHub sends its deliveries here, so it must reach it.",
            ),
        )
    )
    body = (
        "<p class=soft>Two minutes: say whose it is, confirm at GitHub, choose the repositories.</p>"
        f'<form class="card" method="post" action="{escape(path)}">{told}{warning}'
        "<fieldset><label><b>Whose jobs are to run here?</b></label>"
        f"{choices}</fieldset>{inputs}"
        "<button>Continue</button></form>"
    )
    return page("Connect to GitHub", body)


def confirmation(manifest: Manifest, host: str) -> str:
    permissions = "".join(f"<li>{escape(each)}</li>" for each in manifest.permissions)
    body = (
        '<div class="card"><p>The App asks for these permissions, and hears of workflow jobs:</p>'
        f"<ul>{permissions}</ul>"
        f'<form method="post" action="{escape(manifest.action)}">'
        f'<input type="hidden" name="manifest" value="{escape(manifest.manifest)}">'
        f"<button>Make the App at {escape(host)}</button></form>"
        "<p class=soft>GitHub asks for its name once more and sends you back; its private key and secret come here "
        "without passing through your browser, and are kept encrypted.</p></div>"
    )
    return page("Connect to GitHub", body)


def checks(findings: Sequence[Finding], *, install_page: str | None, anew: str | None) -> str:
    """`anew`: where another App can be made; none if the settings name one."""
    well = all(finding.state is not State.FAILED for finding in findings)
    title = "Connected to GitHub" if well else "Almost there"
    lead = (
        "Write <code>runs-on: chaser</code> in a workflow, and its jobs run here."
        if well
        else f"This page looks again every {AGAIN_SECONDS} seconds."
    )
    nowhere = any(finding.check == _INSTALLATION and finding.state is State.FAILED for finding in findings)
    install = (
        f'<a class="button" href="{escape(install_page)}">Install the App</a>'
        if install_page and nowhere
        else ""
    )
    again = f'<p class=soft><a href="{escape(anew)}">Make another App</a></p>' if anew else ""
    items = "".join(_check(finding) for finding in findings)
    body = f'<p>{lead}</p><div class="card"><ul class="checks">{items}</ul>{install}</div>{again}'
    return page(title, body, again=not well)


def _check(finding: Finding) -> str:
    mend = f'<span class="mend">{_prose(finding.mend)}</span>' if finding.mend else ""
    state = f"<span hidden>{finding.state.value}: </span>"
    return f'<li class="{finding.state.value}">{state}<b>{escape(finding.check)}</b> {_prose(finding.message)}{mend}</li>'


def _prose(text: str) -> str:
    """Words for people: what is between backquotes is typed, and an address is a link."""
    parts: list[str] = []
    end = 0
    for found in _MARKED.finditer(text):
        parts.append(escape(text[end : found.start()]))
        code, address = found["code"], escape(found["address"] or "")
        parts.append(f"<code>{escape(code)}</code>" if code else f'<a href="{address}">{address}</a>')
        end = found.end()
    return "".join(parts) + escape(text[end:])


def _choice(account: Account, title: str, values: dict[str, str]) -> str:
    checked = " checked" if values.get("account") == account.value else ""
    return f'<label><input type="radio" name="account" value="{account.value}"{checked}> {title}</label>'


def _field(name: str, title: str, hint: str, values: dict[str, str]) -> str:
    kind = "url" if name.endswith("url") else "text"
    value = escape(values.get(name, ""))
    return (
        f'<label for="{name}">{title}</label>'
        f'<input id="{name}" name="{name}" type="{kind}" value="{value}"><small>{hint}</small>'
    )
