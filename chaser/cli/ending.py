"""How a run ended, as a person is told."""

from collections.abc import Mapping


def sentence(ended: Mapping[str, object]) -> str | None:
    """What a person must be told: nothing where the command's own exit status and output say it all."""
    reason = ended.get("reason")
    if reason in (None, "nonzero_exit"):
        return None
    return f"{ended.get('status')}: {reason}. {ended.get('message') or ''} ({ended.get('id')})"
