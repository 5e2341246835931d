# `make demo` trains and shows; `make test` tests. Both set up .venv the first time, and again when the pins change.
PYTHON ?= python3
BIN := .venv/bin
PINS := $(CURDIR)/constraints.txt
# visdom builds only with an old setuptools: old pips read the first variable for that, new ones the second.
PIP := PIP_CONSTRAINT=$(PINS) PIP_BUILD_CONSTRAINT=$(PINS) $(BIN)/python -m pip --disable-pip-version-check install --quiet
# Processes that run tests at the same time; many tests wait for servers, so there are more than cores.
WORKERS ?= 3
SOURCES := setup.cfg pyproject.toml constraints.txt

.PHONY: demo test test-slow test-frameworks coverage lint docs lessons bench pictures fuzz soak guarantees clean

demo: .venv/installed
	@if test -t 1; then wait=--wait; else wait=; fi; set -x; $(BIN)/monitor train mlp --optimizer adam --lr 0.001 $$wait

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

# What takes long, or much of the machine: hostile files, rounds of faults, parallel runs whose servers are killed.
test-slow: .venv/installed-tests
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup -m slow

# The adapters, with the newest releases of their frameworks, in an environment of their own that no pin holds back.
FRAMEWORKS := .venv-frameworks
test-frameworks: $(FRAMEWORKS)/installed
	$(FRAMEWORKS)/bin/python -m pytest -n $(WORKERS) --dist loadgroup tests/frameworks

coverage:
	$(MAKE) test COVERAGE=1

lint: .venv/installed-tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: .venv/installed-docs
	$(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going --fresh-env --builder html docs docs/_build/html
	$(BIN)/python docs/check_links.py docs/_build/html

# Runs every command in docs/lessons.md and writes its output there; LESSON=hours those with that word alone.
lessons: .venv/installed-tests
	$(BIN)/python -m tests.support.lesson_docs $(LESSON)

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

$(FRAMEWORKS)/installed: setup.cfg
	@echo "Installing the frameworks into $(FRAMEWORKS); this takes some minutes."
	@$(PYTHON) -m venv $(FRAMEWORKS)
	@echo 'setuptools<81' >$(FRAMEWORKS)/visdom-pin.txt
	@PIP_CONSTRAINT=$(FRAMEWORKS)/visdom-pin.txt PIP_BUILD_CONSTRAINT=$(CURDIR)/$(FRAMEWORKS)/visdom-pin.txt \
		$(FRAMEWORKS)/bin/python -m pip --disable-pip-version-check install --quiet --editable '.[frameworks,visdom,test-tools]'
	@touch $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
		{ echo "Error: $(PYTHON) is older than Python 3.10; name a newer one, as in: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv .venv || { rm -rf .venv; \
		echo "Error: $(PYTHON) cannot make virtual environments; on Debian: apt install python3-venv" >&2; exit 1; }

# SECTION=faults does the faults alone. With MONITOR_BENCH_PACKAGES, a folder with trackio in it, trackio is beside ours.
bench: .venv/installed-tests
	$(BIN)/python -m tests.benchmarks $(SECTION)

# The files with property tests, each with many more examples than in `make test`.
PROPERTY_TESTS := tests/sinks/test_values.py tests/runs/test_hostile_run_files.py \
	tests/events/test_event_file_properties.py tests/events/test_scalar_frames.py tests/events/test_fast_reader.py \
	tests/sinks/test_scalar_blocks.py tests/runners/test_checkpoint_properties.py tests/comparison/test_hostile_page.py

# The screenshots of the docs; MNIST=FOLDER has the files of MNIST, and ONLY='visdom timeline' takes some of them.
pictures: .venv/installed-tests
	$(BIN)/python -m tests.pictures $(ONLY)

# As many seeds of the simulation of the delivery; MONITOR_FIRST_SEED=N MONITOR_SEEDS=1 repeats one.
fuzz: .venv/installed-tests
	MONITOR_SEEDS=100000 $(BIN)/python -m pytest -n $(WORKERS) --timeout 7200 tests/simulation
	MONITOR_FUZZ=20000 $(BIN)/python -m pytest --timeout 3600 -m "slow or not slow" $(PROPERTY_TESTS)

# An hour, or MONITOR_SOAK_S seconds. As root, it also fills and unmounts file systems.
soak: .venv/installed-tests
	$(BIN)/python -m tests.benchmarks.soak

# The table in docs/guarantees.md: the tests that do faults, and some minutes of soak; as root, for the faults of disks.
guarantees: RECORDS := $(CURDIR)/.faults.jsonl
guarantees: .venv/installed-tests
	rm -f $(RECORDS)
	MONITOR_FAULTS=$(RECORDS) $(BIN)/python -m pytest -m "slow or not slow" tests/e2e
	-MONITOR_FAULTS=$(RECORDS) $(BIN)/python -m tests.benchmarks.soak --seconds $${MONITOR_SOAK_S:-300}
	$(BIN)/python -m tests.support.fault_records $(RECORDS)
	rm -f $(RECORDS)

clean:
	rm -rf .venv $(FRAMEWORKS) build docs/_build *.egg-info .coverage* .mypy_cache .ruff_cache .pytest_cache
