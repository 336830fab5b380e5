# The few words for people and for CI alike. Each sets up what it needs first.
# Another Python: make setup PYTHON=/path/to/python3.12. Some tests only: make test ARGS=tests/rag

PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3 python; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { echo "$$p"; break; }; done)
BIN := .venv/bin
ARGS ?=
# Processes that run the tests: each may start servers and load a model.
WORKERS ?= 2

export PIP_NO_INPUT := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help setup run demo check test nightly emulators bench

help:  # Print these words.
	@echo "make WORD, where WORD is one of:"
	@sed -n 's/^\([a-z]*\):[^#]*# \(.*\)/  \1\t\2/p' Makefile | expand -t 13

setup: .venv/.packages  # Install what Tandem needs to run, into .venv.

run: .venv/.packages  # Serve the chat, the console and the bot; state is kept in ./data.
	@$(BIN)/tandem serve

demo: .venv/.packages  # Serve like run, with a data folder that is thrown away afterwards.
	@data=$$(mktemp -d) && trap 'rm -rf "$$data"' EXIT INT TERM && \
	echo "All data of this demo is in $$data and goes when it ends." && \
	TANDEM_DATA_DIR="$$data" $(BIN)/tandem serve

check: .venv/.packages-dev  # Check style, types and import rules.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports

test: .venv/.packages-dev  # Run the tests; what this machine lacks is skipped with its reason.
	$(BIN)/pytest -n $(WORKERS) --dist loadfile $(ARGS)

emulators: tests/emulators/node_modules/.package-lock.json  # Install what some tests want beside Python; needs npm.

nightly: .venv/.packages-dev  # Run the slow proofs in full; the tests run a short version of each.
	TANDEM_TEST_COPIED_EVENTS=1000 $(BIN)/pytest --timeout 3600 tests/gateway/test_copies.py $(ARGS)

bench: .venv/.packages-dev  # Measure throughput beside a floor measured in the same run.
	$(BIN)/python -m benchmarks.throughput $(ARGS)

tests/emulators/node_modules/.package-lock.json: tests/emulators/package-lock.json tests/emulators/package.json
	@command -v npm >/dev/null || { echo "The emulators need npm: install it (Debian: apt-get install npm)"; exit 1; }
	@echo "Installing the emulators (213 MB, some seconds)"
	@cd tests/emulators && npm ci --no-progress --loglevel=error
	@touch $@

$(BIN)/python:
	@test -n "$(PYTHON)" || { \
		echo "Tandem needs Python 3.11 or newer and found none: install one, or name it:"; \
		echo "  make PYTHON=/path/to/python3.11"; exit 1; }
	@echo "Making .venv with $(PYTHON)"
	@"$(PYTHON)" -m venv .venv || { rm -rf .venv; \
		echo "$(PYTHON) cannot make a virtual environment: is its venv package installed?"; exit 1; }

# The marks remember which lock was installed, so that pip runs once per change of it.
.venv/.packages: requirements.lock pyproject.toml | $(BIN)/python
	@echo "Installing the packages of $< (a few minutes the first time)"
	@$(BIN)/python -m pip install --quiet -r $<
	@$(BIN)/python -m pip install --quiet --no-deps -e .
	@touch $@

.venv/.packages-dev: requirements-dev.lock pyproject.toml | $(BIN)/python
	@echo "Installing the packages of $< (a few minutes the first time)"
	@$(BIN)/python -m pip install --quiet -r $<
	@$(BIN)/python -m pip install --quiet --no-deps -e .
	@touch $@ .venv/.packages
