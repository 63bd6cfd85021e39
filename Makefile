# The two commands to know: make demo, make test.
.POSIX:
.PHONY: demo test test-otp setup build cli install docs spec wasi-tests soak memcheck bench fuzz lint clean help

PREFIX = /usr/local

# Where escripts find the compiled application.
RUN = ERL_LIBS="$$PWD/_build/default/lib" escript

demo: build ## the main features, on modules of this repository
	$(RUN) examples/demo.escript

test: setup ## every check: Rust and Erlang, tests and static analysis
	sh scripts/test.sh

test-otp: setup ## the tests in Erlang on OTP 25, 27 and 29, each in a Debian of its own (as root)
	sh scripts/otp.sh $(OTP)

setup: ## install what is missing (Erlang, rebar3, C compiler)
	sh scripts/setup.sh

build: setup ## the application and its native library
	rebar3 compile

cli: setup ## the command wasmbeam, in _build/default/bin
	rebar3 escriptize

install: cli ## the command, to PREFIX/bin and PREFIX/lib (default /usr/local)
	install -d "$(DESTDIR)$(PREFIX)/bin" "$(DESTDIR)$(PREFIX)/lib/wasmbeam"
	install -m 755 _build/default/bin/wasmbeam "$(DESTDIR)$(PREFIX)/bin/"
	install -m 755 _build/default/bin/wasmbeam_nif.so "$(DESTDIR)$(PREFIX)/lib/wasmbeam/"

docs: build ## the reference: doc/index.html, and what h/1 and h/2 show in a shell
	rebar3 edoc
	$(RUN) scripts/chunks.escript _build/default/lib/wasmbeam

spec: build ## the WebAssembly test suite in the folder DIR
	@test -n "$(DIR)" || { echo "usage: make spec DIR=folder" >&2; exit 2; }
	$(RUN) test/spec/run.escript "$(DIR)"

wasi-tests: build ## the WASI tests in the folder DIR
	@test -n "$(DIR)" || { echo "usage: make wasi-tests DIR=folder" >&2; exit 2; }
	$(RUN) test/wasi/run.escript "$(DIR)"

soak: build ## what instances are used for, thousands of times, and what is left of it
	$(RUN) test/soak/run.escript $(SCALE)

memcheck: ## tests of the core under valgrind
	sh scripts/memcheck.sh

bench: build ## the benchmark
	$(RUN) bench/bench.escript

fuzz: setup ## search for faults for SECONDS in each target, or in TARGET alone
	sh scripts/fuzz.sh "$(TARGET)" "$(SECONDS)"

lint: setup ## the static checks alone
	cargo fmt --all --check
	cargo clippy --release --workspace --all-targets --locked -- -D warnings
	rebar3 xref
	rebar3 dialyzer

clean: ## remove what was built; compiled dependencies stay
	sh native/build.sh --clean
	rm -rf _build priv

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile
