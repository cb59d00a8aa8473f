# make run      sets everything up and runs the daemon here, in ./var: compiled where it can be (COMPILED=0 not, REACTOR=epoll for Twisted's reactor)
# make test     sets everything up and runs every check and test
# make compiled sets up the compiled build, for which a C compiler and Python's headers are needed
# make lint | unit | system | docs | bench | lock | clean
# All may be run again at any time; what is done already is not done again.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
TOOLS := $(VENV)/.tools
NPM := build/npm/.ready
ARGS ?=
REACTOR ?= gameroom
# The compiled build (docs/speed.md) has an environment of its own, since in an editable install compiled modules would hide what is changed.
# What runs is compiled where there are a compiler and Python's headers; COMPILED=1 insists, COMPILED=0 does without.
COMPILED ?=
COMPILED_VENV := .venv-compiled
COMPILED_READY := $(COMPILED_VENV)/.ready
SOURCES := setup.py setup.cfg pyproject.toml README.md $(shell find gameroom twisted -type f -not -name '*.pyc' -not -name dropin.cache)
ifneq ($(origin CC),default)
export CC
endif
ifneq ($(filter run,$(MAKECMDGOALS)),)
ifeq ($(COMPILED),)
override COMPILED := $(shell CC='$(if $(filter default,$(origin CC)),,$(CC))' $(PYTHON) -c 'import setup, sys; sys.exit(setup.missing())' 2>/dev/null && echo 1 || echo missing)
endif
endif
RUNS := $(if $(filter-out 0 missing,$(COMPILED)),$(COMPILED_VENV),$(VENV))

.DEFAULT_GOAL := help
.PHONY: help venv run compiled test lint unit js system docs bench lock clean

help:
	@sed -n 's/^# \{0,1\}//p' Makefile | sed -n 1,5p

venv: $(READY)

# Python is new enough, and can make an environment.
define PYTHON_FITS
@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "gameroom needs Python 3.11 or newer; name one as: make PYTHON=python3.11 $(MAKECMDGOALS)" >&2; exit 1; }
@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "Python's venv module is missing; on Debian: apt-get install python3-venv" >&2; exit 1; }
endef

# The virtual environment, with everything that the lock file names and the checkout itself.
$(READY): requirements.lock setup.cfg pyproject.toml
	$(PYTHON_FITS)
	@echo "Setting up $(VENV), once; it takes a minute or two."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	@touch $(READY)

compiled: $(COMPILED_READY)

# Its packages are those of $(VENV); only gameroom itself is its own.
$(COMPILED_READY): $(READY) $(SOURCES)
	@echo "Compiling; it takes half a minute."
	@$(BIN)/python -m venv --without-pip --clear $(COMPILED_VENV)
	@$(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' > "$$($(COMPILED_VENV)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/plain.pth"
	@{ echo "#!$(CURDIR)/$(COMPILED_VENV)/bin/python"; sed 1d $(BIN)/twistd; } > $(COMPILED_VENV)/bin/twistd && chmod +x $(COMPILED_VENV)/bin/twistd
	@GAMEROOM_COMPILE=1 $(COMPILED_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --force-reinstall . || { echo "This could not be compiled; make run COMPILED=0 does without." >&2; exit 1; }
	@touch $@

# Programs that tests drive the daemon with: installed where we may, named where we may not.
$(TOOLS): .ci/tools | $(READY)
	@.ci/tools $(BIN)/python
	@touch $(TOOLS)

# What a service of examples/ needs of npm; without it that one's tests are left out.
$(NPM): .ci/npm examples/game-service-node/package.json examples/game-service-node/package-lock.json
	@.ci/npm

run: $(READY) $(RUNS)/.ready
ifeq ($(COMPILED),missing)
	@echo "gameroom runs as plain Python, with a third to a half of its speed: compiling it takes a C compiler and Python's headers (docs/speed.md)."
endif
	@exec $(RUNS)/bin/twistd --reactor=$(REACTOR) --nodaemon --pidfile= gameroom --data var $(ARGS)

test: $(READY) $(TOOLS) lint docs unit js system

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy gameroom tests
	MYPYPATH=bench/lockstep $(BIN)/mypy bench/lockstep bench/rules_lockstep.py
	MYPYPATH=bench/lobby:bench/lockstep $(BIN)/mypy bench/lobby
	MYPYPATH=bench/transfer:bench/lockstep $(BIN)/mypy bench/transfer
	MYPYPATH=bench/proxy:bench/lockstep $(BIN)/mypy bench/proxy
	MYPYPATH=bench/service:bench/lockstep $(BIN)/mypy bench/service/run.py bench/service/alone.py

# The tests start hundreds of daemons and commands. Where Python is told to write no bytecode, each of them would compile all of gameroom anew.
define BYTECODE
@$(BIN)/python -m compileall -q -x /templates/ gameroom twisted
endef

unit: $(READY) $(TOOLS)
	$(BYTECODE)
	$(BIN)/python -m pytest -q -n 2 --ignore tests/system $(ARGS)

js: $(TOOLS)
	@if node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' 2>/dev/null; then node --test tests/js/; \
	else echo "node 20 or newer is not here: the JavaScript unit tests are left out; the browser tests run that code all the same"; fi

system: $(READY) $(TOOLS) $(NPM)
	$(BYTECODE)
	REACTOR=$(REACTOR) $(BIN)/python -m pytest -q -n 3 tests/system $(ARGS)

docs: $(READY)
	$(BIN)/python -m sphinx -q -W --keep-going -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

bench: $(READY)
	$(BIN)/python bench/lockstep/run.py $(ARGS)

# Needs the network and pip-tools; the result names no package index.
# Run it with the oldest Python that we promise (Debian 12 has 3.11.2): a newer one may pin what that cannot install.
lock:
	$(PYTHON) -m venv $(VENV)-lock
	$(VENV)-lock/bin/python -m pip install --quiet pip-tools
	echo 'setuptools>=70.1' > $(VENV)-lock/build.in
	$(VENV)-lock/bin/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-header --no-annotate \
	    --no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
	    --extra postgres --extra test --extra docs --extra dev -o $(VENV)-lock/out setup.cfg $(VENV)-lock/build.in
	{ head -1 requirements.lock; cat $(VENV)-lock/out; } > $(VENV)-lock/requirements.lock
	mv $(VENV)-lock/requirements.lock requirements.lock
	rm -r $(VENV)-lock

clean:
	rm -rf $(VENV) $(COMPILED_VENV) build dist *.egg-info docs/_build .mypy_cache .ruff_cache .pytest_cache .hypothesis
