# make demo: the main job · make test: the tests · each does its own set-up in .venv
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -q
HASHED := --require-hashes --only-binary :all:
RUNNERS ?= 2

.PHONY: demo test check setup bench lock clean

demo: $(VENV)/run.done
	$(BIN)/tomocurate demo

test: $(VENV)/dev.done
	$(BIN)/python -m pytest -n $(RUNNERS) $(ARGS)

setup: $(VENV)/dev.done

check: $(VENV)/dev.done
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(MAKE) test

bench: $(VENV)/dev.done
	$(BIN)/python -m bench

$(VENV)/run.done: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "tomocurate needs Python 3.11 or newer; name one: make PYTHON=python3.12")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	test -e $(VENV)/dev.done || $(PIP) install $(HASHED) -r requirements.lock
	$(PIP) install --no-build-isolation --no-deps -e .
	touch $@

$(VENV)/dev.done: requirements-dev.lock $(VENV)/run.done
	$(PIP) install $(HASHED) -r requirements-dev.lock
	touch $@

# Writes the locks: names, versions and hashes, no addresses.
lock:
	uv pip compile -q --universal -p 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url --extra postgres --extra sign-in --group run pyproject.toml -o requirements.lock
	uv pip compile -q --universal -p 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url --extra postgres --extra sign-in --group dev pyproject.toml -o requirements-dev.lock

clean:
	rm -rf $(VENV) demo
