# make demo: the main job on the shipped models.   make test: every test, in a browser too (.ci/browser).
# make check: ruff, mypy, import layers.   make docs: the site, in build/site.
# make figures: every figure of the documentation, in days; goes on where it was stopped (GIVEN=DIR: docs/benchmarking.md).
VENV ?= .venv
PYTHON ?= python3
BIN = $(VENV)/bin

.PHONY: demo test check docs figures models clean browser

demo: $(VENV)/.core
	$(BIN)/kinprint compare examples/models/base examples/models/finetune
	$(BIN)/kinprint compare examples/models/base examples/models/twin

# Workers take whole files, in the order of tests/conftest.py; three, for some wait for servers, clusters and browsers.
test: browser $(VENV)/.dev
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder --durations=15

browser:
	.ci/browser

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(VENV)/.dev
	$(BIN)/python docs/generate.py
	$(BIN)/mkdocs build --strict

figures: $(VENV)/.dev
	$(BIN)/python benchmarks/figures.py run $(if $(GIVEN),--given $(GIVEN))

models: $(VENV)/.dev
	$(BIN)/python examples/train_models.py

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.core: pyproject.toml | $(VENV)/bin/python
	$(BIN)/pip install -q -e '.[library,server]'
	touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/pip install -q --no-compile -c constraints.txt -e '.[dev]'
	touch $@

clean:
	rm -rf $(VENV)
