# Everything here needs Python >= 3.11 with venv, make and a package index: no root, no Docker, no installed database.
# PYTHON names an interpreter, ARGS adds flags to `make run` (make run ARGS="--speed 10"), WORKERS the test processes.

.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
SHELL := /bin/sh

WORKERS ?= auto
RUN_IN := .venv/bin/python
SOURCES := quant_trading_system main.py
INSTALL := PYTHON="$(PYTHON)" sh scripts/environment.sh

.PHONY: help run test check bench exercise simulate simulate-bugs simulate-process lock image environment environment-bench lint types layers docs

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' Makefile

run: ## from a fresh checkout to a session on the embedded exchange, with a dashboard; Ctrl-C stops it in order
	@$(INSTALL) .venv requirements/run.txt $(SOURCES) && exec $(RUN_IN) main.py trade --mode sim $(ARGS)

test: environment ## every test, as CI runs them
	@$(RUN_IN) -m pytest --numprocesses=$(WORKERS) --maxprocesses=4 $(ARGS)

check: lint types layers docs ## lint, types, layers, generated documents, then every test: exactly what CI runs
	@$(MAKE) test

bench: environment environment-bench ## measure against floors and peers, write benchmarks/results.md
	@$(RUN_IN) -m benchmarks $(ARGS)

exercise: environment ## a million random order operations on the exchange, in two processes that must agree (ARGS="--seed 2")
	@$(RUN_IN) -m scripts.exercise_exchange $(ARGS)

simulate: environment ## simulated half hours of the daemon under faults: SEEDS=10000 goes on where it was, SEED=7 plays one again
	@$(RUN_IN) -m tests.simulation $(if $(SEED),--seed $(SEED),--seeds $(or $(SEEDS),1000)) $(ARGS)

simulate-bugs: environment ## plant each bug of the catalogue in a copy of the code and let simulated half hours find it (ARGS="--list")
	@$(RUN_IN) -m tests.simulation.bugs $(ARGS)

simulate-process: environment ## RUNS=100 more deaths of real processes, judged by the exchange's ledger (KINDS=random,failpoint)
	@$(RUN_IN) -m tests.process_campaign --runs $(or $(RUNS),100) $(if $(KINDS),--kinds $(KINDS)) $(ARGS)

lock: ## resolve pyproject.toml anew into requirements/*.txt (UPGRADE=1 takes the newest allowed versions)
	@$(INSTALL) .venv-lock requirements/lock.txt
	@UPGRADE="$(UPGRADE)" sh scripts/lock.sh .venv-lock/bin/uv

image: ## build the container image alphatrade:local (needs a container engine)
	@command -v docker >/dev/null 2>&1 || { echo "make image: needs docker, which is not installed" >&2; exit 2; }
	@docker build --tag alphatrade:local .

environment:
	@$(INSTALL) .venv requirements/dev.txt $(SOURCES)

environment-bench:
	@$(INSTALL) .venv-bench requirements/bench.txt

lint: environment
	@echo "== lint"
	@$(RUN_IN) -m ruff check .
	@$(RUN_IN) -m ruff format --check --quiet . || { echo "not formatted; run: .venv/bin/ruff format ." >&2; exit 1; }

types: environment
	@echo "== types"
	@$(RUN_IN) -m mypy

layers: environment
	@echo "== layers"
	@.venv/bin/lint-imports --no-logo

docs: environment
	@echo "== generated documents"
	@$(RUN_IN) -m scripts.generate_docs --check
	@$(RUN_IN) -m scripts.generate_configuration --check
