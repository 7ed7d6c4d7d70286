# PYTHON is the interpreter that .venv is made of, and the sandboxes with it. After changing it: make clean setup.
PYTHON ?= python3
BIN := .venv/bin
# Tests start real sandboxes: a few workers keep a small machine busy.
WORKERS ?= 4

.PHONY: setup setup-languages setup-browser web web-types screenshots run lint types test bench lock clean

setup: .venv/.installed
	@$(BIN)/python -m sandbox_server.templates
	@$(MAKE) -s web

# The page, which `sandloop serve` shows; with the machine's Node, else with the one of the sandboxes.
WEB := sandloop/web_static/index.html
web: $(WEB)
$(WEB): $(wildcard web/*.json web/*.ts web/*.html web/public/* web/src/*.* web/src/*/*) scripts/build-web
	@scripts/build-web build sizes

# The page's view of the API; after a change of routes or models.
web-types: .venv/.installed
	@$(BIN)/python -m scripts.api_types

# Pictures of the four pages, light and dark, for README and docs.
screenshots: setup setup-browser
	@$(BIN)/python -m scripts.screenshots

# Chromium for the tests of the page, from the system's packages.
setup-browser:
	@scripts/setup-browser

# Compilers and interpreters for sandboxes, from the system's packages.
setup-languages:
	@scripts/setup-languages

# The main job on real input: an agent analyses the example data, live, and saves a chart.
TASK ?= Analyse /home/user/bicycle_counts.csv and make a chart
run: setup
	@$(BIN)/python -m sandloop run "$(TASK)" --file examples/data/bicycle_counts.csv --save-dir sandloop-output

.venv/.installed: requirements.lock pyproject.toml scripts/setup-system scripts/setup-venv
	@scripts/setup-system $(PYTHON)
	@scripts/setup-venv $(PYTHON)
	@touch $@

lint: .venv/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo
	@scripts/build-web check

types: .venv/.installed
	$(BIN)/mypy

test: setup setup-browser lint types
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
	$(LOCK) --all-extras --group dev -o requirements.lock pyproject.toml
	$(LOCK) -o $(TEMPLATES)/code-interpreter-v1.lock $(TEMPLATES)/code-interpreter-v1.txt
	PATH="$$($(BIN)/python -m sandbox_server.templates)/bin:$$PATH" npm --prefix $(TEMPLATES)/node install \
		--package-lock-only --omit-lockfile-registry-resolved --no-audit --no-fund

clean:
	rm -rf .venv dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
