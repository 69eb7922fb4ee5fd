"""Fixtures for contracts with an engine."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from tests.engines import Site, docker_site, fake_site


@pytest.fixture(params=["fake", pytest.param("docker", marks=pytest.mark.docker)])
async def site(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[Site]:
    """Each engine in turn."""
    async with (fake_site if request.param == "fake" else docker_site)(tmp_path) as site:
        yield site


@pytest.fixture
async def real(tmp_path: Path) -> AsyncGenerator[Site]:
    """Real Docker alone. A test that takes it is marked `docker`."""
    async with docker_site(tmp_path) as site:
        yield site


@pytest.fixture
async def faulty(tmp_path: Path) -> AsyncGenerator[Site]:
    """The fake alone, for faults that real engines have but not on demand."""
    async with fake_site(tmp_path) as site:
        yield site
