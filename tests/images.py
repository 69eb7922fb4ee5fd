"""The small image that tests run: Debian's static busybox and nothing else, made once and kept by the engine."""

import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

SMALL = "chaser-small:test"
LABEL = "chaser.test=image"


def docker(*arguments: str, stdin: bytes | None = None) -> str:
    """Run the docker program; what it prints, stripped. Fails the test with its words if it fails."""
    done = subprocess.run(["docker", *arguments], input=stdin, capture_output=True, check=False)
    assert done.returncode == 0, f"docker {' '.join(arguments)}: {done.stderr.decode()}"
    return done.stdout.decode().strip()


def small_image() -> str:
    """The image's name; it is on the engine afterwards."""
    if not docker("images", "--quiet", "--filter", f"label={LABEL}", SMALL):
        with TemporaryDirectory() as directory:
            _plant(Path(directory))
            tree = subprocess.run(["tar", "-C", directory, "-c", "."], capture_output=True, check=True).stdout
        docker("import", "--change", f"LABEL {LABEL}", "--change", 'CMD ["/bin/sh"]', "-", SMALL, stdin=tree)
    return SMALL


def _plant(root: Path) -> None:
    busybox = shutil.which("busybox")
    assert busybox is not None, "busybox is missing: apt-get install busybox-static"
    root.chmod(0o755)
    for name in ("bin", "dev", "etc", "proc", "root", "sys", "tmp", "workspace"):
        (root / name).mkdir()
    (root / "tmp").chmod(0o1777)
    shutil.copy(busybox, root / "bin/busybox")
    applets = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout.split()
    for applet in applets:
        if applet != "busybox":
            (root / "bin" / applet).symlink_to("/bin/busybox")
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\nnogroup:x:65534:\n")
