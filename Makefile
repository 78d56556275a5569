# make setup | demo | test | test-unit | lint | audit | lock | clean
# Needs python3 (3.11 or 3.12), make, and a package registry that pip is set up for. Nothing else.

UV_VERSION := 0.13.9
PYTHON ?= $(shell for python in python3 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info[:2] not in [(3, 11), (3, 12)])' 2>/dev/null \
	&& echo $$python && break; done)
VENV := .venv
RUN := $(VENV)/bin/python
READY := $(VENV)/.ready

# uv does not read pip's settings: the registry and certificate a person gave pip are handed on to it,
# for the one command and written nowhere. What the person set for uv itself wins.
define PIP_TO_UV
import ast, os, shlex, subprocess, sys
names = {"index-url": "UV_DEFAULT_INDEX", "extra-index-url": "UV_INDEX", "find-links": "UV_FIND_LINKS",
         "trusted-host": "UV_INSECURE_HOST", "cert": "SSL_CERT_FILE"}
command = [sys.executable, "-m", "pip", "config", "list"]
listing = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
found = {}
for line in sorted(listing.splitlines(), key=lambda line: line.startswith(":env:")):
    key, _, value = line.partition("=")
    section, _, option = key.rpartition(".")
    if section in ("global", "install", ":env:") and option in names:
        found[names[option]] = ("," if option == "find-links" else " ").join(ast.literal_eval(value).split())
for name, value in found.items():
    if name not in os.environ and not (name == "UV_DEFAULT_INDEX" and "UV_INDEX_URL" in os.environ):
        print(f"export {name}={shlex.quote(value)};")
endef
export PIP_TO_UV

# Like pip, look on all indexes alike; the hashes in the lock say which bytes may come from any of them.
PIP_SETTINGS = eval "$$($(RUN) -c "$$PIP_TO_UV")"; export UV_INDEX_STRATEGY=unsafe-best-match;
UV = $(PIP_SETTINGS) $(RUN) -m uv

.PHONY: setup demo test test-unit lint audit lock clean

setup: $(READY)

$(READY): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "cinescribe needs Python 3.11 or 3.12; name one: make setup PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo "Setting up $(VENV) from requirements.lock: about 2 GB to download, about 8 GB on disk (mostly torch and CUDA)."
	@test -x $(RUN) || $(PYTHON) -m venv $(VENV)
	@$(RUN) -m pip --version >/dev/null 2>&1 || $(RUN) -m ensurepip >/dev/null
	@$(RUN) -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION) 2>/dev/null \
		|| $(RUN) -m pip install --disable-pip-version-check uv==$(UV_VERSION)
	@$(UV) pip sync --quiet --compile-bytecode --require-hashes --python $(RUN) requirements.lock
	@$(UV) pip install --quiet --no-deps --no-build-isolation --python $(RUN) --editable .
	@touch $@
	@echo "Ready: $(VENV)/bin/cinescribe --help"

demo: $(READY)
	@$(RUN) -m cinescribe.demo

# In two processes: tests that start Ray in one, the others beside them (tests/conftest.py).
PYTEST := $(RUN) -m pytest --numprocesses 2 --dist loadgroup

test: $(READY)
	@$(PYTEST) -m ""

test-unit: $(READY)
	@$(PYTEST) -m "not slow"

lint: $(READY)
	@$(RUN) -m ruff check .
	@$(RUN) -m ruff format --check .
	@$(RUN) -m mypy

# Known weaknesses of the locked packages; fails also where the advisory service can't be asked about one.
audit: $(READY)
	@$(RUN) -m pip_audit --strict --progress-spinner off --disable-pip --require-hashes --requirement requirements.lock

lock: $(READY)
	@$(PIP_SETTINGS) unset UV_INDEX UV_FIND_LINKS; $(RUN) -m uv pip compile pyproject.toml --quiet --universal \
		--python-version 3.11 --generate-hashes --no-emit-index-url --no-header --all-extras \
		--output-file requirements.lock

clean:
	@rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
