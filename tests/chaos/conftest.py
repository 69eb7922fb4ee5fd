"""Fixtures: how long the tests may take, and what chance they follow."""

import os
import secrets
from random import Random

import pytest

from tests.acceptance.machine import SMALL, build_image
from tests.chaos.form import IS_LONG


@pytest.fixture(scope="session")
def small_image() -> str:
    build_image("small")
    return SMALL


@pytest.fixture(scope="session")
def long() -> bool:
    """Whether the long form is asked for (`make chaos`), which takes minutes."""
    return IS_LONG


@pytest.fixture
def random() -> Random:
    """Repeatable: `CHASER_CHAOS_SEED` takes the seed that a failed run has printed."""
    seed = os.environ.get("CHASER_CHAOS_SEED") or secrets.token_hex(4)
    print(f"\nCHASER_CHAOS_SEED={seed}", flush=True)  # noqa: T201  # pytest shows it with a failure
    return Random(seed)
