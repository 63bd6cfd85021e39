#!/bin/sh
# Builds the native library of wasmbeam and puts it into a folder as wasmbeam_nif.so.
#
#   native/build.sh [DIR]    DIR: where to put it; default: priv/ of this project
#   native/build.sh --clean  removes what it made (compiled dependencies stay)
#
# WASMBEAM_NATIVE  rust: fail if there is no cargo;  stub: build the C stub, in which every function
#                  answers {error, native_unavailable};  an absolute path: the library that was built
#                  there is copied;  unset: rust if cargo is in PATH, else stub
# CARGO_TARGET_DIR and all other settings of cargo are honoured; CC and CFLAGS are, for the stub.
set -eu

say() { echo "wasmbeam: $*"; }
die() { echo "wasmbeam: $*" >&2; exit 1; }

# Physical, so that cargo sees one workspace however the project was reached (_checkouts are links).
caller=$(pwd)
cd -P -- "$(dirname -- "$0")/.."

artifact() {
    # Prints `FRESH PATH`: whether cargo had nothing to do, and where the library is.
    cargo build --release --package wasmbeam-nif --locked \
        --message-format=json-render-diagnostics >"$scratch/cargo.json" || return 1
    sed -n '/"name":"wasmbeam_nif"/s/.*"filenames":\["\([^"]*\)".*"fresh":\([a-z]*\).*/\2 \1/p' \
        "$scratch/cargo.json"
}

build_rust() {
    built=$(artifact) || die "cargo failed (WASMBEAM_NATIVE=stub builds without Rust)"
    # Another checkout that shares the target folder leaves its library under the same name, and
    # cargo calls that fresh: when it is not what was put here last, link it again.
    case $built in
        "true "*)
            if ! cmp -s "${built#* }" "$library"; then
                cargo clean --quiet --release --package wasmbeam-nif
                built=$(artifact) || die "cargo failed"
            fi ;;
    esac
    [ -f "${built#* }" ] || die "cargo named no library"
    put "${built#* }"
}

build_stub() {
    command -v erl >/dev/null || die "the stub needs Erlang: erl is not in PATH"
    cc=${CC:-cc} # may hold arguments
    command -v "${cc%% *}" >/dev/null || die "the stub needs a C compiler: $cc is not in PATH"
    headers=$(erl -noshell -eval \
        'io:put_chars(filename:join([code:root_dir(), "usr", "include"])), halt().')
    [ -f "$headers/erl_nif.h" ] || die "no erl_nif.h in $headers (Debian: package erlang-dev)"
    escript c_src_stub/nifs.escript erlang/api/wasmbeam_nif.erl >"$scratch/nifs.inc"
    case $(uname -s) in
        Darwin) shared="-bundle -undefined dynamic_lookup" ;;
        *) shared="-shared" ;;
    esac
    # shellcheck disable=SC2086 # lists of flags
    $cc -O2 -Wall -Wextra -fPIC $shared ${CFLAGS:-} -I"$headers" -I"$scratch" \
        -o "$scratch/stub.so" c_src_stub/wasmbeam_nif_stub.c
    put "$scratch/stub.so"
}

build_copy() {
    [ -f "$WASMBEAM_NATIVE" ] || die "WASMBEAM_NATIVE: there is no file $WASMBEAM_NATIVE"
    put "$WASMBEAM_NATIVE"
}

put() {
    # A running VM may have the old file mapped: never write into it, always replace it.
    if cmp -s "$1" "$library"; then
        state=unchanged
    else
        mkdir -p "$(dirname "$library")"
        cp "$1" "$library.$$"
        mv -f "$library.$$" "$library"
        state=new
    fi
}

if [ "${1:-}" = --clean ]; then
    rm -f priv/wasmbeam_nif.so
    if command -v cargo >/dev/null; then
        cargo clean --quiet --release --package wasmbeam-nif --package wasmbeam-core ||
            say "cargo clean failed: what it compiled stays"
    fi
    exit 0
fi

case ${1:-priv} in
    priv) library=$PWD/priv/wasmbeam_nif.so ;;
    /*) library=$1/wasmbeam_nif.so ;;
    *) library=$caller/$1/wasmbeam_nif.so ;;
esac
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

case ${WASMBEAM_NATIVE:-} in
    rust)
        kind=rust why="WASMBEAM_NATIVE=rust"
        command -v cargo >/dev/null || die "WASMBEAM_NATIVE=rust, but cargo is not in PATH" ;;
    stub) kind=stub why="WASMBEAM_NATIVE=stub" ;;
    /*) kind=copy why="of $WASMBEAM_NATIVE" ;;
    "")
        if command -v cargo >/dev/null; then
            kind=rust why="cargo is in PATH"
        else
            kind=stub why="cargo is not in PATH"
        fi ;;
    *) die "WASMBEAM_NATIVE is '$WASMBEAM_NATIVE', expected rust, stub or an absolute path" ;;
esac
"build_$kind"
say "native library: $kind ($why), $state: $library"
