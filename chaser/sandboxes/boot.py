"""The boot script that every sandbox starts on, and the one message that it takes.

The script uses shell builtins only, says `READY`, and waits on stdin. The message is

    <nonce> lines          (or: <nonce> file)
    <shell text of the whole launch>
    #end <nonce>

and is read to its end line before anything of it runs: without it the script exits 121. A short message is read by a
`read -r` loop; a long one goes through `cat` into the sandbox's own /dev/shm, which is memory. The nonce is new for
every launch and is in no argument and no environment, so that it marks the output (see `chaser.sandboxes.markers`).

Each step is a subshell of its own, so that its directory and its variables end with it. After each but the last all
that it has left running is ended. A step that may be ended by itself runs in the background, where a shell can wait
for it and hear a signal meanwhile (and has SIGINT ignored, as POSIX wants it of background commands).
"""

import re
import shlex
from collections.abc import Iterable
from typing import Final

from chaser.sandboxes.spec import Launch, Step, Streams

READY: Final = b"READY\n"
NOT_HANDED_OVER: Final = 121
"""The boot script's exit status when the message did not arrive whole: nothing has run."""

SHORT: Final = 4096
"""Bytes up to which the builtin loop is faster than starting `cat`: a shell reads a pipe byte by byte."""

SCRATCH: Final = "/dev/shm/.chaser"  # noqa: S108  # a path inside the sandbox

KILL_ALL: Final = '[ "$PPID" = 1 ] && kill -KILL -1'
"""Ends every process of the sandbox but its first two, init and the boot script (kill(2)). Never outside of one: there
its parent is not process 1. The fake engine puts something of its own in this text's place."""

SIGNALS: Final = ("USR1", "USR2")
"""What ends a step, in turn: a signal that comes late must not end the next one."""

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

# A signal, also one that is too late for its step, ends `wait` before the step; then it is waited for again. A shell that
# has collected a status already says 127.
# Variables are unset first: one that the image's environment has set would be exported with our value in it.
BOOT: Final = rf"""
unset _c_n _c_t _c_l _c_c _c_k _c_f _c_a _c_b _c_i _c_j _c_s _c_x
_c_mark() {{ printf '\036%s\036\n' "$1"; printf '\036%s\036\n' "$1" >&2; }}
_c_begin() {{ _c_x=0; _c_mark "BEGIN $_c_n $1"; }}
_c_end() {{
  _c_c=$2; _c_k=0
  exec 2>&9 9>&-
  for _c_f in /sys/fs/cgroup/memory.events /sys/fs/cgroup/memory/memory.oom_control; do
    [ -r "$_c_f" ] || continue
    while read -r _c_a _c_b; do [ "$_c_a" = oom_kill ] && _c_k=$_c_b; done < "$_c_f"
  done
  _c_mark "END $_c_n $1 $_c_c $_c_k $_c_x"
}}
_c_kill() {{ {KILL_ALL}; }} 2>/dev/null
_c_sweep() {{
  _c_i=0
  while _c_kill && [ $_c_i -lt 200 ]; do
    _c_i=$((_c_i + 1)); [ $_c_i -lt 100 ] || sleep 0.05
  done
}}
_c_cut() {{ [ "$1" != "$_c_s" ] || {{ _c_x=1; _c_kill; }}; }}
_c_wait() {{
  [ $_c_x = 0 ] || _c_kill
  wait "$_c_j"; _c_c=$?
  while kill -0 "$_c_j" 2>/dev/null; do wait "$_c_j"; _c_c=$?; done
  [ $_c_c -le 128 ] || {{ wait "$_c_j"; _c_a=$?; [ $_c_a = 127 ] || _c_c=$_c_a; }}
  _c_s=
  return $_c_c
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


def signal_of(step: int) -> str:
    """The signal that ends this step and no other near it."""
    return SIGNALS[step % len(SIGNALS)]


def cuttable(step: Step) -> bool:
    """Whether a step may be ended while the launch goes on."""
    return step.timeout is not None and step.may_fail and not step.replaces_shell


def message(launch: Launch, nonce: str) -> bytes:
    """The whole launch as one message, without and with its end line told apart."""
    steps = launch.steps
    lines = [
        *_inputs(steps, nonce),
        *(f"trap '_c_cut {name}' {name}" for name in SIGNALS if any(map(cuttable, steps))),
    ]
    for number, step in enumerate(steps):
        lines += _step(number, step, launch.streams, nonce)
        if number + 1 < len(steps):
            lines += _between(step)
    body = "\n".join((*lines, f"#end {nonce}", "")).encode()
    if len(body) <= SHORT:
        return f"{nonce} lines\n".encode() + body
    return f"{nonce} file\nrm -f {SCRATCH} 2>/dev/null\n".encode() + body


def _inputs(steps: Iterable[Step], nonce: str) -> list[str]:
    """Each step's stdin as a file, before the first begins: where there is no room for one, nothing has run."""
    return [
        f"printf '%s' {shlex.quote(step.stdin)} >{_stdin(number, nonce)} || exit {NOT_HANDED_OVER}"
        for number, step in enumerate(steps)
        if step.stdin
    ]


def _stdin(number: int, nonce: str) -> str:
    return f"{SCRATCH}.{nonce[:8]}.{number}"


def _step(number: int, step: Step, streams: Streams, nonce: str) -> list[str]:
    run = [*_streams(number, step, streams, nonce), *_environment(step), *_directory(step)]
    run += [f"exec /bin/sh -c {shlex.quote(step.command)}"]
    if step.replaces_shell:
        return [f"_c_begin {number}", *run]
    # While a step runs, the boot shell's own remarks ("Killed") go nowhere: they are not the step's output.
    whole = ["exec 9>&2 2>/dev/null", "(", "exec 2>&9 9>&-", *run]
    if cuttable(step):
        heard = f"_c_s={signal_of(number)}"
        return [f"_c_begin {number}", heard, *whole, ") &", "_c_j=$!", "_c_wait", f"_c_end {number} $?"]
    return [f"_c_begin {number}", *whole, ")", f"_c_end {number} $?"]


def _between(step: Step) -> list[str]:
    """Whether to go on, and what is ended before."""
    stop = [] if step.may_fail else ['[ "$_c_c" = 0 ] || exit "$_c_c"']
    return [*stop, "_c_sweep"]


def _streams(number: int, step: Step, streams: Streams, nonce: str) -> list[str]:
    lines = ["exec 2>&1"] if streams is Streams.MERGED else []
    if not step.stdin:
        return [*lines, "exec </dev/null"]
    stdin = _stdin(number, nonce)
    return [*lines, f"exec <{stdin}", f"rm -f {stdin} 2>/dev/null"]


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
