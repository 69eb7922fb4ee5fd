"""The boot script that every sandbox starts on, and the one message that it takes.

The script uses shell builtins only, says `READY`, and waits on stdin. The message is

    <nonce> lines          (or: <nonce> file)
    <shell text of the whole launch>
    #end <nonce>

and is read to its end line before anything of it runs: without it the script exits 121. A short message is read by a
`read -r` loop; a long one goes through `cat` into the sandbox's own /dev/shm, which is memory. The nonce is new for
every launch and is in no argument and no environment, so that it marks the output (see `chaser.sandboxes.markers`).
"""

import re
import shlex
from typing import Final

from chaser.sandboxes.spec import Launch, Step, Streams

READY: Final = b"READY\n"
NOT_HANDED_OVER: Final = 121
"""The boot script's exit status when the message did not arrive whole: nothing has run."""

SHORT: Final = 4096
"""Bytes up to which the builtin loop is faster than starting `cat`: a shell reads a pipe byte by byte."""

SCRATCH: Final = "/dev/shm/.chaser"  # noqa: S108  # a path inside the sandbox
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

# Variables are unset first: one that the image's environment has set would be exported with our value in it.
BOOT: Final = rf"""
unset _c_n _c_t _c_l _c_c _c_k _c_f _c_a _c_b
_c_mark() {{ printf '\036%s\036\n' "$1"; printf '\036%s\036\n' "$1" >&2; }}
_c_begin() {{ _c_mark "BEGIN $_c_n"; }}
_c_end() {{
  _c_c=$1; _c_k=0
  exec 2>&9 9>&-
  for _c_f in /sys/fs/cgroup/memory.events /sys/fs/cgroup/memory/memory.oom_control; do
    [ -r "$_c_f" ] || continue
    while read -r _c_a _c_b; do [ "$_c_a" = oom_kill ] && _c_k=$_c_b; done < "$_c_f"
  done
  _c_mark "END $_c_n $_c_c $_c_k"
}}
printf 'READY\n'
IFS= read -r _c_l || exit {NOT_HANDED_OVER}
_c_n=${{_c_l%% *}}
case $_c_l in
*' file')
  cat > {SCRATCH} && _c_l=$(tail -n 1 {SCRATCH}) || exit {NOT_HANDED_OVER}
  [ "$_c_l" = "#end $_c_n" ] || exit {NOT_HANDED_OVER}
  . {SCRATCH} ;;
*)
  _c_t=
  while IFS= read -r _c_l; do
    [ "$_c_l" = "#end $_c_n" ] && break
    _c_t="$_c_t$_c_l
"
  done
  [ "$_c_l" = "#end $_c_n" ] || exit {NOT_HANDED_OVER}
  eval "$_c_t" ;;
esac
exit $_c_c
"""

COMMAND: Final = ("/bin/sh", "-c", BOOT, "chaser")


def message(launch: Launch, nonce: str) -> bytes:
    """The whole launch as one message, without and with its end line told apart."""
    text = "\n".join(
        (f"rm -f {SCRATCH} 2>/dev/null", *(_step(step, launch.streams, nonce) for step in launch.steps))
    )
    body = f"{text}\n#end {nonce}\n".encode()
    way = "lines" if len(body) <= SHORT else "file"
    return f"{nonce} {way}\n".encode() + body


def _step(step: Step, streams: Streams, nonce: str) -> str:
    stdin = f"{SCRATCH}.{nonce[:8]}"
    lines = [*_environment(step)]
    if step.stdin:
        lines += [f"exec <{stdin}", f"rm -f {stdin} 2>/dev/null"]
    else:
        lines += ["exec </dev/null"]
    if streams is Streams.MERGED:
        lines += ["exec 2>&1"]
    lines += [*_directory(step), f"exec /bin/sh -c {shlex.quote(step.command)}"]
    run = "\n".join(lines)
    data = f"printf '%s' {shlex.quote(step.stdin)} >{stdin} || exit {NOT_HANDED_OVER}\n" if step.stdin else ""
    if step.replaces_shell:
        return f"{data}_c_begin\n{run}"
    # While a step runs, the boot shell's own remarks ("Killed") go nowhere: they are not the step's output.
    return f"{data}_c_begin\nexec 9>&2 2>/dev/null\n(\nexec 2>&9 9>&-\n{run}\n)\n_c_end $?"


def _environment(step: Step) -> list[str]:
    for name in step.env:
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is not a name for an environment variable")
    # `command` keeps a shell alive for which the name is read-only (bash: UID), so that it can say so.
    return [
        f"command export {name}={shlex.quote(value)} ||"
        f" {{ echo 'chaser: the shell of this image does not let {name} be set' >&2; exit 126; }}"
        for name, value in step.env.items()
    ]


def _directory(step: Step) -> list[str]:
    if step.cwd is None:
        return []
    quoted = shlex.quote(step.cwd)
    complaint = shlex.quote(f"chaser: cannot change to the directory {step.cwd}")
    return [f"cd -- {quoted} 2>/dev/null || {{ echo {complaint} >&2; exit 126; }}"]
