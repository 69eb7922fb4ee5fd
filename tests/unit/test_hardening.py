"""What the engine is told, and above all what it is never told."""

from dataclasses import replace

import pytest

from chaser.ids import InstanceId, SandboxId
from chaser.sandboxes.boot import COMMAND
from chaser.sandboxes.engine import ContainerOptions, EngineInfo, Image
from chaser.sandboxes.hardening import NOBODY, options
from chaser.sandboxes.spec import Isolation, Limits, Network, SandboxSpec

IMAGE = Image("sha256:1", None, user="node", volumes=frozenset({"/data", "/cache"}), working_dir="/app")
ENGINE = EngineInfo(
    id="engine",
    version="20.10",
    runtimes=frozenset({"runc"}),
    default_runtime="runc",
    storage_driver="overlay2",
    cgroup_version="1",
    root_dir="/var/lib/docker",
    architecture="x86_64",
    rootless=False,
    local=True,
    nofile_ceiling=None,
)
SPEC = SandboxSpec(
    image="node:22",
    profile="default",
    isolation=Isolation.STANDARD,
    network=Network.NONE,
    limits=Limits(cpus=1.5, memory_bytes=1 << 30, pids=99, nofile=5000, shm_bytes=1 << 20),
)


def made(spec: SandboxSpec = SPEC, engine: EngineInfo = ENGINE) -> ContainerOptions:
    return options(
        spec,
        sandbox=SandboxId("sbx_01"),
        instance=InstanceId("inst"),
        image=IMAGE,
        engine=engine,
        network="none",
        volumes={},
        log_max_bytes=1000,
    )


def isolated(isolation: Isolation) -> ContainerOptions:
    return made(replace(SPEC, isolation=isolation))


@pytest.mark.parametrize("isolation", Isolation)
def test_a_container_says_whose_it_is_and_nothing_of_the_request(isolation: Isolation) -> None:
    container = isolated(isolation)

    assert container.name == "chaser-01"
    assert container.labels == {"chaser.instance": "inst", "chaser.sandbox": "sbx_01"}
    assert container.command == COMMAND
    assert container.image_id == IMAGE.id
    assert set(container.environment) <= {"HOME"}


@pytest.mark.parametrize("isolation", Isolation)
def test_limits_hold_in_every_isolation(isolation: Isolation) -> None:
    container = isolated(isolation)

    assert (container.nano_cpus, container.memory_bytes, container.pids) == (1_500_000_000, 1 << 30, 99)
    assert (container.nofile, container.shm_bytes, container.log_max_bytes) == (5000, 1 << 20, 1000)


def test_strict_keeps_nothing_of_the_image() -> None:
    container = isolated(Isolation.STRICT)

    assert container.user == NOBODY
    assert container.cap_add == ()
    assert container.read_only
    assert container.no_new_privileges
    assert set(container.tmpfs) == {"/tmp", "/var/tmp", "/run", "/data", "/cache"}
    assert all("size=" in each and "nosuid" in each for each in container.tmpfs.values())


def test_standard_keeps_the_images_user_and_seven_capabilities() -> None:
    container = isolated(Isolation.STANDARD)

    assert container.user is None
    assert len(container.cap_add) == 7
    assert container.no_new_privileges
    assert not container.read_only
    assert container.tmpfs == {}


def test_sudo_may_gain_privileges_and_log_it() -> None:
    container = isolated(Isolation.SUDO)

    assert not container.no_new_privileges
    assert set(container.cap_add) - set(isolated(Isolation.STANDARD).cap_add) == {"AUDIT_WRITE"}


@pytest.mark.parametrize("isolation", Isolation)
def test_no_isolation_has_a_capability_that_reaches_beyond_the_sandbox(isolation: Isolation) -> None:
    beyond = {"SYS_ADMIN", "SYS_PTRACE", "SYS_MODULE", "NET_ADMIN", "NET_RAW", "MKNOD", "SYS_CHROOT", "ALL"}

    assert not beyond & set(isolated(isolation).cap_add)


def test_a_users_choice_counts_except_in_strict() -> None:
    assert made(replace(SPEC, user="1000")).user == "1000"
    assert made(replace(SPEC, user="0", isolation=Isolation.STRICT)).user == NOBODY


def test_no_more_open_files_are_asked_for_than_the_engine_can_grant() -> None:
    assert made(engine=replace(ENGINE, nofile_ceiling=2000)).nofile == 2000
    assert made(engine=replace(ENGINE, nofile_ceiling=20_000)).nofile == 5000


def test_isolations_are_ordered_from_the_strictest() -> None:
    assert Isolation.STRICT.at_least(Isolation.SUDO)
    assert Isolation.STANDARD.at_least(Isolation.STANDARD)
    assert not Isolation.SUDO.at_least(Isolation.STANDARD)
    assert Network.NONE.at_least(Network.INTERNET)
    assert not Network.INTERNET.at_least(Network.ALLOWLIST)
