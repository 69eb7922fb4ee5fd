"""Log lines: what machines and people read, with the ids of the task and without secrets."""

import io
import json
import logging
from collections.abc import Generator

import pytest
import structlog

from chaser.log import configure
from chaser.log_context import bound_ids, log_ids


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Generator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture
def stream() -> io.StringIO:
    stream = io.StringIO()
    configure(stream=stream)
    return stream


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_one_json_document_with_its_facts(stream: io.StringIO) -> None:
    structlog.stdlib.get_logger("chaser.x").info(
        "The sandbox is ready.", action="sandbox.ready", sandbox_id="sbx_1"
    )
    [line] = lines(stream)
    assert str(line.pop("at")).endswith("Z")
    assert line == {
        "message": "The sandbox is ready.",
        "action": "sandbox.ready",
        "sandbox_id": "sbx_1",
        "logger": "chaser.x",
        "level": "info",
    }


def test_the_standard_librarys_lines_look_the_same(stream: io.StringIO) -> None:
    logging.getLogger("chaser.y").info("%d left.", 3, extra={"action": "queue.left"})
    [line] = lines(stream)
    assert (line["message"], line["action"], line["logger"]) == ("3 left.", "queue.left", "chaser.y")


def test_uvicorns_lines_come_out_the_same_way(stream: io.StringIO) -> None:
    logging.getLogger("uvicorn.error").addHandler(logging.StreamHandler(io.StringIO()))
    configure(stream=stream)
    logging.getLogger("uvicorn.error").info("Started.")
    assert lines(stream)[-1]["message"] == "Started."


def test_every_line_of_a_task_carries_its_ids(stream: io.StringIO) -> None:
    with log_ids(job_id="job_1"), structlog.contextvars.bound_contextvars(request_id="req_1"):
        structlog.stdlib.get_logger().info("a", action="a")
        logging.getLogger("b").warning("b")
    structlog.stdlib.get_logger().info("c", action="c")
    inside, foreign, outside = lines(stream)
    assert (
        (inside["job_id"], inside["request_id"])
        == (foreign["job_id"], foreign["request_id"])
        == ("job_1", "req_1")
    )
    assert "job_id" not in outside


def test_ids_are_bound_within_each_other_and_end_with_their_block() -> None:
    with log_ids(a="1"):
        with log_ids(b="2"):
            assert bound_ids() == {"a": "1", "b": "2"}
        assert bound_ids() == {"a": "1"}
    assert bound_ids() == {}


@pytest.mark.parametrize("readable", [True, False])
def test_a_traceback_never_shows_local_variables(readable: bool) -> None:
    stream = io.StringIO()
    configure(stream=stream, readable=readable)
    password = "hunter2" + "hunter2"
    try:
        assert len(password) / 0
    except ZeroDivisionError:
        structlog.stdlib.get_logger().exception("It broke.", action="broken")
    assert "ZeroDivisionError" in stream.getvalue()
    assert "hunter2hunter2" not in stream.getvalue()


def test_people_read_lines_and_not_json() -> None:
    stream = io.StringIO()
    configure(stream=stream, readable=True)
    structlog.stdlib.get_logger().info("The sandbox is ready.", action="sandbox.ready")
    assert "The sandbox is ready." in stream.getvalue()
    assert "action=sandbox.ready" in stream.getvalue()
    assert "\x1b" not in stream.getvalue(), "colours are for terminals"


def test_the_level_holds_and_chatty_libraries_are_quiet() -> None:
    stream = io.StringIO()
    configure("info", stream)
    structlog.stdlib.get_logger().debug("no", action="no")
    logging.getLogger("httpx").info("no")
    assert stream.getvalue() == ""
