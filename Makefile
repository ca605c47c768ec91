# Tapedeck. `make help` says what there is.
# Needs Python 3.11 or newer and make; everything else is fetched into .venv (and .tools, where Go is there).

PYTHON ?= python3
BIN := .venv/bin
export UV_PYTHON_DOWNLOADS := never

SYNC = PATH="$$PATH:$(CURDIR)/$(BIN)" uv sync --frozen --inexact --quiet

# Tests that share the machine. All others have it to themselves: the whole system, its faults and kills.
ALONE := tests
SIDE_BY_SIDE := libs clients/python $(wildcard services/*) tests/deploy tests/fuzz tests/seams tests/simulation

FUZZ_SECONDS ?= 20
FUZZ_TARGETS ?=

SECONDS ?= 300
SOCKETS ?= 500
SEED ?=
SEEDS ?= 20000
JOBS ?= 2
SOAK_OPTIONS ?=
CHAOS_SECONDS ?= 60
CHAOS_OPTIONS ?=
COMPOSE_OPTIONS ?=

.DEFAULT_GOAL := help
.PHONY: help setup run test up down fuzz soak chaos faults lint fmt types tools bench clean

help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  \033[1m%-8s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/.ready ## Make .venv with everything in it (uv too, if it is missing)

.venv/.ready: uv.lock pyproject.toml $(wildcard */*/pyproject.toml)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Tapedeck needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Set PYTHON=python3.x")'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@command -v uv >/dev/null 2>&1 || test -x $(BIN)/uv || { $(BIN)/python -m ensurepip >/dev/null; \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check uv; }
	@$(SYNC) 2>/dev/null || { echo "make setup: once more, with the system's certificates"; UV_SYSTEM_CERTS=1 $(SYNC); }
	@touch $@

run: setup ## Start everything, send real speech through it, prove that it came back, and keep serving
	@$(BIN)/python -m tapedeck.demo

test: setup ## Run the tests, with the real servers that are found: JOBS files at once, then the whole system
	@$(BIN)/pytest -n $(JOBS) --dist loadfile $(SIDE_BY_SIDE)
	@$(BIN)/pytest $(ALONE) $(addprefix --ignore=,$(filter tests/%,$(SIDE_BY_SIDE)))

up: ## The same system with docker compose: Redis with AOF, fake-gcs-server, the three images (COMPOSE_OPTIONS: --profile monitoring)
	@docker compose $(COMPOSE_OPTIONS) up --build --detach --wait

down: ## End what `make up` started, and keep its volumes
	@docker compose --profile '*' down

fuzz: setup ## Fuzz the parsers: FUZZ_SECONDS for each, FUZZ_TARGETS for some of them (tests/fuzz/README.md)
	@$(SYNC) --group fuzz
	@PYTHONPATH=tests/fuzz $(BIN)/python -m tapedeck_fuzz --seconds $(FUZZ_SECONDS) $(FUZZ_TARGETS)

soak: setup ## Stream under random faults and account for every byte: SECONDS, SOCKETS, SEED, SOAK_OPTIONS (--lose, --frame-ms)
	@PYTHONPATH=tests/support $(BIN)/python -m tapedeck_testing.faults --seconds $(SECONDS) --sockets $(SOCKETS) $(if $(SEED),--seed $(SEED)) $(SOAK_OPTIONS)

chaos: setup ## Simulate SEEDS histories under faults in JOBS processes (or replay one: SEED), then CHAOS_SECONDS of it for real (CHAOS_OPTIONS), then long failovers
	@PYTHONPATH=tests/support $(BIN)/python -m tapedeck_testing.simulation $(if $(SEED),--seed $(SEED) --trace,--seeds $(SEEDS) --jobs $(JOBS))
	$(if $(SEED),,@PYTHONPATH=tests/support $(BIN)/python -m tapedeck_testing.faults --chaos --seconds $(CHAOS_SECONDS) --sockets 40 --faults-every 1-2 --batch-seconds 8 $(CHAOS_OPTIONS))
	$(if $(SEED),,@TAPEDECK_TEST_FAILOVER_LONG=1 $(BIN)/pytest -m long tests/failover)

faults: setup ## Cause each fault of docs/runbook.md for real, and see its alert fire: five minutes
	@TAPEDECK_TEST_FAULTS=1 $(BIN)/pytest $(wildcard tests/deploy/test_faults*.py)

lint: setup ## ruff and import-linter
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports

fmt: setup ## ruff format, and the fixes that ruff makes itself
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

types: setup ## mypy, strict
	@$(BIN)/mypy libs/*/src services/*/src clients/python/src tests/support tests/fuzz/tapedeck_fuzz bench

tools: .tools/azurite/.ready ## Fetch the servers that checks use, and helm, into .tools, where Go and npm are there
	@if command -v go >/dev/null 2>&1; then GOBIN="$(CURDIR)/.tools/bin" go -C tools install tool; \
	else echo "make tools: no Go here; checks that need fake-gcs-server, versitygw or helm look for them on PATH"; fi

.tools/azurite/.ready: tools/package-lock.json
	@if command -v npm >/dev/null 2>&1; then mkdir -p $(@D) && cp tools/package.json tools/package-lock.json tools/.npmrc $(@D)/ && \
		npm ci --prefix $(@D) --ignore-scripts --loglevel=error >/dev/null && touch $@; \
	else echo "make tools: no npm here; checks that need azurite-blob look for it on PATH"; fi

bench: setup ## Measure, each figure against its baseline in the same run
	@$(BIN)/python -m bench

clean: ## Remove what the other targets made, but no audio
	rm -rf .venv .tools .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
