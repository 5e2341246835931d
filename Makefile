# `make demo` trains and shows; `make test` tests. Both set up .venv the first time, and again when the pins change.
PYTHON ?= python3
BIN := .venv/bin
PINS := $(CURDIR)/constraints.txt
# visdom builds only with an old setuptools: old pips read the first variable for that, new ones the second.
PIP := PIP_CONSTRAINT=$(PINS) PIP_BUILD_CONSTRAINT=$(PINS) $(BIN)/python -m pip --disable-pip-version-check install --quiet
# Processes that run tests at the same time; many tests wait for servers, so there are more than cores.
WORKERS ?= 3
SOURCES := setup.cfg pyproject.toml constraints.txt

.PHONY: demo test coverage lint docs bench fuzz soak clean

demo: .venv/installed
	$(BIN)/monitor train mlp --epochs 2

# With COVERAGE=1, the same run measures coverage, and fails below the floor in setup.cfg.
test: .venv/installed-tests
ifdef COVERAGE
	$(BIN)/python -m coverage erase
	$(BIN)/python -m coverage run -m pytest -n $(WORKERS) --dist loadgroup
	$(BIN)/python -m coverage combine --quiet
	$(BIN)/python -m coverage report
else
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup
endif

coverage:
	$(MAKE) test COVERAGE=1

lint: .venv/installed-tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: .venv/installed-docs
	$(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going --fresh-env --builder html docs docs/_build/html
	$(BIN)/python docs/check_links.py docs/_build/html

.venv/installed: $(SOURCES) | $(BIN)/python
	@echo "Installing into .venv; this takes a minute or two."
	@$(PIP) --editable '.[runners,visdom]'
	@touch $@

.venv/installed-tests: $(SOURCES) | $(BIN)/python
	@echo "Installing into .venv; this takes a minute or two."
	@$(PIP) --editable '.[runners,visdom,test]'
	@touch .venv/installed $@

.venv/installed-docs: $(SOURCES) | $(BIN)/python
	@echo "Installing the docs tools into .venv."
	@$(PIP) --editable '.[docs]'
	@touch $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
		{ echo "Error: $(PYTHON) is older than Python 3.10; name a newer one, as in: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv .venv || { rm -rf .venv; \
		echo "Error: $(PYTHON) cannot make virtual environments; on Debian: apt install python3-venv" >&2; exit 1; }

bench: .venv/installed-tests
	$(BIN)/python -m tests.benchmarks

# The files with property tests, each with many more examples than in `make test`.
PROPERTY_TESTS := tests/sinks/test_values.py tests/runs/test_hostile_run_files.py \
	tests/events/test_event_file_properties.py tests/runners/test_checkpoint_properties.py \
	tests/comparison/test_hostile_page.py

fuzz: .venv/installed-tests
	MONITOR_FUZZ=20000 $(BIN)/python -m pytest --timeout 3600 $(PROPERTY_TESTS)

soak: .venv/installed-tests
	$(BIN)/python -m tests.benchmarks.soak

clean:
	rm -rf .venv build docs/_build *.egg-info .coverage* .mypy_cache .ruff_cache .pytest_cache
