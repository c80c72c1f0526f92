# Single words: demo, web, test, bench, soak, lint, docs, clean. All use the folder .venv made here.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OUT ?= demo-plan
# A variable, because a comma inside $(call ...) would end the argument.
DEV_EXTRAS := .[test,dev]
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo web test bench soak lint docs clean

# uv installs in seconds; where it cannot be had, pip does the same more slowly.
define install
	@if [ -x $(BIN)/uv ]; then $(BIN)/uv pip install --quiet --python $(BIN)/python -c constraints.txt $(1); \
	else $(BIN)/python -m pip install --quiet -c constraints.txt $(1); fi
endef

$(BIN)/python:
	@echo "Making $(VENV) ..."
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Hepatica needs Python 3.11 or newer; this is $$($(PYTHON) --version). Try: make PYTHON=python3.12 demo"; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet uv 2>/dev/null || echo "uv is not available; using pip"

$(VENV)/.core: $(BIN)/python pyproject.toml constraints.txt
	@echo "Installing locked dependencies ..."
	$(call install,-e .)
	@touch $@

$(VENV)/.dev: $(VENV)/.core
	@echo "Installing what tests and checks need ..."
	$(call install,-e '$(DEV_EXTRAS)')
	@touch $@

$(VENV)/.bench: $(VENV)/.dev
	@echo "Installing the peers that benchmarks compare with ..."
	$(call install,-e '.[bench]')
	@touch $@

$(VENV)/.docs: $(VENV)/.core
	$(call install,-e '.[docs]')
	@touch $@

demo: $(VENV)/.core
	@$(BIN)/hepatica demo --out $(OUT)

web: $(VENV)/.core
	@bash tools/build_web.sh

test: $(VENV)/.dev
	@bash tools/install_test_tools.sh
	@bash tools/build_web.sh
	@$(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder

bench: $(VENV)/.bench
	@$(BIN)/python -m benchmarks

soak: $(VENV)/.dev
	@$(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder -m soak

lint: $(VENV)/.dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

docs: $(VENV)/.docs
	@$(BIN)/mkdocs build --strict --quiet
	@echo "Open site/index.html"

clean:
	rm -rf $(VENV) site dist demo-plan
