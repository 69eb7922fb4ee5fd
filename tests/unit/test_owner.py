"""Whose the files in a sandbox must be."""

import pytest

from chaser.sandboxes.owner import Owner, looked_up, numeric

PASSWD = b"root:x:0:0:root:/root:/bin/sh\nnode:x:1000:1001:\xff:/home/node:/bin/sh\nbroken\nnobody:x:65534:65534::/:/\n"
GROUP = b"root:x:0:\nstaff:x:50:\nnode:x:1001:\n"


@pytest.mark.parametrize(
    ("user", "owner"),
    [("", Owner(0, 0)), ("0", Owner(0, 0)), ("root", Owner(0, 0)), ("65534:65534", Owner(65534, 65534))],
)
def test_numbers_need_no_look(user: str, owner: Owner) -> None:
    assert numeric(user) == owner


@pytest.mark.parametrize("user", ["node", "1000", "node:staff", "1000:staff", "99999999999:1"])
def test_what_is_not_all_numbers_does(user: str) -> None:
    assert numeric(user) is None


@pytest.mark.parametrize(
    ("user", "owner"),
    [
        ("node", Owner(1000, 1001)),
        ("1000", Owner(1000, 1001)),
        ("node:staff", Owner(1000, 50)),
        ("1000:staff", Owner(1000, 50)),
        ("node:7", Owner(1000, 7)),
        ("4242", Owner(4242, 0)),
        ("nobody", Owner(65534, 65534)),
        ("stranger", Owner(0, 0)),
    ],
)
def test_the_sandbox_says_which_number_a_name_has(user: str, owner: Owner) -> None:
    assert looked_up(user, PASSWD, GROUP) == owner
