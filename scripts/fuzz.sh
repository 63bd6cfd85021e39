#!/bin/sh
# Coverage-guided fuzzing of one target, or of all one after the other:
#   sh scripts/fuzz.sh [TARGET] [SECONDS]
# What is found beyond the corpus in the repository is kept in native/core/fuzz/target/corpus, what
# fails in native/core/fuzz/artifacts.
set -eu
cd -P -- "$(dirname -- "$0")/../native/core"

targets=${1:-"load legacy_exceptions values snapshot wasi"}
seconds=${2:-60}

if ! command -v cargo-fuzz >/dev/null; then
    cargo install cargo-fuzz --locked
fi
if ! command -v "${CXX:-c++}" >/dev/null; then
    echo "wasmbeam: libFuzzer needs a C++ compiler (Debian: apt-get install g++)." >&2
    exit 1
fi

for target in $targets; do
    found=fuzz/target/corpus/$target
    mkdir -p "$found"
    # A hang is an input that takes 20 s; so much memory is more than any input may take.
    cargo fuzz run --release --sanitizer none "$target" "$found" "fuzz/corpus/$target" -- \
        -max_total_time="$seconds" -max_len=16384 -timeout=20 -rss_limit_mb=4096 \
        -print_final_stats=1
done
