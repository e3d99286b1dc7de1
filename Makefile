# Two commands do everything on a fresh machine that has make, git and Python: make demo, make test.
# PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu before them takes torch without CUDA (5 GB less).

PYTHON ?= python3
BIN = .venv/bin
SOURCES = sklearn_meg benchmarks robustness tests examples docs
BENCHMARKS = $(notdir $(patsubst %/,%,$(dir $(wildcard benchmarks/*/run.py))))
# Two at a time: the longest first, so that none is left alone at the end.
LONGEST = encoding connectome robustness nerve
QUICK = $(addprefix quick-,$(LONGEST) $(filter-out $(LONGEST),$(BENCHMARKS)))
PAGES = --doctest-glob=*.rst docs/index.rst docs/install.rst docs/encoding.rst docs/source.rst docs/tms.rst docs/connectome.rst docs/dynamics.rst docs/nerve.rst docs/study.rst docs/faq.rst docs/saving.rst docs/cluster.rst docs/trust.rst docs/own_network.rst docs/mne_objects.rst docs/from_mne_mtrf.rst docs/from_mne_inverse.rst docs/from_simnibs_neuron.rst docs/from_dipy_mrtrix.rst docs/from_libemg_pyriemann.rst docs/from_hmmlearn_osl.rst docs/make_tables.py docs/make_figures.py

# Where Python keeps no bytecode, each process that a test starts compiles all that it imports.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-oldest test-wheel docs clean

demo: .venv/installed
	$(BIN)/sklearn-meg demo --out demo

# Two processes at a time, a thread each: more threads than cores wait for each other.
test test-oldest test-wheel: export OMP_NUM_THREADS = 1
test test-oldest test-wheel: export OPENBLAS_NUM_THREADS = 1
test test-oldest test-wheel: export MKL_NUM_THREADS = 1

test: .venv/tested
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/python -m pytest -q -n 2 --dist worksteal tests sklearn_meg $(PAGES)
	$(MAKE) -j 2 $(QUICK)

# A case of each kind of each benchmark, two at a time; what each prints comes at its end.
quick-%: .venv/tested
	@mkdir -p .venv/quick
	@case $* in robustness) run=robustness;; *) run="benchmarks $*";; esac; \
	$(BIN)/python -m $$run --quick --json .venv/quick/$*.json > .venv/quick/$*.log 2>&1; \
	failed=$$?; cat .venv/quick/$*.log; exit $$failed

# Every estimator with the oldest versions that setup.cfg allows.
OLDEST = tests/test_properties.py tests/test_bad_inputs.py tests/test_saving.py tests/test_checkpoint.py tests/test_base.py tests/study/test_study.py tests/test_metrics.py tests/connectome tests/dynamics

test-oldest: .venv-oldest/tested
	.venv-oldest/bin/python -m pytest -q -n 2 --dist worksteal $(OLDEST)

# The tests against an installed wheel: away from the tree, in an environment of its own.
WHEEL = $(CURDIR)/.venv-wheel

test-wheel: .venv-wheel/tested
	rm -rf $(WHEEL)/dist $(WHEEL)/away && mkdir -p $(WHEEL)/away
	$(WHEEL)/bin/python -m pip wheel -q --no-deps -w $(WHEEL)/dist .
	$(WHEEL)/bin/python -m pip install -q --no-deps --force-reinstall $(WHEEL)/dist/*.whl
	$(WHEEL)/bin/python -m pip check
	cp -r .github conda constraints.txt pyproject.toml setup.* *.md CITATION.cff .pre-commit-config.yaml .zenodo.json LICENSE tests benchmarks robustness docs $(WHEEL)/away
	cd $(WHEEL)/away && ../bin/python -W error -c "import sklearn_meg; print(sklearn_meg.__file__)"
	cd $(WHEEL)/away && ../bin/python -m pytest -q -n 2 --dist worksteal tests
	cd $(WHEEL)/away && ../bin/python -m pytest -q -n 2 --dist worksteal --pyargs sklearn_meg
	cd $(WHEEL)/away && ../bin/python -m pytest -q $(PAGES)

docs: .venv/documented
	$(BIN)/python -m sphinx -b html -W --keep-going docs docs/_build/html

# Of 17 000 files few are imported: Python compiles those when it first reads them.
.venv/installed: setup.cfg constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q --no-compile -c constraints.txt -e .
	touch $@

.venv/tested: .venv/installed
	$(BIN)/python -m pip install -q --no-compile -c constraints.txt -e ".[test,tms,connectome,dynamics,study,dask]"
	touch $@

.venv-oldest/tested: setup.cfg constraints-oldest.txt
	$(PYTHON) -m venv .venv-oldest
	.venv-oldest/bin/python -m pip install -q -c constraints-oldest.txt -e ".[test,dynamics]"
	touch $@

.venv-wheel/tested: setup.cfg constraints.txt
	$(PYTHON) -m venv .venv-wheel
	$(WHEEL)/bin/python -m pip install -q -c constraints.txt ".[test,dynamics]"
	touch $@

.venv/documented: .venv/installed
	$(BIN)/python -m pip install -q -c constraints.txt -e ".[docs]"
	touch $@

clean:
	rm -rf .venv .venv-oldest .venv-wheel demo build dist *.egg-info docs/_build docs/auto_examples docs/generated
