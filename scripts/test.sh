#!/bin/sh
# All checks of the project, cheap ones first; the first that fails ends the run. The last line holds
# the totals.
set -eu
cd -P -- "$(dirname -- "$0")/.."

logs=$PWD/_build/check
mkdir -p "$logs"

# check NAME COMMAND...: runs it, shows its output and keeps it as $logs/NAME.
check() {
    name=$1
    shift
    echo "== $name: $*"
    # The status goes through a file because a pipe ends with tee's.
    { "$@" 2>&1 && echo 0 >"$logs/status" || echo $? >"$logs/status"; } | tee "$logs/$name"
    if [ "$(cat "$logs/status")" != 0 ]; then
        echo "wasmbeam: $name FAILED: $*" >&2
        exit 1
    fi
}

# count NAME PATTERN: the sum of the numbers that the sed pattern's first group finds.
count() {
    sed "s/$escape\\[[0-9;]*m//g" "$logs/$1" | sed -n "s/$2/\1/p" | awk '{ n += $1 } END { print n + 0 }'
}

escape=$(printf '\033')
started=$(date +%s)
check fmt cargo fmt --all --check
check compile rebar3 compile
check xref rebar3 xref
check dialyzer rebar3 dialyzer
check clippy cargo clippy --release --workspace --all-targets --locked -- -D warnings
check cargo cargo test --release --workspace --locked
check eunit rebar3 eunit
check ct rebar3 ct

rust=$(count cargo '^test result: ok\. \([0-9]*\) passed.*')
eunit=$(count eunit '^\([0-9]*\) tests\{0,1\}, 0 failures.*')
# rebar3 prints one of two lines, depending on whether a case was skipped.
ct=$(count ct '.*All \([0-9]*\) tests passed.*')
ct=$((ct + $(count ct '.*Passed \([0-9]*\) tests.*')))
skipped=$(count cargo '^test result: .* \([0-9]*\) ignored.*')
skipped=$((skipped + $(count eunit '.* \([0-9]*\) skipped.*')))
skipped=$((skipped + $(count ct '.*Skipped \([0-9]*\) .*')))
echo "wasmbeam: all checks passed in $(($(date +%s) - started)) s:" \
    "$rust Rust, $eunit EUnit and $ct Common Test tests, $skipped skipped;" \
    "fmt, xref, dialyzer and clippy clean"
