# The commands of README.md. `make help` lists them.

export DNSWATCH_CACHE := $(abspath $(or $(DNSWATCH_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/dnswatch))
export CARGO_TARGET_DIR := $(abspath $(or $(CARGO_TARGET_DIR),$(DNSWATCH_CACHE)/target))

SCRIPTS := .ci/run bench/build demo/build-functions bench/incident ethtool-exporter/build-image tests/fuzz tests/run tests/words tests/doubled-stacks tests/parts/install
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
	@ethtool-exporter/build-image --program-only
	@tests/run

.PHONY: test-real
test-real: ## the incident of docs/incident.md, from dropped packets to Slack, on the rules' own time (root; a quarter of an hour)
	@tests/parts/install coredns otelcol dns prometheus3 kubernetes python sam ministack
	@cargo build --quiet --locked --package ethtool-exporter --bins
	@cargo test --locked --package dnswatch-tests --test product -- --ignored --exact incident::an_incident_reaches_slack

.PHONY: demo demo-local demo-real functions
demo-real: ## the same incident, printed as it happens: what is sent, dropped, stored, and Slack's messages
	@tests/parts/install coredns otelcol dns prometheus3 kubernetes python sam ministack
	@cargo build --quiet --locked --package ethtool-exporter --bins
	@cargo test --quiet --locked --package dnswatch-tests --test product --no-run
	@log=$$(mktemp); DNSWATCH_SHOW=/dev/fd/3 DNSWATCH_PARTS=require cargo test --locked --package dnswatch-tests --test product -- \
	  --ignored --exact incident::an_incident_reaches_slack --nocapture 3>&1 >"$$log" 2>&1 && rm -f "$$log" || { echo "It failed: $$log" >&2; exit 1; }
demo: ## a DNS storm on a simulated cluster: the stack on a local AWS, with Slack and e-mail notifications
	@tests/parts/install prometheus sam ministack
	$(AGAIN) functions
	@cargo build --quiet --locked --package dnswatch-demo
	@$(CARGO_TARGET_DIR)/debug/dnswatch-demo --deploy $(FUNCTIONS)
demo-local: ## the same storm without AWS: `dnswatch run`, alerts in the terminal
	@tests/parts/install prometheus
	@cargo build --quiet --locked --package dnswatch --package dnswatch-demo --package ethtool-exporter
	@$(CARGO_TARGET_DIR)/debug/dnswatch-demo
functions: ## build the Lambda functions for the demo and the tests (for AWS: sam build)
	@tests/parts/install sam
	@demo/build-functions $(FUNCTIONS)

.PHONY: image
IMAGE ?= ethtool-exporter
image: ## the exporter's image, by docker, podman or buildah: make image IMAGE=registry/name:tag
	@ethtool-exporter/build-image '$(IMAGE)'

.PHONY: pictures
pictures: ## redraw the messages of README.md (needs Chromium: apt-get install chromium)
	@cargo build --quiet --locked --package dnswatch
	@docs/messages/draw $(CARGO_TARGET_DIR)/debug/dnswatch

.PHONY: soak
SEEDS ?= 3000
soak: ## the functions as for AWS, deployed under faults for minutes; timelines, fuzzing, the fault simulation: make soak SEEDS=10000
	@tests/parts/install prometheus prometheus3 sam ministack
	@cargo build --quiet --locked --package dnswatch-demo
	@DNSWATCH_SEED=$$(date +%s) DNSWATCH_BUILD=release DNSWATCH_STORM=240 cargo test --locked --package dnswatch-tests --test product -- --nocapture --test-threads=1 deployed::
	@DNSWATCH_SEED=$$(date +%s) DNSWATCH_TIMELINES=5000 cargo test --locked --package dnswatch-tests --test product -- --nocapture timelines
	@tests/fuzz
	@DNSWATCH_SIM_SEEDS=$(SEEDS) DNSWATCH_DELIVERY_SEEDS=$(SEEDS) cargo test --locked --package dnswatch-tests simulation -- --nocapture
	$(AGAIN) mutants SHARD=$$(($$(date +%s) % 400))/400

.PHONY: mutants
# One in a hundred of the changes; another shard is another sample.
SHARD ?= 0/100
MUTATED := $(addprefix --package ,alerting backends delivery ruler slack pagerduty ethtool-exporter)
mutants: ## changes that no test notices: planted in template, manifests and rules, and a sample of the code: make mutants SHARD=7/100
	@tests/parts/install prometheus sam kubernetes
	@cargo test --locked --package dnswatch-tests --test product -- --nocapture stack::planted collect::settings catalogue::mutation
# Each change is judged by the whole test suite, which takes its time: begin with a small shard.
	@if cargo mutants --version >/dev/null 2>&1; then \
	cargo mutants --shard $(SHARD) --test-workspace=true --output '$(CARGO_TARGET_DIR)' $(MUTATED); \
	elif [ "$$CI" ]; then echo "mutants: cargo-mutants is missing: cargo install --locked cargo-mutants" >&2; exit 1; \
	else echo "mutants: skipped: the code (cargo install --locked cargo-mutants)" >&2; fi

.PHONY: bench
bench: bench-start bench-exporter bench-backtest ## all of the below (root; a quarter of an hour, builds included)

.PHONY: bench-start bench-exporter bench-backtest
bench-start: ## the ruler's start, size and memory beside other functions'
	@tests/parts/install sam boto3
	@bench/build $(CARGO_TARGET_DIR)/bench
	@bench/start.py $(CARGO_TARGET_DIR)/bench $(DNSWATCH_CACHE)/parts/boto3/bin/python
bench-exporter: ## a scrape of the exporter beside node_exporter's ethtool collector (root)
	@tests/parts/install node-exporter ethtool
	@ethtool-exporter/build-image --program-only
	@bench/exporter.py $(CARGO_TARGET_DIR)/image-root/ethtool-exporter $(DNSWATCH_CACHE)/parts/node-exporter/prometheus-node-exporter $(DNSWATCH_CACHE)/parts/ethtool/ethtool
bench-backtest: ## `dnswatch backtest` beside vmalert's replay
	@tests/parts/install prometheus vmalert
	@cargo build --quiet --locked --profile cli --package dnswatch
	@bench/backtest.py $(CARGO_TARGET_DIR)/cli/dnswatch

.PHONY: start-order
start-order: ## regenerate the list by which the ruler is linked, after changes to its start or its dependencies (needs valgrind; some minutes)
	@tests/parts/install sam
	@CARGO_PROFILE_RELEASE_STRIP=none CARGO_TARGET_DIR=$(CARGO_TARGET_DIR)/start-order bench/build $(CARGO_TARGET_DIR)/start-order/bench --ruler
	@bench/start_order.py $(CARGO_TARGET_DIR)/start-order/bench/ruler/bootstrap

.PHONY: lint quick-lint clippy
lint: quick-lint clippy ## formatting, clippy, shellcheck, no doubled dependency stacks, no words that docs/glossary.md replaces
quick-lint:
	@cargo fmt --all --check
	@if command -v shellcheck >/dev/null; then shellcheck $(SCRIPTS); \
	elif [ "$$CI" ]; then echo "lint: shellcheck is missing: apt-get install shellcheck" >&2; exit 1; \
	else echo "lint: skipped: shellcheck (apt-get install shellcheck)" >&2; fi
	@tests/doubled-stacks
	@tests/words
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
