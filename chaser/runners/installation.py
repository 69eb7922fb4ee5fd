"""The App, installed for one account, as its events tell of it. Pure."""

from dataclasses import dataclass, replace
from datetime import datetime

from chaser.runners.event import InstallationEvent


@dataclass(frozen=True, slots=True)
class Installation:
    """An id is never used again: to install anew makes another one."""

    id: int
    account: str | None
    """The owner's login; an enterprise's slug."""
    account_type: str | None
    selection: str | None
    """`all` or `selected`: which repositories it may use."""
    suspended_at: datetime | None
    deleted_at: datetime | None
    updated_at: datetime | None
    """As GitHub says it; it orders what is told of an installation."""
    changed_at: datetime


def unheard(event: InstallationEvent, at: datetime) -> Installation:
    """The installation before the first event that tells of it."""
    return Installation(event.installation_id, None, None, None, None, None, None, at)


def after(known: Installation, event: InstallationEvent, at: datetime) -> Installation:
    """What is older than what is known fills its gaps alone; but a deleted one stays deleted, whatever comes late."""
    told = replace(
        known,
        account=event.account or known.account,
        account_type=event.account_type or known.account_type,
        selection=event.selection or known.selection,
        suspended_at=_suspended(event, at),
        updated_at=event.updated_at or known.updated_at,
    )
    if known.updated_at and event.updated_at and event.updated_at < known.updated_at:
        told = replace(
            known,
            account=known.account or event.account,
            account_type=known.account_type or event.account_type,
            selection=known.selection or event.selection,
        )
    if event.action == "deleted":
        told = replace(told, deleted_at=known.deleted_at or at)
    return known if told == known else replace(told, changed_at=at)


def _suspended(event: InstallationEvent, at: datetime) -> datetime | None:
    match event.action:
        case "suspend":
            return event.suspended_at or at
        case "unsuspend":
            return None
        case _:
            return event.suspended_at
