# make demo: run the example.  make test: pass the tests.  Both make .venv first.

PYTHON ?= python3
BIN := .venv/bin
PROCESSES = $(shell $(PYTHON) -c 'import os; print(min(4, os.cpu_count() + 1))')

.PHONY: demo view test chaos test-wheel test-viewer lint types docs gallery
.PHONY: bench bench-follow bench-scale annarchy examples followers frameworks hooks mpi clean

demo: .venv/demo
	$(BIN)/python examples/tensorboard/quickstart.py
	@echo
	@echo "Now look at it:  make view   (or: $(BIN)/annarchy-tb view)"

view: .venv/demo
	$(BIN)/annarchy-tb view runs

# With coverage, as CI does: make test PYTEST_ARGS=--cov
# There is one process more than processors, for tests also wait.
test: .venv/test
	$(BIN)/python -m pytest -n $(PROCESSES) $(PYTEST_ARGS)

# Random programs, killed and refused, against a model of the API: until Ctrl-C with new
# seeds, or make chaos SECONDS=60 SEEDS=0 (from 0 on). Full disks need root.
chaos: .venv/test
	$(BIN)/python -m tests.chaos $(if $(SECONDS),--seconds $(SECONDS)) \
		$(if $(SEEDS),--seeds $(SEEDS))

# Builds the release, and tries the wheel in an environment of its own.
test-wheel: .venv/test .venv/release
	$(BIN)/python -m pytest tests/release

lint: .venv/lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell

types: .venv/test .venv/lint
	$(BIN)/mypy
	$(BIN)/mypy tests/typing
	$(BIN)/pyright --pythonpath $(BIN)/python tests/typing

# Into docs/_build; a warning is an error, and so is a public name that is missing.
docs: .venv/test .venv/docs
	$(BIN)/sphinx-build -q -W --keep-going -b html docs docs/_build
	$(BIN)/python -m pytest tests/test_docs.py -k "public or rooms"

# The real TensorBoard in a real browser: it needs the system's chromium.
test-viewer: .venv/test .venv/viewer
	$(BIN)/python -m pytest tests/viewer

# The pictures of the docs.
gallery: .venv/test .venv/viewer .venv-followers/followers
	$(BIN)/python tests/viewer/gallery.py
	.venv-followers/bin/python tests/viewer/gallery_mlflow.py
	.venv-followers/bin/python tests/viewer/gallery_wandb.py

# Beside tensorboardX, in fresh processes; a few minutes.
bench: .venv/bench
	$(BIN)/python benchmarks/bench.py

# How the time grows with the number of runs, tags, curves and values; a few minutes.
bench-scale: .venv/bench
	$(BIN)/python benchmarks/scale.py

# What followers cost, and how fast they are beside the places' own clients; many
# minutes, and nothing else may run.
bench-follow: .venv-followers/followers
	.venv-followers/bin/python benchmarks/follow.py
	.venv-followers/bin/python benchmarks/follow_mlflow.py
	.venv-followers/bin/python benchmarks/follow_wandb.py
	.venv-followers/bin/python benchmarks/follow_mirror.py

# ANNarchy compiles its networks: it needs g++, cmake and an activated environment.
annarchy: .venv/annarchy
	. $(BIN)/activate && python examples/tensorboard/izhikevich.py

# The notebooks and the sweep with ANNarchy, on processes, Dask and Spark (needs Java).
examples: .venv/test .venv/examples
	. $(BIN)/activate && python -m pytest tests/test_simulators.py tests/test_notebooks.py

# The hooks with their simulators, each in a process of its own, for ANNarchy has a global
# network; and Brian2 in an environment of its own, for it may need an older NumPy.
hooks: .venv/test .venv/hooks .venv/annarchy .venv-brian2/hooks
	. $(BIN)/activate && ls tests/hooks/test_[!b]*.py | xargs -n 1 -P 2 python -m pytest -q
	. $(BIN)/activate && python -m pytest tests/test_docs.py -k simulator
	.venv-brian2/bin/python -m pytest tests/hooks/test_brian2.py tests/test_docs.py \
		-k brian2

# Lightning and others on the SummaryWriter, and arrays of torch, JAX and xarray, in an
# environment of their own, for torch is large.
frameworks: .venv-torch/frameworks
	.venv-torch/bin/python -m pytest tests/test_frameworks.py tests/test_arrays.py

# Followers with MLflow, Weights & Biases and object stores, in an environment of their
# own, for these are large and have many dependencies.
followers: .venv-followers/followers
	.venv-followers/bin/python -m pytest tests/follow

# One Logger on each rank of MPI, whose library comes from PyPI: two processes.
mpi: .venv-mpi/mpi
	.venv-mpi/bin/python -m pytest tests/test_mpi.py

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/demo: .venv/bin/python setup.cfg
	$(BIN)/pip install --quiet --editable '.[board]'
	@touch $@

.venv/test .venv/lint .venv/docs .venv/viewer .venv/release .venv/bench \
.venv/examples .venv/hooks: .venv/%: .venv/demo
	$(BIN)/pip install --quiet --editable '.[$*]'
	@touch $@

.venv/annarchy: .venv/demo
	$(BIN)/pip install --quiet ANNarchy
	@touch $@

.venv-brian2/hooks: setup.cfg
	$(PYTHON) -m venv .venv-brian2
	.venv-brian2/bin/pip install --quiet --editable '.[brian2]' hypothesis pytest \
		pytest-timeout sybil
	@touch $@

.venv-torch/frameworks: setup.cfg
	$(PYTHON) -m venv .venv-torch
	.venv-torch/bin/pip install --quiet --editable '.[frameworks]' hypothesis pytest \
		pytest-timeout
	@touch $@

.venv-followers/followers: setup.cfg
	$(PYTHON) -m venv .venv-followers
	.venv-followers/bin/pip install --quiet --editable '.[followers]' hypothesis \
		pytest pytest-timeout
	@touch $@

.venv-mpi/mpi: setup.cfg
	$(PYTHON) -m venv .venv-mpi
	.venv-mpi/bin/pip install --quiet --editable '.[mpi]' hypothesis pytest \
		pytest-timeout
	@touch $@

clean:
	rm -rf .venv .venv-brian2 .venv-followers .venv-mpi .venv-torch annarchy docs/_build runs
