# shellcheck shell=bash
# What the set-up programs know of this machine. Sourced by them, after `set -euo pipefail`.

# shellcheck disable=SC2034  # read by those who source this
CHASER_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
CHASER_CACHE=${XDG_CACHE_HOME:-${HOME:?HOME must be set}/.cache}/chaser
mkdir -p "$CHASER_CACHE"

# One engine for everybody: the docker command would otherwise follow a context that the service does not know.
engine_was_named=${CHASER_DOCKER_HOST:-${DOCKER_HOST:-}}
export DOCKER_HOST=${engine_was_named:-unix:///var/run/docker.sock}

# Debian keeps dockerd, iptables and nginx where an ordinary user's PATH does not look.
PATH=$PATH:/usr/sbin:/sbin

say() { printf 'chaser: %s\n' "$*" >&2; }

fail() {
    say "$*"
    exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

as_root() {
    if ((EUID == 0)); then
        "$@"
    elif have sudo; then
        sudo "$@"
    else
        fail "'$1' needs root, and there is no sudo: run this as root, or install sudo and allow yourself its use."
    fi
}

has_service_manager() { [[ -d /run/systemd/system ]]; }

missing_packages() {
    local installed package
    # dpkg-query complains of names that it has never heard of, which is an answer, too.
    # shellcheck disable=SC2016  # the fields are dpkg-query's
    installed=" $(dpkg-query -W -f '${Package}=${db:Status-Status} ' "$@" 2>/dev/null || true)"
    for package in "$@"; do
        [[ $installed == *" $package=installed "* ]] || printf '%s\n' "$package"
    done
}

apt_get() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 "$@" \
        >>"$CHASER_CACHE/apt.log" 2>&1
}

# Installs what is missing of the named packages; returns at once if nothing is.
apt_install() {
    local missing
    mapfile -t missing < <(missing_packages "$@")
    ((${#missing[@]})) || return 0
    have apt-get || fail "these packages are missing, and there is no apt-get to install them: ${missing[*]}"
    say "installing ${missing[*]} with apt-get"
    # The lists may be there and old, so that a package's file is gone from the mirror: refresh them only then.
    apt_get install --no-install-recommends "${missing[@]}" && return 0
    apt_get update || fail "apt-get update failed: check the network and /etc/apt; its words are in $CHASER_CACHE/apt.log"
    apt_get install --no-install-recommends "${missing[@]}" ||
        fail "apt-get could not install ${missing[*]}: its words are in $CHASER_CACHE/apt.log"
}

engine_answers() { docker version --format '{{.Server.Version}}' >/dev/null 2>&1; }
