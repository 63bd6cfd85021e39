#!/bin/sh
# Runs the tests that are in Erlang on several releases of OTP, each in a Debian system of its own.
# One native library serves them all. It is built here, so this machine's C library has to be as old
# as the oldest of theirs (Debian 12).
#
#   scripts/otp.sh [RELEASE...]     default: 25 27 29
#
# WASMBEAM_SCRATCH  where the Debian systems are kept, about 1 GB each; default: /var/tmp/wasmbeam-otp
# DEBIAN_MIRROR     default: http://deb.debian.org/debian
#
# Needs Linux, root and debootstrap.
set -eu
cd -P -- "$(dirname -- "$0")/.."

scratch=${WASMBEAM_SCRATCH:-/var/tmp/wasmbeam-otp}
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
shared=${WASMBEAM_SHARED:-$PWD/../shared}
packages="gcc libc6-dev make procps rebar3 elixir erlang-base erlang-dev erlang-crypto
    erlang-dialyzer erlang-eunit erlang-common-test erlang-tools erlang-parsetools
    erlang-syntax-tools erlang-edoc"

say() { echo "wasmbeam: $*"; }
die() { echo "wasmbeam: $*" >&2; exit 1; }

suite_of() {
    case $1 in
        25) echo bookworm ;;
        27) echo trixie ;;
        29) echo sid ;;
        *) die "OTP $1 is not known: 25, 27 or 29" ;;
    esac
}

# within ROOT COMMAND...: runs it there, in /work/wasmbeam. Mounts end with it.
within() {
    where=$1
    shift
    # shellcheck disable=SC2016 # these variables are the inner shell's
    unshare --mount sh -eu -c '
        root=$1 shared=$2
        shift 2
        # A mount itself, so that tests in it can have mounts of their own.
        mount --bind "$root" "$root"
        mount --rbind /dev "$root/dev"
        mount -t proc proc "$root/proc"
        mkdir -p "$root/work/wasmbeam" "$root/work/shared"
        if [ -d "$shared" ]; then
            mount --bind "$shared" "$root/work/shared"
            mount -o remount,bind,ro "$root/work/shared"
        fi
        exec chroot "$root" env -i HOME=/root LANG=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin \
            DEBIAN_FRONTEND=noninteractive WASMBEAM_NATIVE=/work/native/wasmbeam_nif.so \
            WASMBEAM_WAST2ERL=/work/native/wast2erl \
            sh -c "cd /work/wasmbeam && exec \"\$@\"" sh "$@"
    ' within "$where" "$shared" "$@"
}

# A Debian system with Erlang and what the tests need, made once.
prepare() {
    [ -f "$root.ready" ] && return
    say "OTP $release: making a Debian $suite in $root (see $root.log)"
    rm -rf --one-file-system "$root"
    mkdir -p "$root"
    debootstrap --variant=minbase "$suite" "$root" "$mirror" >"$root.log" 2>&1 ||
        die "debootstrap failed: see $root.log"
    cp /etc/resolv.conf "$root/etc/"
    # Mirrors may be behind.
    within "$root" apt-get -o Acquire::Check-Valid-Until=false update >>"$root.log" 2>&1 ||
        die "apt-get update failed: see $root.log"
    # shellcheck disable=SC2086 # a list of packages
    within "$root" apt-get install --yes --no-install-recommends $packages >>"$root.log" 2>&1 ||
        die "apt-get install failed: see $root.log"
    touch "$root.ready"
}

# The project as it is here, without what was built of it; what was built there before stays.
copy() {
    mkdir -p "$root/work/wasmbeam" "$root/work/native"
    find "$root/work/wasmbeam" -mindepth 1 -maxdepth 1 ! -name _build -exec rm -rf {} +
    git ls-files -z --cached --others --exclude-standard |
        tar --create --null --files-from=- --ignore-failed-read 2>/dev/null |
        tar --extract --directory="$root/work/wasmbeam"
    cp priv/wasmbeam_nif.so "$tools/wast2erl" "$root/work/native/"
}

# count FILE PATTERN: the sum of the numbers that the sed pattern's first group finds.
count() {
    sed "s/$escape\\[[0-9;]*m//g" "$1" | sed -n "s/$2/\1/p" | awk '{ n += $1 } END { print n + 0 }'
}

run_tests() {
    log=$root.tests
    began=$(date +%s)
    say "OTP $release: compile, eunit and ct (see $log)"
    for step in "as test compile" eunit ct; do
        # shellcheck disable=SC2086 # words
        within "$root" rebar3 $step >>"$log" 2>&1 || {
            tail -n 100 "$log"
            die "OTP $release: rebar3 $step FAILED: see $log, and $root/work/wasmbeam/_build/test/logs"
        }
    done
    ct=$(($(count "$log" '.*All \([0-9]*\) tests passed.*') +
        $(count "$log" '.*Passed \([0-9]*\) tests.*')))
    skipped=$(($(count "$log" '.* \([0-9]*\) skipped.*') + $(count "$log" '.*Skipped \([0-9]*\) .*')))
    say "OTP $release: $(count "$log" '^\([0-9]*\) tests\{0,1\}, 0 failures.*') EUnit and $ct Common" \
        "Test tests passed, $skipped skipped, in $(($(date +%s) - began)) s"
}

[ "$(id -u)" = 0 ] || die "run it as root: it makes Debian systems and enters them by chroot"
command -v debootstrap >/dev/null || die "debootstrap is missing (Debian: package debootstrap)"
escape=$(printf '\033')
mkdir -p "$scratch"

WASMBEAM_NATIVE=rust rebar3 compile
cargo build --release --locked --package wast2erl
tools=${CARGO_TARGET_DIR:-target}/release

[ $# -gt 0 ] || set -- 25 27 29
for release in "$@"; do
    suite=$(suite_of "$release")
    root=$scratch/otp-$release
    prepare
    # shellcheck disable=SC2016 # Erlang
    found=$(within "$root" erl -noshell -eval \
        'io:put_chars(erlang:system_info(otp_release)), halt().')
    [ "$found" = "$release" ] ||
        say "Debian's $suite has OTP $found now, which is what the tests run on"
    : >"$root.tests"
    copy
    run_tests
done
