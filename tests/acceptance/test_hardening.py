"""What a sandbox may not: looked at from within by the kernel's own words, and from outside by the engine's."""

import re
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.machine import SMALL
from tests.acceptance.service import Service

pytestmark = pytest.mark.docker

BITS = {
    "CHOWN": 0,
    "DAC_OVERRIDE": 1,
    "FOWNER": 3,
    "FSETID": 4,
    "KILL": 5,
    "SETGID": 6,
    "SETUID": 7,
    "AUDIT_WRITE": 29,
}
"""https://man7.org/linux/man-pages/man7/capabilities.7.html, numbers from linux/capability.h"""

STANDARD = {"CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID"}
KEPT = {"strict": set[str](), "standard": STANDARD, "sudo": {*STANDARD, "AUDIT_WRITE"}}
LEVELS = list(KEPT)

VOLUMED = "chaser-volumed:test"


@pytest.fixture(scope="module")
def settings() -> Mapping[str, str]:
    """The profile allows even `sudo`, so that each level can be asked for."""
    return {"CHASER_PROFILES__DEFAULT__ISOLATION": "sudo"}


def mask(names: set[str]) -> int:
    return sum(1 << BITS[name] for name in names)


def status_within(service: Service, level: str, **fields: object) -> dict[str, str]:
    """/proc/self/status of the command's own process."""
    answer = service.run("exec cat /proc/self/status", isolation=level, **fields)
    lines = (line.partition(":") for line in answer["output"].splitlines())
    return {name: value.strip() for name, _, value in lines}


def inspected(service: Service, **fields: object) -> Mapping[str, Any]:
    """What the engine says of a sandbox that runs."""
    job = service.begin("sleep 60", **fields)
    (container,) = service.containers(running=True)
    found = service.docker.inspect(container)
    service.cancel(job)
    return found


@pytest.mark.parametrize("level", LEVELS)
def test_the_kernel_keeps_exactly_the_capabilities_of_the_level(service: Service, level: str) -> None:
    status = status_within(service, level)
    expected = mask(KEPT[level])
    assert int(status["CapBnd"], 16) == expected
    assert int(status["CapPrm"], 16) | expected == expected
    assert int(status["CapInh"], 16) | expected == expected
    assert int(status["CapAmb"], 16) == 0


@pytest.mark.parametrize("level", LEVELS)
def test_new_privileges_and_system_calls_are_limited(service: Service, level: str) -> None:
    """The engine's default seccomp filter at every level; no new privileges but for sudo, which is made of them."""
    status = status_within(service, level)
    assert status["NoNewPrivs"] == ("0" if level == "sudo" else "1")
    assert status["Seccomp"] == "2"


@pytest.mark.parametrize("level", LEVELS)
def test_namespaces_are_the_sandboxs_own(service: Service, level: str) -> None:
    names = ["pid", "mnt", "ipc", "uts", "net", "cgroup"]
    command = f"for name in {' '.join(names)}; do readlink /proc/self/ns/$name; done"
    within = service.run(command, isolation=level)["output"].split()
    outside = [str(Path(f"/proc/self/ns/{name}").readlink()) for name in names]
    assert len(within) == len(names)
    assert not set(within) & set(outside)


def test_the_first_process_is_an_init_that_reaps(service: Service) -> None:
    command = (
        "cat /proc/1/comm; for n in 1 2 3; do (sleep 0 &); done; sleep 0.3; grep -l zombie /proc/*/status"
    )
    answer = service.run(command)
    assert answer["output"] == "docker-init\n"


def test_there_is_no_network_but_loopback(service: Service) -> None:
    answer = service.run("ls /sys/class/net; cat /proc/net/route | wc -l", network="none")
    assert answer["output"] == "lo\n1\n"


def test_the_limits_asked_for_are_the_kernels(service: Service) -> None:
    """Memory with no swap beside it, processors, processes, open files, core dumps, shared memory."""
    limits = {"memory": "64m", "cpus": 0.5, "pids": 77}
    host = inspected(service, limits=limits)["HostConfig"]
    assert (host["Memory"], host["MemorySwap"]) == (64 << 20, 64 << 20)
    assert (host["NanoCpus"], host["PidsLimit"]) == (500_000_000, 77)
    ulimits = {each["Name"]: (each["Soft"], each["Hard"]) for each in host["Ulimits"]}
    assert ulimits["core"] == (0, 0)
    assert ulimits["nofile"][1] <= 65536
    assert host["ShmSize"] == 1 << 30
    answer = service.run("ulimit -n; df -k /dev/shm | tail -1", limits=limits)
    open_files, shared = answer["output"].splitlines()
    assert int(open_files) == ulimits["nofile"][0]
    assert int(shared.split()[1]) == 1 << 20


@pytest.mark.parametrize("level", LEVELS)
def test_nothing_of_the_host_is_in_it(service: Service, level: str) -> None:
    found = inspected(service, isolation=level)
    host = found["HostConfig"]
    assert not host["Privileged"]
    assert not host["Binds"]
    assert not host["Devices"]
    assert not host["VolumesFrom"]
    assert not host["PortBindings"]
    assert not host["Links"]
    assert host["Init"] is True
    assert host["IpcMode"] == "private"
    assert host["CapDrop"] == ["ALL"]
    assert {host[mode] for mode in ("PidMode", "UTSMode", "UsernsMode")} == {""}
    assert host["NetworkMode"] == "none"
    assert host["RestartPolicy"]["Name"] == "no"
    assert [mount for mount in found["Mounts"] if mount["Type"] != "tmpfs"] == []
    assert host["MaskedPaths"]
    assert host["ReadonlyPaths"]
    assert "unconfined" not in str(host["SecurityOpt"])


def test_paths_of_the_host_and_the_engine_are_not_there(service: Service) -> None:
    command = (
        "ls /var/run/docker.sock /run/docker.sock /run/containerd 2>/dev/null; "
        "head -c 1 /proc/kcore /proc/keys /proc/timer_list 2>/dev/null | wc -c; "
        "for path in /proc/sys/kernel/hostname /proc/sysrq-trigger /sys/kernel/uevent_helper; do "
        "(echo x > $path) 2>/dev/null && echo wrote $path; done; "
        "mount -t tmpfs none /mnt 2>/dev/null && echo mounted; mknod /tmp/disk b 8 0 2>/dev/null && echo made; "
        "chroot / true 2>/dev/null && echo chrooted; echo done"
    )
    answer = service.run(command, isolation="standard")
    *_, last = lines = answer["output"].splitlines()
    assert last == "done"
    assert not [line for line in lines if re.match("wrote|mounted|made|chrooted|/", line)], lines


def test_strict_is_nobody_on_a_read_only_root(service: Service) -> None:
    command = (
        "id -u; id -g; (echo x > /etc/x) 2>&1; (echo x > /workspace/x) 2>&1; "
        "for place in /tmp /var/tmp /run; do echo x > $place/x && echo $place; done; echo $HOME"
    )
    answer = service.run(command, isolation="strict")
    lines = answer["output"].splitlines()
    assert lines[:2] == ["65534", "65534"]
    assert [line.rpartition(": ")[2] for line in lines[2:4]] == ["Read-only file system"] * 2
    assert lines[4:] == ["/tmp", "/var/tmp", "/run", "/tmp"]


def test_strict_leaves_nobody_a_way_up(service: Service) -> None:
    """No group beside its own, no capability in any set, and no program that gives one."""
    status = status_within(service, "strict")
    assert status["Uid"].split() == ["65534"] * 4
    assert status["Gid"].split() == ["65534"] * 4
    assert set(status["Groups"].split()) <= {"65534"}
    assert {int(status[name], 16) for name in ("CapPrm", "CapEff", "CapBnd", "CapInh", "CapAmb")} == {0}


@pytest.fixture
def volumed(service: Service) -> Generator[str]:
    """An image that declares volumes: the engine would make each a writable directory of the host."""
    docker = service.docker
    made = docker("create", "--label", "chaser.test=image", SMALL, "true")
    try:
        docker("commit", "--change", "VOLUME /data /etc/more", made, VOLUMED)
        yield VOLUMED
    finally:
        docker("rm", made)
        docker.run("rmi", "--force", VOLUMED)


def test_strict_covers_the_images_volumes_with_sized_memory(service: Service, volumed: str) -> None:
    command = "for place in /data /etc/more; do stat -f -c '%T' $place; df -k $place | tail -1; done"
    answer = service.run(command, image=volumed, isolation="strict")
    kinds = answer["output"].splitlines()
    assert kinds[0::2] == ["tmpfs", "tmpfs"]
    assert [int(line.split()[1]) for line in kinds[1::2]] == [256 << 10] * 2
    found = inspected(service, image=volumed, isolation="strict")
    assert [mount["Type"] for mount in found["Mounts"]] in ([], ["tmpfs", "tmpfs"])


def test_volumes_of_the_image_go_with_the_sandbox(service: Service, volumed: str) -> None:
    def anonymous() -> set[str]:
        return set(service.docker("volume", "ls", "--quiet").split())

    found = inspected(service, image=volumed, isolation="standard")
    made = {mount["Name"] for mount in found["Mounts"] if mount["Type"] == "volume"}
    assert len(made) == 2
    service.expect_nothing_left()
    assert not made & anonymous()


def test_labels_say_whose_the_sandbox_is_and_nothing_else(service: Service) -> None:
    found = inspected(service)
    own = {name: value for name, value in found["Config"]["Labels"].items() if name.startswith("chaser.")}
    assert own.keys() == {"chaser.instance", "chaser.sandbox"}
    assert own["chaser.instance"] == service.instance
    assert own["chaser.sandbox"].startswith("sbx_")


def test_a_label_alone_does_not_make_a_container_ours(service: Service) -> None:
    """Somebody else's, whose image has our label, is left alone: an image's labels are merged into a container's."""
    docker = service.docker
    made = docker("create", "--label", f"chaser.instance={service.instance}", SMALL, "sleep", "60")
    try:
        docker("start", made)
        service.run("true")
        service.stop()
        service.start()
        service.run("true")
        assert made in docker.containers(service.instance, running=True)
    finally:
        docker("rm", "--force", made)
