# Two commands do everything on a fresh machine that has make, git and Python: make demo, make test.

PYTHON ?= python3
BIN = .venv/bin
SOURCES = sklearn_meg benchmarks robustness tests examples docs
BENCHMARKS = $(notdir $(patsubst %/,%,$(dir $(wildcard benchmarks/*/run.py))))
PAGES = --doctest-glob=*.rst docs/index.rst docs/encoding.rst docs/source.rst docs/tms.rst docs/connectome.rst docs/dynamics.rst docs/nerve.rst docs/study.rst docs/saving.rst docs/cluster.rst docs/trust.rst docs/own_network.rst docs/mne_objects.rst docs/make_tables.py

.PHONY: demo test test-oldest docs clean

demo: .venv/installed
	$(BIN)/sklearn-meg demo --out demo

test: .venv/tested
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/python -m pytest -q -n 2
	$(BIN)/python -m pytest -q $(PAGES)
	for name in $(BENCHMARKS); do \
	  $(BIN)/python -m benchmarks $$name --quick --json .venv/quick.json || exit 1; \
	done
	$(BIN)/python -m robustness --quick --json .venv/quick.json

# Every estimator with the oldest versions that setup.cfg allows.
OLDEST = tests/test_properties.py tests/test_bad_inputs.py tests/test_saving.py tests/test_checkpoint.py tests/test_base.py tests/study/test_study.py tests/test_metrics.py tests/connectome tests/dynamics

test-oldest: .venv-oldest/tested
	.venv-oldest/bin/python -m pytest -q -n 2 $(OLDEST)

docs: .venv/documented
	$(BIN)/python -m sphinx -b html -W --keep-going docs docs/_build/html

.venv/installed: setup.cfg constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q -c constraints.txt -e .
	touch $@

.venv/tested: .venv/installed
	$(BIN)/python -m pip install -q -c constraints.txt -e ".[test,tms,connectome,dynamics,dask]"
	touch $@

.venv-oldest/tested: setup.cfg constraints-oldest.txt
	$(PYTHON) -m venv .venv-oldest
	.venv-oldest/bin/python -m pip install -q -c constraints-oldest.txt -e ".[test,dynamics]"
	touch $@

.venv/documented: .venv/installed
	$(BIN)/python -m pip install -q -c constraints.txt -e ".[docs]"
	touch $@

clean:
	rm -rf .venv .venv-oldest demo build dist *.egg-info docs/_build docs/auto_examples docs/generated
