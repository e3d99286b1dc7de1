"""Ordinary uses of scikit-learn and MNE, each as a function that runs it on a tiny world.

``python docs/make_uses.py`` writes the page of them; a test runs each with every kind of model.
"""

import copy
import io
import pickle
import tempfile
from pathlib import Path

import joblib
import numpy as np
import sklearn
from sklearn import ensemble, model_selection
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.feature_selection import SequentialFeatureSelector
from sklearn.frozen import FrozenEstimator
from sklearn.inspection import permutation_importance
from sklearn.pipeline import FeatureUnion, make_pipeline

import sklearn_meg

from .kinds import ENCODERS, FIELD, KINDS, SOURCE, STATES, SUPERVISED


def _same(use, first, second):
    for a, b in zip(use.world.results(first), use.world.results(second), strict=True):
        np.testing.assert_array_equal(a, b)


# ---------------------------------------------------------------------- keeping


def cloning(use):
    """``clone``, ``get_params``, ``set_params``."""
    twin = clone(use.known)
    assert twin.set_params(**use.model().get_params()).get_params().keys()


def showing(use):
    """``repr`` and the HTML of a notebook."""
    assert use.kind in repr(use.known)
    assert use.kind in use.model()._repr_html_()


def pickling(use):
    """``pickle``, before and after ``fit``."""
    model = use.known
    _same(use, model, pickle.loads(pickle.dumps(model)))


def dumping(use):
    """``joblib.dump`` and ``load``."""
    model, file = use.known, io.BytesIO()
    joblib.dump(model, file)
    file.seek(0)
    _same(use, model, joblib.load(file))


def copying(use):
    """``copy.deepcopy``."""
    model = use.known
    _same(use, model, copy.deepcopy(model))


def saving(use):
    """``sklearn_meg.save`` and ``load``: no pickle."""
    model = use.known
    with tempfile.TemporaryDirectory() as folder:
        sklearn_meg.save(model, Path(folder) / "model")
        _same(use, model, sklearn_meg.load(Path(folder) / "model"))


def skops_file(use):
    """``skops.io`` with the types of this package trusted."""
    import skops.io

    model = use.known
    data = skops.io.dumps(model)
    types = skops.io.get_untrusted_types(data=data)
    assert all(name.startswith("sklearn_meg.") for name in types), types
    _same(use, model, skops.io.loads(data, trusted=types))


def freezing(use):
    """``FrozenEstimator`` around a fitted model."""
    model = use.known
    _same(use, model, FrozenEstimator(model))


# ---------------------------------------------------------------------- joining


def piping(use):
    """``Pipeline``."""
    pipe = use.fit(make_pipeline("passthrough", use.model()))
    use.world.results(pipe[-1])


def caching(use):
    """``Pipeline`` with ``memory=``."""
    with tempfile.TemporaryDirectory() as folder:
        use.fit(make_pipeline("passthrough", use.model(), memory=folder))


def joining(use):
    """``FeatureUnion`` of what it transforms."""
    use.fit(FeatureUnion([("a", use.model())])).transform(use.X)


def pandas_output(use):
    """``set_output(transform="pandas")``: works, or is not offered."""
    model = use.model()
    if hasattr(model, "set_output"):
        use.fit(model.set_output(transform="pandas"))
        model.transform(use.X)


def scaled_target(use):
    """``TransformedTargetRegressor``."""
    scaler = sklearn_meg.ChannelScaler() if use.y.ndim == 3 else None
    use.fit(TransformedTargetRegressor(use.model(), transformer=scaler)).predict(use.X)


# ---------------------------------------------------------------------- cross-validation


def _cv(use, **options):
    """Two folds; an error is one."""
    return {"cv": model_selection.KFold(2), "error_score": "raise", **options}


def scoring(use):
    """``cross_val_score``, the model's own score."""
    scores = model_selection.cross_val_score(use.model(), use.X, use.y, **_cv(use))
    assert np.isfinite(scores).all()


def stock_scorers(use):
    """``cross_validate`` with scorers of scikit-learn, y flat."""
    _, _, y = use.flat
    names = ["accuracy", "neg_log_loss"] if is_classifier(use.model()) else ["r2", "max_error"]
    names[1:] = ["neg_mean_squared_error"] if names[0] == "r2" else names[1:]
    model_selection.cross_validate(use.model(), use.X, y, scoring=names, **_cv(use))


def predicting(use):
    """``cross_val_predict``."""
    model_selection.cross_val_predict(use.model(), use.X, use.y, cv=model_selection.KFold(2))


def grouped(use):
    """``GroupKFold`` with ``groups=``."""
    options = _cv(use, cv=model_selection.GroupKFold(2), groups=use.groups)
    model_selection.cross_validate(use.model(), use.X, use.y, **options)


def shuffled(use):
    """``ShuffleSplit``, and ``StratifiedShuffleSplit`` for classes."""
    stratified = is_classifier(use.model())
    split = model_selection.StratifiedShuffleSplit if stratified else model_selection.ShuffleSplit
    model_selection.cross_val_score(
        use.model(), use.X, use.y, **_cv(use, cv=split(1, test_size=0.4, random_state=0))
    )


def in_time(use):
    """``TimeSeriesSplit``."""
    cv = model_selection.TimeSeriesSplit(2)
    model_selection.cross_val_score(use.model(), use.X, use.y, **_cv(use, cv=cv))


def two_jobs(use):
    """Two jobs at once, the same numbers as one."""
    args, options = (use.model(), use.X, use.y), _cv(use)
    with joblib.parallel_config("threading"):
        two = model_selection.cross_val_score(*args, n_jobs=2, **options)
    np.testing.assert_array_equal(two, model_selection.cross_val_score(*args, **options))


def nested(use):
    """A search inside ``cross_val_score``."""
    name, values = use.param
    search = model_selection.GridSearchCV(use.model(), {name: values[:1]}, **_cv(use))
    model_selection.cross_val_score(search, use.X, use.y, **_cv(use))


def routed(use):
    """The same with groups, by metadata routing."""
    name, values = use.param
    folds = _cv(use, cv=model_selection.GroupKFold(2))
    with sklearn.config_context(enable_metadata_routing=True):
        search = model_selection.GridSearchCV(use.model(), {name: values[:1]}, **folds)
        params = {"params": {"groups": use.groups}}
        model_selection.cross_validate(search, use.X, use.y, **folds, **params)


def routed_score(use):
    """``Pipeline.score`` under metadata routing."""
    with sklearn.config_context(enable_metadata_routing=True):
        pipe = use.fit(make_pipeline("passthrough", use.model()))
        pipe.score(*(a for a in (use.X, use.y) if a is not None))


def permuted_labels(use):
    """``permutation_test_score``."""
    model_selection.permutation_test_score(
        use.model(), use.X, use.y, cv=model_selection.KFold(2), n_permutations=1
    )


def learning(use):
    """``learning_curve``."""
    model_selection.learning_curve(use.model(), use.X, use.y, train_sizes=[0.7, 1.0], **_cv(use))


def validating(use):
    """``validation_curve``."""
    name, values = use.param
    model_selection.validation_curve(
        use.model(), use.X, use.y, param_name=name, param_range=values, **_cv(use)
    )


# ---------------------------------------------------------------------- searches


def grid(use):
    """``GridSearchCV``."""
    name, values = use.param
    use.fit(model_selection.GridSearchCV(use.model(), {name: values}, **_cv(use)))


def random_search(use):
    """``RandomizedSearchCV``."""
    name, values = use.param
    search = model_selection.RandomizedSearchCV
    use.fit(search(use.model(), {name: values}, n_iter=1, random_state=0, **_cv(use)))


def halving(use):
    """``HalvingGridSearchCV``."""
    from sklearn.experimental import enable_halving_search_cv  # noqa: F401

    name, values = use.param
    n = len(use.X)
    search = model_selection.HalvingGridSearchCV(
        use.model(), {name: values}, min_resources=2 * n // 3, factor=2, **_cv(use)
    )
    use.fit(search)


# ---------------------------------------------------------------------- ensembles, inspection


def bagging(use):
    """``Bagging`` behind an adapter for flat X."""
    model, X, y = use.flat
    kind = ensemble.BaggingClassifier if is_classifier(model) else ensemble.BaggingRegressor
    kind(model, n_estimators=2, random_state=0).fit(X, y).predict(X)


def voting(use):
    """``Voting``; regressors with one output."""
    model = use.model()
    if is_classifier(model):
        ensemble.VotingClassifier([("a", model)], voting="soft").fit(use.X, use.y).predict(use.X)
    else:
        ensemble.VotingRegressor([("a", model)]).fit(use.X, use.y).predict(use.X)


def stacking(use):
    """``Stacking``; regressors with one output."""
    classes = is_classifier(use.model())
    kind = ensemble.StackingClassifier if classes else ensemble.StackingRegressor
    kind([("a", use.model())], cv=2).fit(use.X, use.y).predict(use.X)


def calibrating(use):
    """``CalibratedClassifierCV``."""
    CalibratedClassifierCV(use.model(), cv=2).fit(use.X, use.y).predict_proba(use.X)


def importance(use):
    """``permutation_importance`` behind an adapter for flat X."""
    model, X, y = use.flat
    permutation_importance(model.fit(X, y), X, y, n_repeats=1, random_state=0)


def selecting(use):
    """``SequentialFeatureSelector``."""
    SequentialFeatureSelector(use.model(), n_features_to_select=1, cv=2).fit(use.X, use.y)


# ---------------------------------------------------------------------- data


def single_precision(use):
    """float32 in."""
    y = use.y
    if y is not None and y.dtype == float:
        y = y.astype(np.float32)
    use.world.fit(use.model(), use.X.astype(np.float32), y)


def read_only(use):
    """Read-only arrays, as joblib hands them to workers."""
    X = use.X.copy()
    X.flags.writeable = False
    use.world.fit(use.model(), X, use.y)


def mapped(use):
    """A memory-mapped file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "X.npy"
        np.save(path, use.X)
        use.world.fit(use.model(), np.load(path, mmap_mode="r"), use.y)


def tensors(use):
    """Tensors of torch."""
    import torch

    arrays = [None if a is None else torch.from_numpy(np.array(a)) for a in (use.X, use.y)]
    use.world.fit(use.model(), *arrays)


def lists(use):
    """Nested lists."""
    use.world.fit(use.model(), use.X.tolist(), None if use.y is None else use.y.tolist())


def epochs(use):
    """MNE ``Epochs``, also through a splitter."""
    import mne

    rng = np.random.default_rng(0)
    info = mne.create_info(4, 1000.0, "mag")
    data = 1e-13 * rng.normal(size=(12, 4, 300))
    data = mne.EpochsArray(data, info, tmin=-0.1, verbose=False)
    X, y, params = {
        "NerveDecoder": (data, np.arange(12) % 2, {"sfreq": 1000.0, "session_row": None}),
        "NerveRegressor": (
            data,
            rng.normal(size=(12, 2)),
            {"sfreq": 1000.0, "window": 0.3, "hop": 0.3, "session_row": None},
        ),
    }.get(use.kind, (np.ones((12, 1, 300)), data, {}))
    if use.kind in SOURCE:
        X, y = data, None
    params = {**use.world.params, **params}
    if use.kind in ENCODERS:
        params = {k: v for k, v in params.items() if not k.endswith(("_row", "_rows", "_initial"))}
    model_selection.cross_val_score(use.world.cls(**params), X, y, **_cv(use))


def weights_in_score(use):
    """``score(..., sample_weight=)``."""
    assert is_regressor(use.model()) or is_classifier(use.model())
    use.fitted().score(use.X, use.y, sample_weight=np.ones(len(use.X)))


def weights_in_fit(use):
    """``fit(..., sample_weight=)``."""
    use.model().fit(use.X, use.y, sample_weight=np.ones(len(use.X)))


def going_on(use):
    """``warm_start`` or ``partial_fit``."""
    model = use.fitted()
    if hasattr(model, "partial_fit"):
        model.partial_fit(*(a for a in (use.X, use.y) if a is not None))
    else:
        use.fit(model.set_params(warm_start=True))


USES = (
    cloning, showing, pickling, dumping, copying, saving, skops_file, freezing,
    piping, caching, joining, pandas_output, scaled_target,
    scoring, stock_scorers, predicting, grouped, shuffled, in_time, two_jobs, nested, routed,
    routed_score, permuted_labels, learning, validating,
    grid, random_search, halving,
    bagging, voting, stacking, calibrating, importance, selecting,
    single_precision, read_only, mapped, tensors, lists, epochs,
    weights_in_score, weights_in_fit, going_on,
)  # fmt: skip

NO_FOLDS = "one field is one sample: there is nothing to hold out"
NO_TARGET = "has no y: it is scored by how well it describes X"
ONE_OUTPUT = "scikit-learn combines one number a sample; here a sample has channels x times"
NO_WEIGHTS = (
    "the amplitude of a peak is its weight, and mask leaves voxels out; the length of a recording "
    "is its weight, and it can be left out of the list"
)
NO_CLASSES = "for classifiers"
NO_ITERATION = (
    "computed in closed form, or anew from several starts: there is nothing to go on from"
)
FOLDED = (
    "scoring", "stock_scorers", "predicting", "grouped", "shuffled", "in_time", "two_jobs",
    "nested", "routed", "permuted_labels", "learning", "validating", "grid", "random_search",
    "halving",
)  # fmt: skip
REGRESSORS = tuple(k for k in SUPERVISED if k != "NerveDecoder")

# What cannot be, and why: use -> {kinds: sentence}. Each of these raises; a test runs them, too.
EXPLAINED = {
    **{name: {FIELD: NO_FOLDS} for name in FOLDED},
    "stock_scorers": {FIELD: NO_FOLDS, STATES: NO_TARGET},
    "permuted_labels": {FIELD: NO_FOLDS, STATES: NO_TARGET},
    "joining": {
        tuple(
            k for k in KINDS if k not in STATES
        ): "transforms to more than two dimensions, or not at all; join rows of X with "
        "pack_rows instead",
    },
    "scaled_target": {
        (*FIELD, *STATES): NO_TARGET,
    },
    "routed_score": {
        (*FIELD, *STATES): "scikit-learn's Pipeline always routes sample_weight, which only scores "
        "against a y take (its GaussianMixture fails alike); score the last step",
    },
    "bagging": {(*FIELD, *STATES): NO_TARGET},
    "voting": {(*FIELD, *STATES): NO_TARGET, (*SOURCE, *ENCODERS, "NerveRegressor"): ONE_OUTPUT},
    "stacking": {(*FIELD, *STATES): NO_TARGET, (*SOURCE, *ENCODERS, "NerveRegressor"): ONE_OUTPUT},
    "calibrating": {REGRESSORS: NO_CLASSES, (*FIELD, *STATES): NO_TARGET},
    "importance": {
        (*ENCODERS, "NerveDecoder", "NerveRegressor"): "it permutes single columns, and a row with "
        "the subject or session is one value a trial; see permutation_importance_over_time",
        ("MinimumNorm",): "permuted events are events that were not fitted",
    },
    "selecting": {
        KINDS: "scikit-learn selects columns of 2-D X; for features over time see "
        "permutation_importance_over_time",
    },
    "epochs": {
        ("ThresholdCNN",): "takes electric fields, not signals",
        FIELD: "takes directions of fibers, not signals",
        STATES: "takes recordings of regions: give epochs.get_data(), or labels of sources",
    },
    "lists": {STATES: "a list is a list of recordings, each of them an array"},
    "weights_in_score": {(*FIELD, *STATES): NO_TARGET},
    "weights_in_fit": {(*FIELD, *STATES): NO_WEIGHTS},
    "going_on": {
        ("TemporalReceptiveField", *SOURCE, *FIELD, *STATES): NO_ITERATION,
        ("NerveDecoder", "NerveRegressor"): "new sessions adapt a fitted model instead",
    },
}


def reason(use, kind):
    """Why a use cannot be for a kind of model; None where it works."""
    found = EXPLAINED.get(use.__name__, {})
    return next((text for kinds, text in found.items() if kind in kinds), None)
