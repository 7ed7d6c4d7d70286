# PYTHON is the interpreter that .venv is made of, and the sandboxes with it. After changing it: make clean setup.
PYTHON ?= python3
BIN := .venv/bin
# Tests start real sandboxes: a few workers keep a small machine busy.
WORKERS ?= 4

.PHONY: setup lint types test bench lock clean

setup: .venv/.installed
	@$(BIN)/python -m sandbox_server.templates

.venv/.installed: requirements.lock pyproject.toml scripts/setup-system scripts/setup-venv
	@scripts/setup-system $(PYTHON)
	@scripts/setup-venv $(PYTHON)
	@touch $@

lint: .venv/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo

types: .venv/.installed
	$(BIN)/mypy

test: setup lint types
	$(BIN)/pytest -n $(WORKERS) --dist worksteal

# Options of the benchmark: make bench BENCH=--quick
bench: setup
	@$(BIN)/python -m bench.sandbox $(BENCH)

# Exact versions with hashes, and no index address: which one to ask is the machine's own setting.
# Versions stay as they are; to move them all, delete the lock files first.
LOCK := $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-emit-find-links --custom-compile-command "make lock"
TEMPLATES := sandbox_server/templates

lock:
	$(LOCK) --group dev -o requirements.lock pyproject.toml
	$(LOCK) -o $(TEMPLATES)/code-interpreter-v1.lock $(TEMPLATES)/code-interpreter-v1.txt
	PATH="$$($(BIN)/python -m sandbox_server.templates)/bin:$$PATH" npm --prefix $(TEMPLATES)/node install \
		--package-lock-only --omit-lockfile-registry-resolved --no-audit --no-fund

clean:
	rm -rf .venv dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
