"""One run of one queue, in a process of its own: `python -m bench.contest QUEUE URL JOBS` prints its jobs per second."""

import asyncio
import subprocess
import sys

from bench import own, peers

QUEUES = {
    "chaser": own.chaser,
    "procrastinate": peers.procrastinate,
    "pgqueuer": peers.pgqueuer_asyncpg,
    "pgqueuer-psycopg": peers.pgqueuer_psycopg,
}
LONGEST_SECONDS = 300


def run(queue: str, url: str, jobs: int) -> float:
    command = [sys.executable, "-m", "bench.contest", queue, url, str(jobs)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=LONGEST_SECONDS)
    return float(done.stdout)


if __name__ == "__main__":
    _, name, database, number = sys.argv
    print(asyncio.run(QUEUES[name](database, int(number))))
