"""Fixtures for the queue at work."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from tests.works import Town, town


@pytest.fixture(name="town")
async def a_town(tmp_path: Path) -> AsyncGenerator[Town]:
    async with town(tmp_path) as made:
        yield made
