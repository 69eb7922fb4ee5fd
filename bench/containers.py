"""Sandboxes against the bare Docker SDK, and against `docker run`."""

import statistics
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import docker

from bench.report import MIB, say, timed
from bench.service import IMAGE, Service, running

ROUNDS = 30
BURST = 16
BURSTS = 5
FLOOD_BYTES = 500_000_000


def cold() -> None:
    """One container after the other: `true`, over HTTP and through the bare SDK in turn."""
    client = docker.from_env(max_pool_size=BURST)
    with running() as service:
        time.sleep(2)
        say("idle service, resident", f"{service.resident_bytes() / MIB:.0f} MiB", "at most 110")
        for _ in range(3):
            service.exec("true")
            bare(client)
        pairs = [(timed(lambda: service.exec("true")), timed(lambda: bare(client))) for _ in range(ROUNDS)]
    ours, theirs = (statistics.median(column) for column in zip(*pairs, strict=True))
    say(
        "cold exec, median",
        f"{ours * 1000:.0f} ms against {theirs * 1000:.0f} ms",
        f"ratio {ours / theirs:.2f}, at most 1.25",
    )


def warm() -> None:
    """`true` in a sandbox that is ready, and in one that is not, in turn."""
    ready = {
        "CHASER_PROFILES__WARM__IMAGE": IMAGE,
        "CHASER_PROFILES__WARM__NETWORK": "none",
        "CHASER_PROFILES__WARM__MIN_WARM": "1",
    }
    with running(**ready) as service:
        pairs = [(_warm(service), timed(lambda: service.exec("true"))) for _ in range(3 + ROUNDS)][3:]
    ours, colds = (statistics.median(column) for column in zip(*pairs, strict=True))
    say(
        "warm exec, median",
        f"{ours * 1000:.1f} ms against {colds * 1000:.0f} ms cold",
        f"ratio {ours / colds:.2f}",
    )


def _warm(service: Service) -> float:
    service.await_warm()
    begun = time.perf_counter()
    answer = service.exec("true", profile="warm")
    taken = time.perf_counter() - begun
    if not answer["timings"]["warm"]:
        raise RuntimeError("it was given none that was ready")
    return taken


def burst() -> None:
    """Sixteen at once, several times in turn."""
    client = docker.from_env(max_pool_size=BURST)
    with running(CHASER_LIMITS__MAX_RUNNING=str(BURST)) as service:
        service.exec("true")
        bare(client)
        pairs = [
            (
                timed(lambda: at_once(lambda: service.exec("true"))),
                timed(lambda: at_once(lambda: bare(client))),
            )
            for _ in range(BURSTS)
        ]
    ours, theirs = (BURST / statistics.median(column) for column in zip(*pairs, strict=True))
    say(
        f"{BURST} at once, per second",
        f"{ours:.1f} against {theirs:.1f}",
        f"ratio {ours / theirs:.2f}, at least 0.9",
    )


def flood() -> None:
    """A command that prints 500 MB, through the service and through `docker run`."""
    command = f"head -c {FLOOD_BYTES} /dev/zero | tr '\\0' 'x'"
    with running() as service:
        service.exec("true")
        before = service.resident_bytes()
        pairs = [
            (timed(lambda: flooded(service, command)), timed(lambda: docker_run(command))) for _ in range(3)
        ]
        peak = service.peak_bytes()
    ours, theirs = (FLOOD_BYTES / MIB / statistics.median(column) for column in zip(*pairs, strict=True))
    say(
        "500 MB of output",
        f"{ours:.0f} MiB/s against {theirs:.0f} MiB/s",
        f"ratio {ours / theirs:.2f}, at least 0.5",
    )
    say("  memory grown at the peak", f"{(peak - before) / MIB:.0f} MiB", "less than 32")


def bare(client: docker.DockerClient) -> None:
    client.containers.run(IMAGE, ["true"], network_mode="none", remove=True)


def docker_run(command: str) -> None:
    subprocess.run(
        ["docker", "run", "--rm", "--network", "none", IMAGE, "sh", "-c", command],
        check=True,
        stdout=subprocess.DEVNULL,
    )


def flooded(service: Service, command: str) -> None:
    answer = service.exec(command)
    assert answer["output_bytes"] == FLOOD_BYTES, answer


def at_once(work: Callable[[], object]) -> None:
    with ThreadPoolExecutor(BURST) as pool:
        for done in [pool.submit(work) for _ in range(BURST)]:
            done.result()
