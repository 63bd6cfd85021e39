#!/bin/sh
# Checks for what wasmbeam is built and tested with, and installs what is missing: as root on Debian
# and its relatives by apt-get, elsewhere it prints what to do and fails.
set -eu

export DEBIAN_FRONTEND=noninteractive
packages="gcc libc6-dev rebar3 erlang-base erlang-dev erlang-crypto erlang-dialyzer
    erlang-eunit erlang-common-test erlang-tools erlang-parsetools erlang-syntax-tools erlang-edoc"

erlang_is_complete() {
    # shellcheck disable=SC2016 # $~ below is Erlang's
    erl -noshell -eval '
        Missing = [A || A <- [crypto, dialyzer, edoc, eunit, common_test, tools, parsetools,
                             syntax_tools], is_tuple(code:lib_dir(A))],
        Header = filename:join([code:root_dir(), "usr", "include", "erl_nif.h"]),
        Release = list_to_integer(erlang:system_info(otp_release)),
        case {Missing, filelib:is_regular(Header), Release >= 25} of
            {[], true, true} -> halt(0);
            {_, _, false} -> halt(2);
            _ -> halt(1)
        end.' >/dev/null 2>&1
}

missing() {
    cc=${CC:-cc} # may hold arguments
    command -v "${cc%% *}" >/dev/null || return 0
    command -v rebar3 >/dev/null || return 0
    command -v erl >/dev/null || return 0
    ! erlang_is_complete
}

if ! command -v cargo >/dev/null; then
    cat >&2 <<'END'
wasmbeam: Rust is missing (cargo is not in PATH). Install it, then start a new shell:
    curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh
END
    exit 1
fi

# add NAME PACKAGE COMMAND...: what only some tests need, which are skipped if COMMAND fails.
add() {
    name=$1 package=$2
    shift 2
    "$@" >/dev/null 2>&1 && return
    if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
        echo "wasmbeam: installing $name"
        { apt-get update && apt-get install --yes --no-install-recommends "$package"; } && return
    fi
    echo "wasmbeam: there is no $name; the tests that need it are skipped" >&2
}

add_optional() {
    add elixir elixir command -v elixir
    # It fetches MicroPython.
    add pip python3-pip python3 -m pip --version
}

if ! missing; then
    add_optional
    exit 0
fi

# shellcheck disable=SC2086 # a list of packages
set -- apt-get install --yes --no-install-recommends $packages
if ! command -v apt-get >/dev/null; then
    echo "wasmbeam: install Erlang/OTP 25 or newer (with erl_nif.h), rebar3 and a C compiler." >&2
    exit 1
elif [ "$(id -u)" != 0 ]; then
    echo "wasmbeam: Erlang, rebar3 or a C compiler is missing. Install them with:" >&2
    echo "    sudo apt-get update && sudo $*" >&2
    exit 1
fi

echo "wasmbeam: installing what is missing: $*"
apt-get update
"$@"
if missing; then
    echo "wasmbeam: Erlang/OTP 25 or newer, rebar3 or a C compiler is still missing;" \
        "is an older Erlang first in PATH ($(command -v erl))?" >&2
    exit 1
fi
add_optional
