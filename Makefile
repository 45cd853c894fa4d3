# Needs Python 3.11 or newer and make; everything else goes into .venv. `make` lists the targets.
# Another Python: make demo PYTHON=python3.13

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

# The stamps bear the version: with another Python the environment is made again.
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
SETUP := $(VENV)/.setup-$(VERSION)
DEV := $(VENV)/.dev-$(VERSION)

PURE := app/intake/*,app/diagnose/*,app/report/*,app/checked.py,app/codes.py,app/egress.py,app/gate.py,app/letters.py,app/load.py,app/model.py,app/seal.py,app/settings.py,app/tempo.py,app/text.py,app/verdict.py,app/waitlist.py,jobs/decide.py,jobs/looks.py,jobs/rooms.py

define make_venv
@if [ -z "$(VERSION)" ]; then \
	echo "No program '$(PYTHON)' here. Install Python 3.11 or newer, or name it: make PYTHON=/path/to/python3" >&2; exit 1; \
fi
@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	echo "$(PYTHON) is Python $(VERSION); bulk-connect needs 3.11 or newer: make PYTHON=python3.13" >&2; exit 1; }
@if [ -d $(VENV) ] && [ ! -f $(VENV)/pyvenv.cfg ]; then \
	echo "$(VENV) is there and is no virtual environment: move it away, then run make again." >&2; exit 1; \
fi
@found=$$($(BIN)/python -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || true); \
has_installer=$$(command -v uv >/dev/null 2>&1 || [ -x $(BIN)/pip ] && echo yes || true); \
if [ -d $(VENV) ] && { [ "$$found" != "$(VERSION)" ] || [ -z "$$has_installer" ]; }; then \
	echo "$(VENV) is of Python $${found:-unknown}: making it again for $(VERSION)."; rm -rf $(VENV); \
fi
@if [ ! -d $(VENV) ]; then \
	echo "Making $(VENV) with Python $(VERSION)."; \
	if command -v uv >/dev/null 2>&1; then uv venv --quiet --python "$$(command -v $(PYTHON))" $(VENV); \
	elif $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null; then $(PYTHON) -m venv $(VENV); \
	else echo "This Python cannot make virtual environments. Debian, Ubuntu: apt install python3-venv; or install uv." >&2; \
		exit 1; fi || { rm -rf $(VENV); exit 1; }; \
fi
endef

define install
@echo "Installing from $(1)."
@if command -v uv >/dev/null 2>&1; then \
	uv pip install --quiet --python $(BIN)/python --require-hashes --no-deps -r $(1) && \
	uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .; \
else \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input --require-hashes --no-deps -r $(1) && \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input --no-deps --no-build-isolation --editable .; \
fi
endef

.PHONY: help
help: ## list the targets
	@echo "bulk-connect: mailboxes in, logins checked, a report out."
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: setup
setup: $(SETUP) ## the virtual environment .venv with the command .venv/bin/bulk-connect
	@echo "Ready: $(BIN)/bulk-connect"

$(SETUP): .lock/setup.lock pyproject.toml
	$(make_venv)
	$(call install,.lock/setup.lock)
	@touch $@

$(DEV): .lock/dev.lock pyproject.toml
	$(make_venv)
	$(call install,.lock/dev.lock)
	@touch $(SETUP) $@

.PHONY: demo
demo: $(SETUP) ## start everything, connect a demo file of mailboxes, show the outcome, stop
	@$(BIN)/bulk-connect demo

.PHONY: run
run: $(SETUP) ## keep the service running, with PostgreSQL and Valkey of its own in .data
	@$(BIN)/bulk-connect up

.PHONY: dev
dev: $(DEV) ## as run, with the tools for tests and checks installed and every log line shown
	@BULK_CONNECT_LOG_LEVEL=DEBUG $(BIN)/bulk-connect up

.PHONY: migrate
migrate: $(SETUP) ## bring the schema of DATABASE_URL up to date
	@$(BIN)/bulk-connect migrate

.PHONY: worker
worker: $(SETUP) ## one worker process against DATABASE_URL and REDIS_URL
	@$(BIN)/bulk-connect worker

.PHONY: test
test: $(DEV) ## all tests; real mail servers join in where Dovecot and Postfix are installed
	@$(BIN)/python -m pytest

.PHONY: unit
unit: $(DEV) ## the pure tests, milliseconds each: no servers
	@$(BIN)/python -m pytest -q $(wildcard tests/codes tests/diagnose tests/egress tests/intake tests/letters tests/model tests/report tests/seal tests/settings tests/text tests/verdict)

.PHONY: flow
flow: $(DEV) ## the whole line: API, workers, PostgreSQL, Valkey, Dovecot, Postfix
	@$(BIN)/python -m pytest tests/flow

.PHONY: bench
bench: $(DEV) ## what checks, ledger and waiting cost, beside a bare script (PARTS="checks ledger waiting workers")
	@$(BIN)/python -m tests.bench $(PARTS)

.PHONY: chaos
chaos: $(DEV) ## kill and stop everything while thousands of rows run; the books must balance (SEED=N plays it again)
	@$(BIN)/python -m tests.chaos $(if $(SEED),--seed $(SEED))

.PHONY: zoo
zoo: $(DEV) ## checks against every bad server there is: what each does, and the code it comes to
	@$(BIN)/python -m tests.zoo --uvloop

.PHONY: cover
cover: $(DEV) ## all tests, with the branches they reach: 100 % of the pure parts, 90 % of the whole
	@rm -f .coverage .coverage.*
	@$(BIN)/python -m coverage run -m pytest
	@$(BIN)/python -m coverage combine --quiet
	@$(BIN)/python -m coverage report --fail-under=90
	@echo "The pure parts:"
	@$(BIN)/python -m coverage report --include='$(PURE)' --fail-under=100

.PHONY: check
check: lint types arch test ## everything that CI runs

.PHONY: lint
lint: $(DEV) ## style and likely mistakes (ruff)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

.PHONY: fmt
fmt: $(DEV) ## format the code, mend what can be mended (ruff)
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

.PHONY: types
types: $(DEV) ## static types (mypy, strict)
	@$(BIN)/mypy

.PHONY: arch
arch: $(DEV) ## which room may import which (import-linter)
	@$(BIN)/lint-imports

.PHONY: lock
lock: ## pin what pyproject.toml asks for anew (needs uv)
	@command -v uv >/dev/null 2>&1 || { echo "make lock needs uv." >&2; exit 1; }
	@set -e; pin() { out=$$1; shift; uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		--no-header --no-annotate "$$@" --output-file .lock/$$out pyproject.toml; }; \
	pin runtime.lock; \
	pin setup.lock --extra embedded --extra build; \
	pin dev.lock --extra embedded --extra build --extra dev
	@! grep -l '://' .lock/*.lock || { echo "The locks above name hosts; they must not." >&2; exit 1; }

BUCKET := $(VENV)/bucket/node_modules/.package-lock.json

.PHONY: bucket
bucket: $(BUCKET) ## an S3-compatible server for the tests of the report store (needs Node.js and npm)

$(BUCKET): .lock/bucket/package-lock.json $(DEV)
	@command -v npm >/dev/null 2>&1 || { echo "make bucket needs Node.js and npm." >&2; exit 1; }
	@mkdir -p $(VENV)/bucket
	@cp .lock/bucket/*.json $(VENV)/bucket/
	@npm ci --prefix $(VENV)/bucket --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

.PHONY: clean
clean: ## remove the environment and every cache; data in .data stay
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage .coverage.*
	@find app jobs sql tests -name __pycache__ -type d -prune -exec rm -rf {} +
