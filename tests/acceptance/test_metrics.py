"""The service, read by a real Prometheus with a key of its own."""

import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.acceptance.service import Service, free_port, installation
from tests.acceptance.waiting import until

pytestmark = pytest.mark.docker

PAGE = Path(__file__).parents[2] / "docs" / "operating.md"


def documented(service: Service, key_file: Path) -> str:
    """The configuration that the page gives, for this service and this key."""
    text = PAGE.read_text().partition("```yaml\n")[2].partition("```")[0]
    config: dict[str, Any] = yaml.safe_load(text)
    (scrape,) = config["scrape_configs"]
    scrape["scrape_interval"] = "1s"
    scrape["scrape_timeout"] = "1s"
    scrape["authorization"]["credentials_file"] = str(key_file)
    scrape["static_configs"] = [{"targets": [f"127.0.0.1:{service.port}"]}]
    return yaml.safe_dump(config)


@contextmanager
def prometheus(place: Path, config: str) -> Generator[httpx.Client]:
    place.mkdir()
    (place / "prometheus.yml").write_text(config)
    port = free_port()
    command = (
        "prometheus",
        f"--config.file={place / 'prometheus.yml'}",
        f"--storage.tsdb.path={place / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    )
    with (place / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
            yield client
    finally:
        process.terminate()
        process.wait(timeout=30)


def told(client: httpx.Client, query: str) -> float | None:
    """What Prometheus knows; none: nothing yet."""
    try:
        found = client.get("/api/v1/query", params={"query": query}).json()["data"]["result"]
    except httpx.TransportError:
        return None
    return float(found[0]["value"][1]) if found else None


def test_prometheus_reads_it_as_the_page_says(small_image: str, tmp_path: Path) -> None:
    with installation(tmp_path, {"CHASER_LIMITS__MAX_RUNNING": "3"}) as service:
        made = service.http.post("/v1/keys", json={"name": "prometheus", "scopes": ["runners.read"]})
        key_file = tmp_path / "chaser.key"
        key_file.write_text(made.json()["key"])
        running = service.begin("sleep 60")
        with prometheus(tmp_path / "prometheus", documented(service, key_file)) as client:
            until(lambda: told(client, "chaser_slots_taken") == 1, "Prometheus to know of the run")
            assert told(client, "chaser_slots") == 3
            assert told(client, 'chaser_jobs{status="running",profile="default"}') == 1
            assert told(client, 'min(chaser_part_up{part=~"store|docker"})') == 1
        service.cancel(running)
        service.expect_nothing_left()
