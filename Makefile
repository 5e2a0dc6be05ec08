# make demo: run the example.  make test: pass the tests.  Both make .venv first.

PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo view test lint types bench annarchy examples clean

demo: .venv/demo
	$(BIN)/python examples/tensorboard/quickstart.py
	@echo
	@echo "Now look at it:  make view   (or: $(BIN)/tensorboard --logdir runs)"

view: .venv/demo
	$(BIN)/tensorboard --logdir runs

test: .venv/test
	$(BIN)/python -m pytest

lint: .venv/lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/lint
	$(BIN)/mypy

# Beside tensorboardX, in fresh processes; a few minutes.
bench: .venv/bench
	$(BIN)/python benchmarks/bench.py

# ANNarchy compiles its networks: it needs g++, cmake and an activated environment.
annarchy: .venv/annarchy
	. $(BIN)/activate && python examples/tensorboard/izhikevich.py

# The notebooks and the sweep with ANNarchy, on processes, Dask and Spark (needs Java).
examples: .venv/test .venv/examples
	. $(BIN)/activate && python -m pytest tests/test_simulators.py

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/demo: .venv/bin/python setup.cfg
	$(BIN)/pip install --quiet --editable .
	@touch $@

.venv/test .venv/lint .venv/bench .venv/examples: .venv/%: .venv/demo
	$(BIN)/pip install --quiet --editable '.[$*]'
	@touch $@

.venv/annarchy: .venv/demo
	$(BIN)/pip install --quiet ANNarchy
	@touch $@

clean:
	rm -rf .venv annarchy runs
