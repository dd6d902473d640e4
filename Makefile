# make demo: the main job · make test: the tests · each does its own set-up in .venv
# Another Python has an environment of its own: make test PYTHON=python3.13
PYTHON ?= python3
VENV := .venv$(patsubst %,-%,$(filter-out python3,$(notdir $(PYTHON))))
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -q
PIP_TOLD := $(BIN)/python -m pip --disable-pip-version-check
HASHED := --require-hashes --only-binary :all:
RUNNERS ?= 2

# The tests that need neither a browser nor a database server, for every other Python.
FAST := tests/imaging tests/files tests/exports tests/db tests/demo

.PHONY: demo serve test fast check setup bench soak audit screenshots docs verify-consumers \
	frontend frontend-check lock clean

demo: $(VENV)/run.done
	$(BIN)/tomocurate demo

# The demo workspace in the browser again.
serve: $(VENV)/run.done
	$(BIN)/tomocurate serve --workspace demo

test: $(VENV)/dev.done
	$(BIN)/python -m pytest -n $(RUNNERS) $(ARGS)

fast: $(VENV)/dev.done
	$(BIN)/python -m pytest -n $(RUNNERS) -q -m "not browser and not soak and not postgresql" $(FAST) $(ARGS)

setup: $(VENV)/dev.done

check: $(VENV)/dev.done
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(MAKE) test

bench: $(VENV)/dev.done
	$(BIN)/python -m bench $(SUITES)

# Hours, not minutes: the fault tests at full size, twenty browsers, an hour of damaged files.
soak: $(VENV)/dev.done
	TOMOCURATE_SOAK=1 TOMOCURATE_FUZZ_SECONDS=3600 $(BIN)/python -m pytest -n $(RUNNERS) -m "not browser or soak" $(ARGS)

# Known vulnerabilities of what the locks name; needs the registries' advisory data.
audit:
	test -x .venv-audit/bin/pip-audit || ($(PYTHON) -m venv .venv-audit && .venv-audit/bin/python -m pip install -q pip-audit)
	.venv-audit/bin/pip-audit --strict --disable-pip --require-hashes -r requirements.lock
	cd dashboard/frontend && npm audit --omit=dev

screenshots: $(VENV)/dev.done
	$(BIN)/python -m tests.journeys.screenshots

# The site of docs/, links checked, in site/.
docs: $(VENV)/docs.done
	$(BIN)/mkdocs build --strict --quiet --site-dir site

# Trains and loads an export with the consumers' own code, in environments of their own.
verify-consumers: $(VENV)/dev.done
	$(BIN)/python -m tests.consumers

# Builds the pages' scripts anew; their built files are committed, so that nobody needs Node to run.
frontend:
	cd dashboard/frontend && npm ci --no-audit --no-fund && npm run types && npm run lint && npm run format:check && npm run keys && npm test && npm run build

frontend-check:
	cd dashboard/frontend && npm run -s types && npm run -s lint

$(VENV)/run.done: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "tomocurate needs Python 3.11 or newer; name one: make PYTHON=python3.12")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing the libraries into $(VENV) (once, a minute or two) ..."
	test -e $(VENV)/dev.done || $(PIP_TOLD) install $(HASHED) -r requirements.lock
	$(PIP) install --no-build-isolation --no-deps -e .
	touch $@

$(VENV)/dev.done: requirements-dev.lock $(VENV)/run.done
	$(PIP) install $(HASHED) -r requirements-dev.lock
	touch $@

$(VENV)/docs.done: requirements-docs.lock $(VENV)/run.done
	$(PIP) install $(HASHED) -r requirements-docs.lock
	touch $@

# Writes the locks: names, versions and hashes, no addresses.
lock:
	uv pip compile -q --universal -p 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url --extra postgres --extra sign-in --group run pyproject.toml -o requirements.lock
	uv pip compile -q --universal -p 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url --extra postgres --extra sign-in --group dev pyproject.toml -o requirements-dev.lock
	uv pip compile -q --universal -p 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url --group docs pyproject.toml -o requirements-docs.lock

clean:
	rm -rf .venv .venv-* demo site dashboard/frontend/node_modules
