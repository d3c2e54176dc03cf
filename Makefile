# make report   everything from nothing: environment, demo dataset (synthetic), study, figures, report/report.html
# make test     the test suite            make test-all   with the long tests
# make lab      JupyterLab                make lint       style, and notebooks without outputs

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: report test test-all lab lint check-python

report: $(INSTALLED)
	$(BIN)/poseemo study parameters/studies/demo.yaml
	$(BIN)/poseemo report runs/demo --out report --figures figures

test: $(INSTALLED)
	$(BIN)/pytest -m "not slow" -n auto --dist loadfile

test-all: $(INSTALLED)
	$(BIN)/pytest -n auto --dist loadfile

lab: $(INSTALLED)
	$(BIN)/jupyter lab notebooks

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
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
