# make report   everything from nothing: environment, demo dataset (synthetic), study, figures, report/report.html
# make test     the test suite            make test-all   with the long tests
# make lab      JupyterLab                make lint       style, import layers, notebooks without outputs
# make bench    benchmarks (docs/performance.md); ARGS="--only input_path --quick" for a part
# make gallery  small copies of the figures of the last `make report`, kept in git (figures/README.md)

# Compiled modules are kept, whatever the shell says: every kernel and every worker of a study loads them.
export PYTHONDONTWRITEBYTECODE :=

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# A file's fixtures are made once; tests/conftest.py says which files come first.
PARALLEL := -n auto --dist loadfile --no-loadscope-reorder

.PHONY: report test test-all bench gallery lab lint check-python

report: $(INSTALLED)
	$(BIN)/poseemo study parameters/studies/demo.yaml
	$(BIN)/poseemo report runs/demo --out report --figures figures

test: $(INSTALLED)
	$(BIN)/pytest -m "not slow" $(PARALLEL)

test-all: $(INSTALLED)
	$(BIN)/pytest $(PARALLEL)

bench: $(INSTALLED)
	$(BIN)/python benchmarks/bench.py $(ARGS)

gallery: $(INSTALLED)
	$(BIN)/python figures/make_gallery.py

lab: $(INSTALLED)
	$(BIN)/jupyter lab notebooks

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/nbstripout --verify notebooks/*.ipynb

$(INSTALLED): pyproject.toml constraints.txt
	@$(MAKE) --no-print-directory check-python GOAL="$(MAKECMDGOALS)"
	$(PYTHON) -m venv $(VENV)
	@echo "installing the packages of constraints.txt into $(VENV) (minutes, the first time)"
	$(BIN)/pip install -q -c constraints.txt -e '.[test]'
	touch $@

check-python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11, 5))' || { \
	echo "poseemo needs Python 3.11.5 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1)."; \
	echo "Install one (python.org, pyenv, or: conda env create -f environment.yml) and run: make PYTHON=/path/to/python3.11 $(GOAL)"; \
	exit 1; }
