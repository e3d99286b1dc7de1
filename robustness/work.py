"""Pieces of work of a second or so that can be killed: each takes a folder and gives arrays."""

import numpy as np
import torch
from sklearn.model_selection import KFold

from sklearn_meg import (
    ConvolutionalMetric,
    DeepRecurrentEncoder,
    HiddenMarkovGraph,
    NerveDecoder,
    NerveRegressor,
    RNNSourceSolver,
    Study,
    TemporalReceptiveField,
    ThresholdCNN,
)
from sklearn_meg.datasets import make_fibers, make_states
from sklearn_meg.tms.generate import make_tms_dataset


def _random(seed, *shapes):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=shape) for shape in shapes]


def _weights(model):
    return [w.cpu().numpy() for w in model.net_.module_.state_dict().values()]


def encoder(folder, seed):
    """DeepRecurrentEncoder on noise."""
    X, y = _random(seed, (60, 3, 40), (60, 4, 40))
    model = DeepRecurrentEncoder(max_epochs=60, hidden_size=16, random_state=seed, cache_dir=folder)
    return [*_weights(model.fit(X, y)), model.predict(X)]


def source(folder, seed):
    """RNNSourceSolver in sensor space, trained by the phases of the paper."""
    (y,) = _random(seed, (4, 20, 60))
    X = (np.arange(60) > 9).astype(float) * np.ones((4, 1, 1))
    model = RNNSourceSolver(
        localizer="penalty", max_epochs=150, random_state=seed, cache_dir=folder
    )
    return [*_weights(model.fit(X, y)), model.predict(X)]


def threshold(folder, seed):
    """ThresholdCNN on fields of chance; thresholds halve where fields double."""
    X, noise, size = _random(seed, (200, 5, 5, 5, 3), 200, 200)
    X, y = X * np.exp(size)[:, None, None, None, None], np.exp(noise / 4 - size)
    model = ThresholdCNN(max_epochs=50, random_state=seed, cache_dir=folder)
    return [*_weights(model.fit(X, y)), model.predict(X)]


def connectome(folder, seed):
    """ConvolutionalMetric on an annulus."""
    X = make_fibers("annulus", size=16).X
    model = ConvolutionalMetric(max_epochs=60, random_state=seed, cache_dir=folder)
    return [*_weights(model.fit(X)), model.metric_]


def decoder(folder, seed):
    """NerveDecoder on features of chance."""
    (X,) = _random(seed, (60, 12, 20))
    y = np.arange(60) % 4
    model = NerveDecoder(max_epochs=60, hidden_size=16, random_state=seed, cache_dir=folder)
    return [*_weights(model.fit(X + y[:, None, None] / 3, y)), model.predict_proba(X)]


def regressor(folder, seed):
    """NerveRegressor on features of chance."""
    X, y = _random(seed, (60, 12, 20), (60, 3, 20))
    model = NerveRegressor(max_epochs=60, hidden_size=16, random_state=seed, cache_dir=folder)
    return [*_weights(model.fit(X, y)), model.predict(X)]


def states(folder, seed):
    """HiddenMarkovGraph, all recordings at once."""
    X = make_states("hard", n_subjects=6, n_times=600, random_state=seed).X
    model = HiddenMarkovGraph(n_states=4, random_state=seed, cache_dir=folder).fit(X)
    return [model.means_, model.covariances_, model.transmat_, model.history_, model.visits_]


def stochastic(folder, seed):
    """HiddenMarkovGraph, a recording at a time: most of it are passes in random order."""
    X = make_states("easy", n_subjects=60, n_times=400, random_state=seed).X
    model = HiddenMarkovGraph(
        n_states=4, n_init=2, batch_size=1, random_state=seed, cache_dir=folder
    ).fit(X)
    return [model.means_, model.covariances_, model.transmat_, model.history_, model.visits_]


def study(folder, seed):
    """A study of two models in six folds, in a store, whose fits keep checkpoints, too."""
    X, y = _random(seed, (60, 3, 30), (60, 3, 30))
    deep = DeepRecurrentEncoder(
        max_epochs=15, hidden_size=8, random_state=seed, cache_dir=folder / "fits"
    )
    models = {"trf": TemporalReceptiveField(), "deep": deep}
    result = Study(models, cv=KFold(6), cache_dir=folder / "store").run(X, y)
    scores = result.table_.select_dtypes("number").drop(columns=["fit_s", "predict_s"])
    return [scores.to_numpy(float), *result.maps_.values()]


def thresholds(folder, seed):
    """A data set of thresholds by NEURON."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "data.npz"
    made = make_tms_dataset("L1 NGC", 90, path, random_state=seed, verbose=0)
    return [made["grids"], made["threshold"], made["position"]]


#: Names of the table, and the work.
WORK = {
    "DeepRecurrentEncoder": encoder,
    "RNNSourceSolver": source,
    "ThresholdCNN": threshold,
    "ConvolutionalMetric": connectome,
    "NerveDecoder": decoder,
    "NerveRegressor": regressor,
    "HiddenMarkovGraph": states,
    "HiddenMarkovGraph, stochastic": stochastic,
    "Study": study,
    "thresholds": thresholds,
}
torch.set_num_threads(1)  # a process of its own: many run in turn
