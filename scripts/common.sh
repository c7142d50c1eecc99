# Sourced by the scripts beside it; sets what they all need.
# shellcheck shell=bash disable=SC2034  # others use what is set here

set -euo pipefail

# An ordinary user's PATH lacks the directories of mkfs and e2fsck on Debian.
export PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

REPO=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# The Python of the system: the one that has the distribution's modules.
PYTHON=/usr/bin/python3
FIXTURES=$REPO/upstream-fixtures/cache
UPSTREAM=$FIXTURES/diskimage-builder-3.43.0
# The user for what must run without privileges: the caller, unless that is root.
if [ "$(id -u)" = 0 ]; then
    TEST_USER=${SAFEDIB_TEST_USER:-safedib-test}
else
    TEST_USER=$(id -un)
fi

say() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
}

die() {
    say "$*"
    exit 1
}

in_ci() {
    [ "${CI:-}" = true ]
}

# Runs a command as root, through sudo where the caller is not.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo -- "$@"
    else
        die "needs root for: $* (no sudo here: run it as root, then again as yourself)"
    fi
}

# Whether cargo is here and new enough; looks where rustup puts it, too.
find_cargo() {
    local version
    if ! command -v cargo >/dev/null && [ -x "$HOME/.cargo/bin/cargo" ]; then
        export PATH="$HOME/.cargo/bin:$PATH"
    fi
    version=$(cargo --version 2>/dev/null | awk '{print $2}')
    [ -n "$version" ] && printf '1.85\n%s\n' "$version" | sort -CV
}

# stage SOURCE DIRECTORY: prints SOURCE if the test user can read it, else the
# path of a copy in DIRECTORY (a clone below /root is closed to all others).
stage() {
    if "$REPO/scripts/as-user" test -r "$1"; then
        echo "$1"
    else
        cp -a -- "$1" "$2/"
        chmod -R a+rX -- "$2/${1##*/}"
        echo "$2/${1##*/}"
    fi
}

# A directory that every user can enter, on disk (/tmp may be small); the
# caller removes it.
open_directory() {
    local directory
    directory=$(mktemp -d /var/tmp/safedib-XXXXXXXX)
    chmod 755 "$directory"
    echo "$directory"
}
