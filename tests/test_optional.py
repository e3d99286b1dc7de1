"""Every optional dependency that is missing says in one line what to install."""

import sys

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from benchmarks.encoding import real
from robustness import cluster as _trust_cluster
from robustness import inputs
from sklearn_meg import HmmlearnStates, WindowClassifier, save
from sklearn_meg.connectome import fit_tensor_directions
from sklearn_meg.tms import activation_threshold, make_neuron


def hmm(folder):
    HmmlearnStates(n_states=2).fit(np.random.default_rng(0).normal(size=(40, 3)))


def neuron(folder):
    cell = make_neuron("L5 PC")
    activation_threshold(cell, lambda points: np.ones_like(points), solver="neuron")


def tensors(folder):
    fit_tensor_directions(np.zeros((2, 2, 2, 7)), np.ones(7), np.ones((7, 3)))


def others(folder):
    X, y = np.random.default_rng(0).normal(size=(12, 2, 3)), np.arange(12) % 2
    save(WindowClassifier(estimator=KNeighborsClassifier()).fit(X, y), folder / "model")


def cluster(folder):
    with _trust_cluster.cluster():
        pass


def eeglab(folder):
    real.eeglab(folder / "none.set")


def documented(folder):
    inputs.documented_types(WindowClassifier)


MISSING = {
    "hmmlearn": (hmm, r"HmmlearnStates needs hmmlearn: pip install .sklearn-meg\[dynamics\]"),
    "neuron": (neuron, r"needs NEURON: pip install .sklearn-meg\[tms\]"),
    "dipy": (tensors, r"needs dipy: pip install .sklearn-meg\[connectome\]"),
    "skops": (others, "needs skops: pip install .skops"),
    "distributed": (cluster, r"needs dask: pip install .sklearn-meg\[dask\]"),
    "numpydoc": (documented, "benchmark trust needs numpydoc: pip install .numpydoc"),
    "pymatreader": (eeglab, "needs pymatreader: pip install .pymatreader"),
}


@pytest.mark.parametrize("package", MISSING)
def test_a_missing_package_is_named_with_how_to_install_it(package, monkeypatch, tmp_path):
    use, message = MISSING[package]
    for name in [n for n in sys.modules if n == package or n.startswith(f"{package}.")]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=message) as caught:
        use(tmp_path)
    assert "\n" not in str(caught.value)
