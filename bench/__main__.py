"""`make bench`: Chaser against the bare tools it stands on, and its queue against its peers, in one run. It prints
ratios and judges nothing.

Times on a shared machine drift; the ratios, taken in turn within one run, are what to quote.
"""

import argparse
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping

from bench import claims, containers, enqueue, queue, runners, sandboxes, webhooks
from bench.report import say, timed


def help_time() -> None:
    def run() -> None:
        subprocess.run([sys.executable, "-m", "chaser", "--help"], check=True, stdout=subprocess.DEVNULL)

    run()
    say("chaser --help", f"{statistics.median(timed(run) for _ in range(10)) * 1000:.0f} ms", "less than 300")


PARTS: Mapping[str, Callable[[], None]] = {
    "cold": containers.cold,
    "warm": containers.warm,
    "burst": containers.burst,
    "flood": containers.flood,
    "help": help_time,
    "queue": queue.measure,
    "enqueue": enqueue.measure,
    "webhooks": webhooks.measure,
    "runners": runners.measure,
    "claims": claims.measure,
    "plans": claims.plans,
    "sandboxes": sandboxes.measure,
}
ASKED_FOR = frozenset({"plans"})
"""Not run unless named."""


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measures Chaser against what it stands on, and against its peers.",
    )
    parser.add_argument(
        "part", nargs="*", help=f"which to run, of: {', '.join(PARTS)}; if none is named, all but the plans"
    )
    named = parser.parse_args().part or [name for name in PARTS if name not in ASKED_FOR]
    unknown = [name for name in named if name not in PARTS]
    if unknown:
        parser.error(f"there is no part {', '.join(unknown)}")
    for name in named:
        PARTS[name]()


if __name__ == "__main__":
    main()
