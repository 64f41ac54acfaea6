# Every target makes what it needs. On a fresh machine with python3: `make demo`, `make test`.
PYTHON_BIN := .venv/bin/python
READY := .venv/.ready
ARGS ?=

# Compiled bytecode makes every process start three times as fast.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup demo test lint bench pins clean
.DEFAULT_GOAL := setup

setup: $(READY)  ## Make .venv with the pinned versions.

$(READY): pyproject.toml constraints.txt
	@.ci/make-venv $(MAKECMDGOALS)

demo: $(READY)  ## Run a whole pipeline on real data, and ask the served model for a prediction.
	@$(PYTHON_BIN) infra/demo.py

test: $(READY)  ## Run the tests; `make test ARGS=--slow` runs the slow ones too.
	@$(PYTHON_BIN) -m pytest $(ARGS)

lint: $(READY)  ## Check style and types.
	@$(PYTHON_BIN) -m ruff check .
	@$(PYTHON_BIN) -m mypy

bench: $(READY)  ## Measure what things cost (CPU seconds, memory); wants a quiet machine.
	@set -e; for name in overhead taxi statistics validation; do \
	    echo "$$name"; $(PYTHON_BIN) -m tests.benchmarks.$$name $(ARGS); \
	done

pins: $(READY)  ## Resolve the newest fitting versions into constraints.txt.
	@$(PYTHON_BIN) -m pip install --quiet --upgrade pip  # before 23.2 it downloads every package to look at it
	@$(PYTHON_BIN) .ci/pins.py

clean:  ## Remove what was built; runs and models in .headrace stay.
	rm -rf .venv build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find components orchestration pipelines tests infra -name __pycache__ -prune -exec rm -rf {} +
