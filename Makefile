# What CI runs is what these targets run; `make help` lists them.
#
#   make test PYTHON=python3.12            another interpreter, in an environment of its own
#   make test PYTEST_ARGS="-k config -x"   some tests, without the coverage floor
#   make serve ARGS="--port 9000"

ifeq ($(origin PYTHON),undefined)
PYTHON := $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; \
	done)
VENV ?= .venv
else
VENV ?= .venv-$(notdir $(PYTHON))
endif

BIN := $(VENV)/bin
CONTRIB := $(patsubst %/pyproject.toml,%,$(wildcard contrib/*/pyproject.toml))
PIP := $(BIN)/python -m pip --disable-pip-version-check
# One build environment for all the projects instead of one for each: three times as fast.
INSTALL := $(PIP) install --quiet --no-build-isolation --constraint constraints.txt
PYTEST := $(BIN)/python -m coverage run -m pytest --numprocesses 2

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1 /p' $(MAKEFILE_LIST) | \
		while read -r target says; do printf '%-13s%s\n' "$$target" "$$says"; done

.PHONY: serve
serve: $(VENV)/.serve ## install the core and contrib, and serve them (ARGS)
	$(BIN)/fps-lite serve $(ARGS)

.PHONY: test
test: $(VENV)/.dev ## run the quick tests, with the coverage floor (PYTEST_ARGS)
	@$(BIN)/python -m coverage erase
	$(PYTEST) $(PYTEST_ARGS)
	@$(BIN)/python -m coverage combine --quiet
	@$(BIN)/python -m coverage report $(if $(PYTEST_ARGS),--fail-under=0)

.PHONY: test-slow
test-slow: $(VENV)/.dev ## run the slow tests (PYTEST_ARGS)
	$(BIN)/python -m pytest -m slow $(PYTEST_ARGS); status=$$?; \
		test $$status -eq 5 && echo "there is no slow test" || exit $$status

.PHONY: lint
lint: $(VENV)/.dev ## find mistakes, and lines that the formatter would write otherwise
	$(BIN)/ruff check
	$(BIN)/ruff format --check

.PHONY: type
type: $(VENV)/.dev ## check the types
	$(BIN)/mypy

.PHONY: check
check: lint type ## lint and type

.PHONY: format
format: $(VENV)/.dev ## write the lines as the formatter does, and mend what is safe to mend
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

.PHONY: dist
dist: $(VENV)/.dev ## build the core's sdist and wheel into dist/
	$(BIN)/hatchling build --clean

.PHONY: bench
bench: ## measure all, beside peers at pinned releases, into benchmarks/results (BENCH_ARGS)
	$(PYTHON) -m benchmarks run $(BENCH_ARGS)

.PHONY: bench-quick
bench-quick: ## measure a part in two minutes, into benchmarks/.quick (BENCH_ARGS)
	$(PYTHON) -m benchmarks run --size quick $(BENCH_ARGS)

.PHONY: bench-faults
bench-faults: $(VENV)/.dev ## ask what clients lose in reloads, kills and stops, beside peers (BENCH_ARGS)
	$(BIN)/python -m benchmarks.faults $(BENCH_ARGS)

.PHONY: ci
ci: ## everything that CI runs: check, test, test-slow
	@$(MAKE) --no-print-directory check
	@$(MAKE) --no-print-directory test
	@$(MAKE) --no-print-directory test-slow

.PHONY: clean
clean: ## remove what the targets made
	rm -rf .venv* build dist htmlcov .coverage* .mypy_cache .pytest_cache .ruff_cache .hypothesis
	rm -rf benchmarks/.venvs benchmarks/.quick
	find . -name __pycache__ -prune -exec rm -rf {} +

# The stamps: an environment is made again from whatever it was when a project file changed.
$(VENV)/.serve: pyproject.toml $(CONTRIB:%=%/pyproject.toml) constraints.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: make PYTHON=…" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --constraint constraints.txt hatchling editables
	$(INSTALL) --editable . $(CONTRIB:%=--editable ./%)
	@touch $@

$(VENV)/.dev: $(VENV)/.serve
	$(INSTALL) --editable ".[fast,test,dev]"
	@touch $@
