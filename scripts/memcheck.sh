#!/bin/sh
# Runs tests of native/core under valgrind's memcheck, which finds accesses of memory that is not
# there, or not written yet, and memory that nothing leads to any more at the end:
#   scripts/memcheck.sh [TEST ...]
#
# What runs and what does not is in docs/soak.md.
set -eu
cd -P -- "$(dirname -- "$0")/.."

if ! command -v valgrind >/dev/null; then
    echo "wasmbeam: valgrind is missing (Debian: apt-get install valgrind)." >&2
    exit 1
fi
[ $# -gt 0 ] || set -- wasi emscripten_syscalls

# What makes calls by the ten thousand would take hours.
skip="--skip hostile --skip model --skip codec --skip bounded_number --skip nothing_that_a_guest"

for test in "$@"; do
    # The path of the test program is the last word of the line that tells it.
    program=$(cargo test --release --locked -p wasmbeam-core --test "$test" --no-run 2>&1 |
        sed -n 's/.*Executable .*(\(.*\))$/\1/p')
    echo "== $test: $program"
    # shellcheck disable=SC2086 # a list of options
    valgrind --quiet --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite \
        --error-exitcode=9 --num-callers=20 "$program" --test-threads=1 $skip
done
