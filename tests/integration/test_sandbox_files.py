"""Files into sandboxes and out of them, on real Docker."""

import tarfile
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from chaser.clock import ManualClock, SystemClock
from chaser.errors import Refused
from chaser.ids import JobId, new_sandbox_id
from chaser.sandboxes.artifacts import Artifacts
from chaser.sandboxes.boot import COMMAND
from chaser.sandboxes.courier import Collected, Courier
from chaser.sandboxes.engine import ContainerId, ContainerOptions, VolumeOptions
from chaser.sandboxes.files import Upload
from chaser.sandboxes.hardening import options
from chaser.sandboxes.harvest import HarvestLimits
from chaser.sandboxes.labels import INSTANCE
from chaser.sandboxes.spec import WORKSPACE_PATH, Files, InputFile, Isolation, RootFile, SandboxSpec
from chaser.sandboxes.uploads import UploadLimits, Uploads
from tests.cabinet import ArtifactsInMemory, Rows, UploadsInMemory
from tests.engines import LOG_BYTES, SPEC, Ear, Site, docker_site
from tests.images import docker
from tests.tars import info, tarred
from tests.unit.test_uploads import sent

pytestmark = pytest.mark.docker
JOB = JobId("job_1")


@dataclass
class Depot:
    """A courier between a real engine and a folder, and containers that run a command when they are told to."""

    site: Site
    folder: Path

    def __post_init__(self) -> None:
        rows, limits = Rows(), UploadLimits(1 << 30, timedelta(days=1))
        self.uploads = Uploads(
            UploadsInMemory(rows), self.folder / "uploads", ManualClock(), limits, lambda: None
        )
        self.artifacts = Artifacts(ArtifactsInMemory(rows), self.folder / "artifacts")
        self.courier = Courier(self.site.engine, self.uploads, self.artifacts, HarvestLimits())
        self.ears: dict[ContainerId, Ear] = {}

    async def options(self, spec: SandboxSpec, *command: str, volume: bool = False) -> ContainerOptions:
        sandbox = new_sandbox_id(SystemClock().now())
        whole = options(
            spec,
            sandbox=sandbox,
            instance=self.site.instance,
            image=self.site.image,
            engine=await self.site.engine.info(),
            network="none",
            volumes=await self._volumes(sandbox, volume),
            log_max_bytes=LOG_BYTES,
        )
        return replace(whole, command=command or COMMAND)

    async def _volumes(self, name: str, wanted: bool) -> Mapping[str, str]:
        if not wanted:
            return {}
        await self.site.engine.create_volume(VolumeOptions(name, {INSTANCE: self.site.instance}))
        return {WORKSPACE_PATH: name}

    @asynccontextmanager
    async def sandbox(
        self, command: str, spec: SandboxSpec = SPEC, *, volume: bool = False
    ) -> AsyncGenerator[ContainerId]:
        """A container that waits for a line, runs `command`, and is gone afterwards."""
        made = await self.options(spec, "/bin/sh", "-c", f"read -r _; {command}", volume=volume)
        container = await self.site.engine.create(made)
        for name in made.volumes.values():
            docker("run", "--rm", "--volume", f"{name}:/v", self.site.image.id, "chmod", "1777", "/v")
        self.ears[container] = ear = Ear()
        self.attachment = await self.site.engine.attach(container, ear)
        await self.site.engine.start_container(container)
        yield container
        self.attachment.close()
        await self.site.engine.remove(container)
        for name in made.volumes.values():
            await self.site.engine.remove_volume(name)

    async def go(self, container: ContainerId) -> str:
        """Let the command run to its end; what it said."""
        await self.attachment.send(b"go\n")
        await self.site.engine.exited(container)
        await self.ears[container].end()
        return "".join(bytes(said).decode() for said in self.ears[container].heard.values())

    async def send(self, content: bytes, *, is_tar: bool = False) -> Upload:
        return await self.uploads.receive(sent(content), is_tar=is_tar, key_id=None)

    async def deliver(
        self, container: ContainerId, *inputs: tuple[Upload, str], spec: SandboxSpec = SPEC
    ) -> None:
        files = Files(WORKSPACE_PATH, tuple(InputFile(upload.id, path) for upload, path in inputs))
        await self.courier.deliver(container, files, spec, self.site.image)

    async def collect(self, container: ContainerId, *patterns: str) -> Collected:
        files = Files(WORKSPACE_PATH, artifacts=patterns)
        return await self.courier.collect(container, JOB, files, self.site.image)

    async def kept(self) -> dict[str, bytes]:
        found = await self.artifacts.list(JOB)
        return {each.path: self.artifacts.content(JOB, each).read_bytes() for each in found}


@pytest.fixture
async def depot(tmp_path: Path) -> AsyncGenerator[Depot]:
    async with docker_site(tmp_path) as site:
        yield Depot(site, tmp_path)


TREE = tarred(
    (info("./", tarfile.DIRTYPE, mode=0o700), b""),
    (info("src/", tarfile.DIRTYPE, mode=0o500), b""),
    (info("src/run.sh", mode=0o700), b"#!/bin/sh\nid -u; touch beside src/beside && cat src/link"),
    (info("src/data", mode=0o600), b"the data\n"),
    (info("src/link", tarfile.SYMTYPE, link="data"), b""),
    (info("src/hard", tarfile.LNKTYPE, link="src/data"), b""),
    (info("implied/" + "long" * 40 + "/file"), b"x"),
)
USER = replace(SPEC, user="nobody")
STRICT = replace(SPEC, isolation=Isolation.STRICT)


@pytest.mark.parametrize(
    ("spec", "uid", "volume"),
    [(SPEC, "0", False), (SPEC, "0", True), (USER, "65534", False), (STRICT, "65534", True)],
    ids=["root", "root-volume", "user", "strict"],
)
async def test_a_command_finds_its_inputs_can_use_them_and_can_write_beside_them(
    depot: Depot, spec: SandboxSpec, uid: str, volume: bool
) -> None:
    tree, plain = await depot.send(TREE, is_tar=True), await depot.send(b"plain")
    command = f"cd {WORKSPACE_PATH}/tree && src/run.sh && cat ../some/where/plain && ls -l src/hard"

    async with depot.sandbox(command, spec, volume=volume) as container:
        await depot.deliver(container, (tree, "tree"), (plain, "some/where/plain"), spec=spec)
        said = await depot.go(container)

    assert said.startswith(f"{uid}\nthe data\nplain-rw-r--r--    2 ")


async def test_roots_files_can_be_read_and_not_changed_moved_or_joined_by_others(depot: Depot) -> None:
    command = (
        "cat /own/script /own/more/answer; echo x >>/own/script; rm -f /own/script; mv /own /tmp/own; echo x >/own/other;"
        " mkdir /own/more/x; ls -ld /own /own/script /own/more/answer"
    )
    async with depot.sandbox(command, USER) as container:
        await depot.courier.plant(container, [RootFile("/own", "script", b"one\n")])
        await depot.courier.plant(container, [RootFile("/own/more", "answer", b"two\n")])
        said = await depot.go(container)

    lines = [line for line in said.splitlines() if not line.endswith(("denied", "permitted"))]
    assert lines[:2] == ["one", "two"]
    assert [line.split()[:3:2] for line in lines[2:]] == [
        ["drwxr-xr-x", "root"],
        ["-r--r--r--", "root"],
        ["-r--r--r--", "root"],
    ]


async def test_inputs_go_anywhere_that_is_writable_and_leave_what_is_there_alone(depot: Depot) -> None:
    plain, tree = await depot.send(b"plain"), await depot.send(TREE, is_tar=True)
    command = "ls -ld /etc /etc/plain /made /made/tree; ls -l /etc/passwd; cat /bin/new"

    async with depot.sandbox(command, USER) as container:
        await depot.deliver(
            container, (plain, "/etc/plain"), (tree, "/made/tree"), (plain, "/bin/new"), spec=USER
        )
        lines = (await depot.go(container)).splitlines()

    owners = [line.split()[2] for line in lines[:5]]
    assert owners == ["root", "nobody", "nobody", "nobody", "root"]
    assert lines[5] == "plain"


@pytest.mark.parametrize("path", ["/etc/passwd/x", "/bin"])
async def test_what_the_engine_does_not_take_ends_the_job(depot: Depot, path: str) -> None:
    plain = await depot.send(b"plain")

    async with depot.sandbox("true") as container:
        with pytest.raises(Refused):
            await depot.deliver(container, (plain, path))


RESULTS = "mkdir -p out/deep; echo one > out/1.xml; echo two > out/deep/2.xml; chmod 755 out/1.xml; echo no > out/no"


@pytest.mark.parametrize("end", ["exit 0", "exit 7", "kill -9 $$"])
@pytest.mark.parametrize(("spec", "volume"), [(SPEC, False), (STRICT, True)], ids=["layer", "volume"])
async def test_files_are_taken_out_whatever_the_end(
    depot: Depot, spec: SandboxSpec, volume: bool, end: str
) -> None:
    command = f"cd {WORKSPACE_PATH}; {RESULTS}; {end}"

    async with depot.sandbox(command, spec, volume=volume) as container:
        await depot.go(container)
        collected = await depot.collect(container, "out/**/*.xml", "out/1.xml", "nothing", "no/*")

    assert collected == Collected(["out/1.xml", "out/deep/2.xml"])
    assert await depot.kept() == {"out/1.xml": b"one\n", "out/deep/2.xml": b"two\n"}
    assert [each.mode for each in await depot.artifacts.list(JOB)] == [0o755, 0o644]


async def test_files_are_taken_out_of_a_sandbox_that_was_killed(depot: Depot) -> None:
    async with depot.sandbox(f"cd {WORKSPACE_PATH}; {RESULTS}; echo up; sleep 1000") as container:
        await depot.attachment.send(b"go\n")
        await depot.ears[container].until(lambda ear: b"up" in b"".join(ear.heard.values()))
        await depot.site.engine.kill(container)
        await depot.site.engine.exited(container)

        assert (await depot.collect(container, "out/")).paths == ["out/1.xml", "out/deep/2.xml", "out/no"]


HOSTILE = (
    "ln -s /etc/passwd out/passwd; ln -s /etc out/etc; ln -s ../../.. out/up; ln /bin/busybox out/hard;"
    " mkfifo out/fifo; ln -s /etc link; echo a > 'out/a\nb'; echo f > out/$(printf '\\377')"
    "; ln -s out/1.xml single; touch out/-rf 'out/..x'"
)


async def test_hostile_links_and_names_bring_nothing_of_elsewhere(depot: Depot) -> None:
    async with depot.sandbox(f"cd {WORKSPACE_PATH}; {RESULTS}; {HOSTILE}") as container:
        assert await depot.go(container) == ""
        collected = await depot.collect(container, "out/**", "single", "link/*")

    kept = await depot.kept()
    assert list(kept) == sorted(
        ["out/-rf", "out/..x", "out/1.xml", "out/a\nb", "out/deep/2.xml", "out/hard", "out/no", "out/\\xff"]
    )
    assert kept["out/\\xff"] == b"f\n"
    assert collected.left_out == "Left out: what is no regular file (5)."


async def test_a_root_of_everything_is_searched_too(depot: Depot) -> None:
    async with depot.sandbox("echo x > /only-here.txt") as container:
        await depot.go(container)

        assert (await depot.collect(container, "/*.txt", "/**/passwd")).paths == [
            "etc/passwd",
            "only-here.txt",
        ]


async def test_what_tmpfs_held_is_not_there(depot: Depot) -> None:
    async with depot.sandbox("echo x > /tmp/file", STRICT) as container:
        await depot.go(container)

        assert (await depot.collect(container, "/tmp/file", "/tmp/*")).paths == []


async def test_nothing_of_this_is_left_on_the_engine(depot: Depot) -> None:
    async with depot.sandbox("true", STRICT, volume=True) as container:
        await depot.go(container)

    assert not docker("volume", "ls", "--quiet", "--filter", f"label={INSTANCE}={depot.site.instance}")
