"""How long a service that is away is waited for, and what is told of it."""

from collections.abc import Callable
from datetime import timedelta

import httpx
import pytest

from chaser.cli.failure import Failure
from chaser.cli.link import Link
from chaser.cli.service import Service
from chaser.secret import Secret

Handler = Callable[[httpx.Request], httpx.Response]
SERVICE = Service("http://chaser.test", Secret("sk_of_the_test"))


def linked(handler: Handler, seconds: float = 60) -> Link:
    client = httpx.AsyncClient(base_url=SERVICE.url, transport=httpx.MockTransport(handler))
    return Link(client, SERVICE, timedelta(seconds=seconds))


def in_turn(*answers: int | Exception) -> Handler:
    left = list(answers)

    def handle(request: httpx.Request) -> httpx.Response:
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, Exception):
            raise answer
        error = {"code": "told", "message": "Told."}
        return httpx.Response(answer, json={"ok": True} if answer == 200 else {"error": error})

    return handle


REFUSED, CUT = httpx.ConnectError("refused"), httpx.ReadError("cut")


async def test_what_was_there_and_is_away_is_asked_again() -> None:
    link = linked(in_turn(CUT, REFUSED, 503, 200))
    assert await link.request("POST", "/v1/jobs") == {"ok": True}


async def test_it_is_told_once(capfd: pytest.CaptureFixture[str]) -> None:
    await linked(in_turn(CUT, REFUSED, REFUSED, REFUSED, 200)).request("GET", "/")
    assert capfd.readouterr().err.count("\n") == 2


async def test_a_single_cut_is_not_worth_a_word(capfd: pytest.CaptureFixture[str]) -> None:
    await linked(in_turn(CUT, 200)).request("GET", "/")
    assert capfd.readouterr().err == ""


async def test_who_was_never_there_is_not_waited_for() -> None:
    with pytest.raises(Failure) as raised:
        await linked(in_turn(REFUSED)).request("GET", "/")
    assert raised.value.code == "unreachable"


@pytest.mark.parametrize(("last", "code"), [(REFUSED, "connection_lost"), (503, "told")])
async def test_who_stays_away_is_given_up(last: int | Exception, code: str) -> None:
    link = linked(in_turn(200, last), seconds=0.01)
    link.job = "job_x"
    await link.request("GET", "/")
    with pytest.raises(Failure) as raised:
        await link.request("GET", "/")
    assert raised.value.code == code


async def test_patience_begins_anew_when_the_service_has_answered() -> None:
    link = linked(in_turn(CUT, 200, CUT, 200), seconds=0.01)
    for _ in range(2):
        assert await link.request("GET", "/") == {"ok": True}


@pytest.mark.parametrize(("method", "status"), [("POST", 500), ("GET", 404), ("POST", 429), ("POST", 409)])
async def test_an_answer_that_is_final_is_not_asked_again(method: str, status: int) -> None:
    with pytest.raises(Failure, match="Told"):
        await linked(in_turn(status, 200)).request(method, "/")
