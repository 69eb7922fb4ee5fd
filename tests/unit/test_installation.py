"""What is known of an installation by its events."""

from datetime import timedelta
from functools import reduce
from itertools import permutations

from chaser.runners.event import InstallationEvent
from chaser.runners.installation import Installation, after, unheard
from tests.rows import START
from tests.workflow_jobs import installed

SOON = START + timedelta(minutes=1)
LATER = START + timedelta(minutes=2)


def installation(*events: InstallationEvent) -> Installation:
    return reduce(lambda known, each: after(known, each, SOON), events, unheard(events[0], START))


def test_a_new_one_is_known_by_its_account() -> None:
    made = installation(installed(updated_at=START))

    assert (made.id, made.account, made.account_type, made.selection) == (
        5,
        "octo-org",
        "Organization",
        "all",
    )
    assert (made.suspended_at, made.deleted_at) == (None, None)


def test_it_is_suspended_and_let_go_on() -> None:
    suspended = installed("suspend", suspended_at=SOON, updated_at=SOON)

    assert installation(installed(updated_at=START), suspended).suspended_at == SOON
    assert installation(suspended, installed("unsuspend", updated_at=LATER)).suspended_at is None


def test_a_suspension_that_names_no_time_is_one() -> None:
    assert installation(installed("suspend")).suspended_at == SOON


def test_an_unknown_action_says_what_it_says() -> None:
    assert installation(installed("teleported", suspended_at=START)).suspended_at == START


def test_the_repositories_it_may_use_change() -> None:
    changed = installed("added", event="installation_repositories", selection="selected", updated_at=SOON)

    assert installation(installed(updated_at=START), changed).selection == "selected"


def test_what_is_deleted_stays_so() -> None:
    events = (
        installed(updated_at=START),
        installed("suspend", suspended_at=SOON, updated_at=SOON),
        installed("deleted", updated_at=LATER),
    )
    for order in permutations(events):
        assert installation(*order).deleted_at == SOON


def test_what_is_told_late_fills_gaps_alone() -> None:
    suspended = installed("suspend", suspended_at=SOON, updated_at=SOON, account=None, selection="selected")
    created = installed(updated_at=START)

    known = installation(suspended, created)

    assert (known.suspended_at, known.account, known.selection) == (SOON, "octo-org", "selected")


def test_what_changes_nothing_is_no_change() -> None:
    known = installation(installed(updated_at=START))

    assert after(known, installed("new_permissions_accepted", updated_at=START), LATER) is known
