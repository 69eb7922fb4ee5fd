"""Two service processes that share one database and one engine, as two machines would."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

from chaser.store.sealing import generate
from tests.acceptance.machine import Docker
from tests.acceptance.service import Service
from tests.postgres import PostgresServer


@contextmanager
def two_services(
    place: Path, server: PostgresServer, settings: Mapping[str, str]
) -> Generator[tuple[Service, Service]]:
    """Each with a directory of its own."""
    url = server.empty()
    shared = {"CHASER_DATABASE_URL": url, "CHASER_SECRET_KEYS": generate().text, **settings}
    places = [place / name for name in ("one", "two")]
    for each in places:
        each.mkdir()
    one = Service(places[0], shared, Docker())
    services = [one]
    try:
        one.start()
        two = Service(places[1], shared, Docker(), key=one.key)
        services.append(two)
        two.start()
        yield one, two
    finally:
        for service in services:
            service.close()
        one.docker.remove_all(one.instance)
        server.drop(url)
