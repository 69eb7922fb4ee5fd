"""Fixtures: one real service a module, with settings that the module may name; nothing may be left after any test."""

from collections.abc import Generator, Mapping

import pytest

from tests.acceptance.github import GitHub, github_elsewhere
from tests.acceptance.machine import DEFAULT, SMALL, build_image
from tests.acceptance.service import Service, installation


@pytest.fixture(scope="session")
def small_image() -> str:
    build_image("small")
    return SMALL


@pytest.fixture(scope="session")
def default_image() -> str:
    build_image("default")
    return DEFAULT


@pytest.fixture(scope="module")
def github(tmp_path_factory: pytest.TempPathFactory) -> Generator[GitHub]:
    """With the App installed for a person and two organizations."""
    build_image("runner-simulated")
    words = ("--account", "octocat", "--organization", "octo-org", "--organization", "hubbers")
    with github_elsewhere(tmp_path_factory.mktemp("github"), *words) as github:
        yield github


@pytest.fixture(scope="module")
def settings() -> Mapping[str, str]:
    """Environment variables of the module's service, beyond the usual ones; a module may override this."""
    return {}


@pytest.fixture(scope="module")
def shared_service(
    small_image: str, settings: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Generator[Service]:
    with installation(tmp_path_factory.mktemp("service"), settings) as service:
        yield service


@pytest.fixture
def service(shared_service: Service) -> Generator[Service]:
    """The module's service; after the test it lives, and none of its containers does."""
    yield shared_service
    assert shared_service.alive, shared_service.log
    shared_service.expect_nothing_left()
