"""What tools run: fixed text for /bin/sh, with what coreutils, findutils and tar have in common with busybox.

Names are given as arguments, written so that any byte passes through the engine's JSON (`armoured`). They are walked part
by part: a part that is a link is refused, and after each step the kernel is asked where that has led, so that one that is
put in a directory's place at that very moment is refused too.
"""

from typing import Final

from chaser.sandboxes.spec import WORKSPACE_PATH
from chaser.sandboxes.tools import STAGE

NOT_FOUND: Final = 10
LINK: Final = 11
NOT_A_DIRECTORY: Final = 12
NO_FILE: Final = 13
TOO_LARGE: Final = 14
A_DIRECTORY: Final = 15
FAILED: Final = 20

FROM: Final = "/chaser-from"
TO: Final = "/chaser-to"
OUT: Final = f"{STAGE}/out"
TREE: Final = f"{STAGE}/tree"
DATA: Final = "data"

_NAMES: Final = rf"""
set -u
umask 0
plain() {{ printf '%b_' "$1"; }}
directory=$(plain "$1"); directory=${{directory%_}}
name=$(plain "$2"); name=${{name%_}}
here={WORKSPACE_PATH}
cd -P {WORKSPACE_PATH} || exit {FAILED}
step() {{
  [ ! -L "./$1" ] || exit {LINK}
  [ -e "./$1" ] || exit {NOT_FOUND}
  [ -d "./$1" ] || exit {NOT_A_DIRECTORY}
  cd -P "./$1" || exit {NOT_FOUND}
  here=$here/$1
  at=$(pwd -P; printf _)
  [ "$at" = "$here
_" ] || exit {LINK}
}}
walk() {{
  rest=$1
  while [ -n "$rest" ]; do
    part=${{rest%%/*}}
    case $rest in */*) rest=${{rest#*/}} ;; *) rest= ;; esac
    $2 "$part"
  done
}}
"""
"""Defines `walk`, and leaves the shell in the workspace; `$directory` and `$name` are what was asked for."""

LIST: Final = rf"""{_NAMES}
walk "$directory" step
[ -z "$name" ] || step "$name"
find . -mindepth 1 -maxdepth 1 -exec sh -c '
  printf "%s\\0" "$@"
  printf "\\0"
  stat -c "%f %s %Y %u %g %n" "$@"
  printf "\\0"' sh {{}} +
exit 0
"""
"""In portions: each name and a NUL, one more NUL, a line for each that is still there in the same order, and a NUL."""

READ: Final = rf"""{_NAMES}
walk "$directory" step
if [ -z "$name" ] || {{ [ ! -L "./$name" ] && [ -d "./$name" ]; }}; then
  [ -z "$name" ] || step "$name"
  {{ tar -cf - .; echo $? >{STAGE}/status; }} | head -c $(($4 + 1)) >{OUT}
  size=$(stat -c %s {OUT})
  [ "$size" -le "$4" ] || exit {TOO_LARGE}
  # 1: something changed while it was read
  [ "$(cat {STAGE}/status)" -le 1 ] || exit {FAILED}
  echo "directory $size $(stat -c '%a %Y' .)"
  exit 0
fi
[ ! -L "./$name" ] || exit {LINK}
[ -e "./$name" ] || exit {NOT_FOUND}
[ -f "./$name" ] || exit {NO_FILE}
exec 3<"./$name" || exit {NOT_FOUND}
at=$(readlink /proc/self/fd/3; printf _)
[ "$at" = "$here/$name
_" ] || exit {LINK}
[ -f /proc/self/fd/3 ] || exit {NO_FILE}
[ "$(stat -L -c %s /proc/self/fd/3)" -le "$3" ] || exit {TOO_LARGE}
head -c $(($3 + 1)) <&3 >{OUT} || exit {FAILED}
size=$(stat -c %s {OUT})
[ "$size" -le "$3" ] || exit {TOO_LARGE}
echo "file $size $(stat -L -c '%a %Y' /proc/self/fd/3)"
"""
"""`$3`: the most bytes of a file; `$4`: of a tar. What is opened is looked at once it is open; it cannot be swapped then."""

_MAKE: Final = rf"""{_NAMES}
make() {{
  if [ ! -L "./$1" ] && [ ! -e "./$1" ]; then
    mkdir "./$1" && chown "$(stat -c %u:%g .)" "./$1" || exit {FAILED}
  fi
  step "$1"
}}
walk "$directory" make
"""

WRITE_FILE: Final = rf"""{_MAKE}
[ ! -L "./$name" ] || exit {LINK}
[ ! -d "./$name" ] || exit {A_DIRECTORY}
mode=666 owner=$(stat -c %u:%g .)
[ ! -f "./$name" ] || {{ mode=$(stat -c %a "./$name"); owner=$(stat -c %u:%g "./$name"); }}
new=.chaser-put.$$
rm -rf "./$new"
set -C
{{ cat {TREE}/{DATA} >"./$new" && chown "$owner" "./$new" && chmod "$mode" "./$new" && mv -f "./$new" "./$name"; }} || {{
  rm -f "./$new"
  exit {FAILED}
}}
"""
"""The new file is whole before it takes the other's place; links of the other's keep the old content."""

WRITE_TREE: Final = rf"""{_MAKE}
[ -z "$name" ] || make "$name"
cd {TREE} || exit {FAILED}
find . -type d -exec sh -c '
  for each; do
    [ ! -L "$0/$each" ] || exit 1
    [ -d "$0/$each" ] || [ ! -e "$0/$each" ] || exit 1
  done' "$here" {{}} + || exit {LINK}
find . ! -type d -exec sh -c '
  for each; do [ -L "$0/$each" ] || [ ! -d "$0/$each" ] || exit 1; done' "$here" {{}} + || exit {A_DIRECTORY}
find . -mindepth 1 ! -type l -exec chmod go=u {{}} + || exit {FAILED}
find . -exec chown -h "$(stat -c %u:%g "$here")" {{}} + || exit {FAILED}
chmod "$(stat -c %a "$here")" . || exit {FAILED}
find . ! -type d -exec sh -c 'for each; do rm -f "$0/$each" || exit 1; done' "$here" {{}} + || exit {FAILED}
cp -a . "$here/" || exit {FAILED}
"""
"""Nothing is changed until all of it fits; nothing that is there is written into, so that no link of it is followed."""

REMOVE: Final = rf"""{_NAMES}
walk "$directory" step
[ -L "./$name" ] || [ -e "./$name" ] || exit {NOT_FOUND}
rm -rf "./$name" || exit {FAILED}
"""

COPY: Final = rf"""
find {TO} -mindepth 1 -maxdepth 1 -exec rm -rf {{}} + || exit {FAILED}
cp -a {FROM}/. {TO}/ || exit {FAILED}
du -sk {TO}
"""
"""All of it, exactly: modes, owners, times, links. What was there before is gone."""

SIZE: Final = f"du -sk {WORKSPACE_PATH}"

WATCH: Final = rf"""
pause=$1
while sleep "$pause"; do
  began=$(date +%s)
  du -sk {WORKSPACE_PATH}
  took=$(($(date +%s) - began))
  pause=$((took * $2 > $1 ? took * $2 : $1))
done
"""
"""`$1`: seconds between two looks; `$2`: how many times longer than a look that is at the least."""


def armoured(name: bytes) -> str:
    """For `printf %b`: any byte but the plainest as an octal escape."""
    return "".join(chr(each) if chr(each) in _PLAIN else f"\\0{each:03o}" for each in name)


_PLAIN: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/")


def sized(output: bytes) -> int:
    """Bytes, of what `du -sk` has printed last."""
    return int(output.strip().rsplit(b"\n", 1)[-1].split()[0]) * 1024
