"""What checks have found, as a document or for a person."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from chaser.cli import output
from chaser.findings import Finding, State

_COLOURS = {State.OK: "green", State.WARNING: "yellow", State.FAILED: "red"}


def report(findings: Sequence[Finding], *, json: bool, beside: Mapping[str, object] | None = None) -> bool:
    """Show them; returns whether all is well, warnings aside. `beside`: what else the document has."""
    well = all(finding.state is not State.FAILED for finding in findings)
    if json:
        output.document({"ok": well, "checks": [asdict(finding) for finding in findings], **(beside or {})})
    else:
        output.table(("", "check", "found"), [_row(finding) for finding in findings])
    return well


def _row(finding: Finding) -> Sequence[str | output.Cell]:
    return (
        output.Cell(finding.state.value, _COLOURS[finding.state]),
        finding.check,
        finding.message + (f"\n→ {finding.mend}" if finding.mend else ""),
    )
