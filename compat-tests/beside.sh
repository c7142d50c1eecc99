# Sourced, after scripts/common.sh, by the scripts that build the same with real
# upstream and with safedib.
# shellcheck shell=bash disable=SC2034  # others use what is set here

here=$REPO/compat-tests
# What both builders find commands in, after their own.
path=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

# open_work DIRECTORY: sets work to DIRECTORY, which is left, or to a new one,
# which is removed in the end.
open_work() {
    if [ -n "$1" ]; then
        mkdir -p "$1"
        work=$1
    else
        work=$(open_directory)
        trap clean_up EXIT
    fi
}

# Upstream's archives are root's, and it leaves mounts if its directory vanishes.
# shellcheck disable=SC2317  # called by the trap
clean_up() {
    wait
    as_root rm -rf -- "$work"
}

# run NAME COMMAND...: runs a build in $work/NAME, its output in $work/NAME.log.
run() {
    local name=$1 before=$SECONDS
    shift
    if ! (cd "$work/$name" && "$@" </dev/null >"$work/$name.log" 2>&1); then
        tail -n 30 "$work/$name.log" >&2
        die "the build $name failed"
    fi
    say "built $name in $((SECONDS - before)) s"
}

# Makes $work/NAME, which the test user owns, for a build of ours.
make_directory() {
    mkdir -p "$work/$1"
    [ "$(id -u)" != 0 ] || chown "$TEST_USER:" "$work/$1"
}

# Links our commands into $work/bin.
install_safedib() {
    local binary=${SAFEDIB_BIN:-} name
    mkdir "$work/bin"
    [ -n "$binary" ] || binary=$("$REPO/scripts/build" "$work/bin")
    for name in disk-image-create ramdisk-image-create diskimage-builder; do
        ln -s "$binary" "$work/bin/$name"
    done
}
