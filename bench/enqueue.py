"""How long fifty clients at once wait until their jobs are accepted, beside the least that could accept one."""

import json
import statistics
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from bench.bare import serving
from bench.load import post, seconds
from bench.report import percentile, say
from bench.service import IMAGE, running

CLIENTS = 50
REQUESTS = 60
ROUNDS = 7


def measure() -> None:
    # Due tomorrow, so that nothing but their acceptance is measured.
    due = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    body = {
        "kind": "sandbox.exec",
        "input": {"command": "true", "image": IMAGE, "network": "none"},
        "run_at": due,
    }
    content = json.dumps(body).encode()
    with serving() as bare, running(CHASER_LIMITS__MAX_QUEUED="1000000") as service:
        ours = post("/v1/jobs", content, {"Authorization": f"Bearer {service.key}"})
        theirs = post("/v1/jobs", content, {})
        for port, request in ((service.port, ours), (bare, theirs)):
            seconds(port, CLIENTS, [request] * CLIENTS * 5)
        pairs = [
            tuple(
                seconds(port, CLIENTS, [request] * CLIENTS * REQUESTS)
                for port, request in ((service.port, ours), (bare, theirs))
            )
            for _ in range(ROUNDS)
        ]
    for share, wanted in ((0.5, ""), (0.99, ", at most 2")):
        show(share, [tuple(percentile(each, share) for each in pair) for pair in pairs], wanted)


def show(share: float, pairs: Sequence[tuple[float, ...]], wanted: str) -> None:
    ours, theirs = (statistics.median(column) * 1000 for column in zip(*pairs, strict=True))
    ratio = statistics.median(mine / its for mine, its in pairs)
    say(
        f"enqueue, {CLIENTS} clients, p{share * 100:.0f}",
        f"{ours:.1f} ms against {theirs:.1f} ms",
        f"ratio {ratio:.2f}{wanted}",
    )
