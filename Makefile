# The commands of this repository. Each line is short on purpose: what needs more
# than a line is a script in scripts/, which can be run by hand too.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
# Programs that ensure-tools.sh fetched come first.
IN := . scripts/programs.sh &&
# One feature set for every command, so that nothing is compiled twice.
CARGO_FLAGS := --workspace --locked

.PHONY: help
help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: tools
tools: ## install what building, demo and tests need
	@scripts/ensure-tools.sh

.PHONY: build
build: ## compile everything, unoptimised (target/debug/navvy)
	@$(IN) cargo build $(CARGO_FLAGS)

.PHONY: demo
demo: ## deploy examples/terraform-hello on a fleet of its own; Ctrl-C ends it
	@scripts/demo.sh

.PHONY: test
test: ## everything CI runs
	@scripts/test.sh

.PHONY: crash
crash: ## every crash point, CRASH_ROUNDS times (3); part of `make test`
	@scripts/test.sh crash

.PHONY: chaos
chaos: ## random faults for CHAOS_SECONDS (120), then the oracle; CHAOS_SEED repeats
	@scripts/chaos.sh

.PHONY: lint
lint: ## formatting and clippy, warnings denied
	@scripts/test.sh lint

.PHONY: doc
doc: ## the code's documentation (target/doc), warnings denied
	@scripts/test.sh doc

.PHONY: audit
audit: ## known vulnerabilities in dependencies; needs cargo-deny and the network
	@$(IN) cargo deny --locked check advisories

.PHONY: sim
sim: ## seeded histories of the core under faults; SIM_ARGS="--seeds 20000" for more
	@$(IN) cargo run -p simulation --profile sim --locked --bin navvy-sim -- $(SIM_ARGS)

.PHONY: cas-check
cas-check: ## compare-and-swap under kills and pauses, for CAS_SECONDS (60); for a new nats-server or client
	@scripts/ensure-tools.sh
	@$(IN) cargo test --locked -p bus --test all -- --ignored --nocapture compare_and_swap_holds

.PHONY: model
model: ## every state of the model of the core; MODEL_ARGS=--large for more
	@$(IN) cargo run -p model --profile sim --locked --bin navvy-model -- $(MODEL_ARGS)

.PHONY: bench
bench: ## measure this machine with an optimised build; BENCH_ARGS=--json for numbers
	@scripts/bench.sh $(BENCH_ARGS)
