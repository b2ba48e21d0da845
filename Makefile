# make demo, make test: everything a newcomer needs. Each target makes .venv and installs first, if that has not been done.
PYTHON ?= python3
STAMP := .venv/.installed
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export OMP_NUM_THREADS ?= 2

.PHONY: demo test lab docs
demo: $(STAMP) ## train on embedded textures, test on others, write demo/
	cozad demo --out demo

test: $(STAMP) ## run every notebook from top to bottom
	python .ci/test_notebooks.py

lab: $(STAMP) ## open the first notebook
	jupyter lab nbs/learn/00_start_here.ipynb

docs: $(STAMP) ## build the site in _docs and check its links
	python .ci/docs.py

$(STAMP): settings.ini setup.py
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'cozad needs Python 3.11 or newer: make PYTHON=python3.12 ...')"
	$(PYTHON) -m venv .venv
	python -m pip install --quiet --upgrade pip setuptools wheel
	python -m pip install --quiet --no-build-isolation --editable '.[dev]'
	touch $@
