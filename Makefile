# The commands of README.md. `make help` lists them.

export DNSWATCH_CACHE := $(abspath $(or $(DNSWATCH_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/dnswatch))
export CARGO_TARGET_DIR := $(abspath $(or $(CARGO_TARGET_DIR),$(DNSWATCH_CACHE)/target))

SCRIPTS := .ci/run demo/build-functions tests/run tests/doubled-stacks tests/parts/install
# What SAM builds for the demo and the tests.
FUNCTIONS := $(CARGO_TARGET_DIR)/functions
AGAIN := @$(MAKE) --no-print-directory

.DEFAULT_GOAL := help
.PHONY: help
help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: test
test: ## everything: lint, then all tests on the real parts, which it installs itself
	$(AGAIN) quick-lint
# The parts are fetched while the tests compile.
	$(AGAIN) --jobs=2 parts compile
	$(AGAIN) functions
	@tests/run

.PHONY: demo demo-local functions
demo: ## a DNS storm on a simulated cluster: the stack on a local AWS, told by Slack and e-mail
	@tests/parts/install prometheus sam ministack
	$(AGAIN) functions
	@cargo build --quiet --locked --package dnswatch-demo
	@$(CARGO_TARGET_DIR)/debug/dnswatch-demo --deploy $(FUNCTIONS)
demo-local: ## the same storm without AWS: `dnswatch run`, alerts in the terminal
	@tests/parts/install prometheus
	@cargo build --quiet --locked --package dnswatch --package dnswatch-demo
	@$(CARGO_TARGET_DIR)/debug/dnswatch-demo
functions: ## build the Lambda functions for the demo and the tests (for AWS: sam build)
	@tests/parts/install sam
	@demo/build-functions $(FUNCTIONS)

.PHONY: pictures
pictures: ## draw the messages of README.md anew (needs Chromium: apt-get install chromium)
	@cargo build --quiet --locked --package dnswatch
	@docs/messages/draw $(CARGO_TARGET_DIR)/debug/dnswatch

.PHONY: soak
SEEDS ?= 3000
soak: ## the deployed stack under faults, and the fault simulation over many more seeds: make soak SEEDS=10000
	@tests/parts/install prometheus sam ministack
	$(AGAIN) functions
	@cargo test --locked --package dnswatch-tests --test product -- --ignored --nocapture deployed::faults
	@DNSWATCH_SIM_SEEDS=$(SEEDS) cargo test --locked --package dnswatch-tests simulation -- --nocapture

.PHONY: bench
bench: ## the function's start, size and memory beside a bare one's (an optimised build: minutes)
# cargo-lambda, and so `sam build`, builds for this processor: Lambda has none that is older.
	@RUSTFLAGS='-C target-cpu=haswell' cargo build --quiet --locked --release --package ruler --bin ruler --example bare
	@bench/start.py bare=$(CARGO_TARGET_DIR)/release/examples/bare ruler=$(CARGO_TARGET_DIR)/release/ruler

.PHONY: lint quick-lint clippy
lint: quick-lint clippy ## formatting, clippy, shellcheck, no doubled dependency stacks
quick-lint:
	@cargo fmt --all --check
	@if command -v shellcheck >/dev/null; then shellcheck $(SCRIPTS); \
	elif [ "$$CI" ]; then echo "lint: shellcheck is missing: apt-get install shellcheck" >&2; exit 1; \
	else echo "lint: skipped: shellcheck (apt-get install shellcheck)" >&2; fi
	@tests/doubled-stacks
clippy:
	@cargo clippy --workspace --all-targets --locked -- --deny warnings

.PHONY: compile
compile: clippy
	@tests/run --no-run

.PHONY: parts clean-parts
parts: ## install the real programs that the tests run against (into the cache, no root needed)
	@tests/parts/install
clean-parts: ## remove them
	rm -rf '$(DNSWATCH_CACHE)/parts'
