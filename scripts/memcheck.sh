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
[ $# -gt 0 ] || set -- wasi emscripten_syscalls compile engine load snapshot

# Guests have stacks of their own, which are nearer to each other than valgrind takes for another stack.
compiling="--undef-value-errors=no --max-stackframe=60000"

# options_of TEST: those for valgrind.
options_of() {
    case $1 in
        compile | engine | load | snapshot) echo "$compiling" ;;
    esac
}

# skipped_of TEST: the tests that do not run under it.
skipped_of() {
    case $1 in
        # What makes calls by the ten thousand would take hours.
        wasi | emscripten_syscalls) echo hostile model codec bounded_number nothing_that_a_guest ;;
        # What a guest does out of bounds is found there, too.
        engine) echo a_trap_on_a_foreign_thread they_trap_out_of_bounds ;;
        # And so it is in guests that chance makes.
        snapshot) echo damaged equivalence generated can_grow has_moved ;;
        # Large modules take too long.
        load) echo hostile_modules legacy long_operations mutations nesting ;;
    esac
}

target=${CARGO_TARGET_DIR:-target}
mkdir -p "$target"
"${CC:-cc}" -O1 -o "$target/without_auxv" scripts/without_auxv.c

for test in "$@"; do
    # The path of the test program is the last word of the line that tells it.
    program=$(cargo test --release --locked -p wasmbeam-core --test "$test" --no-run 2>&1 |
        sed -n 's/.*Executable .*(\(.*\))$/\1/p')
    echo "== $test: $program"
    skip=
    for name in $(skipped_of "$test"); do
        skip="$skip --skip $name"
    done
    # shellcheck disable=SC2046,SC2086 # lists of options
    "$target/without_auxv" valgrind --quiet --leak-check=full \
        --show-leak-kinds=definite --errors-for-leak-kinds=definite --error-exitcode=9 \
        --num-callers=20 $(options_of "$test") "$program" --test-threads=1 $skip
done
