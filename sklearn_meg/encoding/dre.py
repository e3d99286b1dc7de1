"""The deep recurrent encoder as a scikit-learn regressor."""

import numpy as np
import torch
from sklearn.base import RegressorMixin
from sklearn.utils.validation import check_is_fitted

from .._validation import (
    check_option_param,
    check_scalar_param,
    check_targets,
    check_trials,
    flatten_targets,
)
from ..base import TorchEstimator
from ._linear import r2_of_trials
from ._network import RecurrentEncoderNet
from ._rows import Rows, resolve_rows
from ._scaling import locate_subjects, moments_by_subject, standardise, unstandardise
from .recurrent_trf import RecurrentTRF
from .trf import TemporalReceptiveField


class DeepRecurrentEncoder(RegressorMixin, TorchEstimator):
    """PLACEHOLDER."""

    _module_class = RecurrentEncoderNet

    def __init__(
        self,
        *,
        subject_row=None,
        initial_rows=None,
        n_initial=0,
        base="rtrf",
        base_params=None,
        hidden_size=64,
        n_layers=2,
        cell="lstm",
        n_convs=2,
        kernel_size=4,
        embedding_size=16,
        subject_mixing=False,
        dropout=0.0,
        unknown_subject="population",
        max_epochs=40,
        batch_size=32,
        lr=4e-3,
        weight_decay=1e-2,
        schedule="onecycle",
        patience=None,
        clip_norm=1.0,
        validation_fraction=0.1,
        validation_split="random",
        warm_start=False,
        device="auto",
        dtype="float32",
        n_threads=1,
        random_state=None,
        verbose=0,
        callbacks=None,
        net_params=None,
    ):
        self.subject_row = subject_row
        self.initial_rows = initial_rows
        self.n_initial = n_initial
        self.base = base
        self.base_params = base_params
        self.hidden_size = hidden_size
        self.n_layers = n_layers
        self.cell = cell
        self.n_convs = n_convs
        self.kernel_size = kernel_size
        self.embedding_size = embedding_size
        self.subject_mixing = subject_mixing
        self.dropout = dropout
        self.unknown_subject = unknown_subject
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.weight_decay = weight_decay
        self.schedule = schedule
        self.patience = patience
        self.clip_norm = clip_norm
        self.validation_fraction = validation_fraction
        self.validation_split = validation_split
        self.warm_start = warm_start
        self.device = device
        self.dtype = dtype
        self.n_threads = n_threads
        self.random_state = random_state
        self.verbose = verbose
        self.callbacks = callbacks
        self.net_params = net_params

    def fit(self, X, y, groups=None):
        """Fit."""
        fresh = not (self.warm_start and hasattr(self, "net_"))
        return self._fit(X, y, groups, fresh=fresh)

    def partial_fit(self, X, y, groups=None):
        """Go on."""
        return self._fit(X, y, groups, fresh=not hasattr(self, "net_"))

    def _fit(self, X, y, groups, *, fresh):
        self._check_params()
        X = check_trials(self, X, reset=fresh)
        y, ndim = check_targets(y, X)
        rows = resolve_rows(self, X.shape[1], X.shape[2])
        subjects = rows.subject_values(X)
        if fresh:
            self._rows = vars(rows)
            self.subjects_ = np.unique(subjects)
            self.n_outputs_, self._y_ndim = y.shape[1], ndim
        elif y.shape[1] != self.n_outputs_:
            raise ValueError(
                f"y has {y.shape[1]} channels, but {type(self).__name__} was fitted with "
                f"{self.n_outputs_}."
            )
        else:
            locate_subjects(subjects, self.subjects_, "error")
        return self._train(X, y, groups=groups, fresh=fresh)

    def predict(self, X):
        """Predict."""
        check_is_fitted(self)
        X = check_trials(self, X, reset=False)
        y = unstandardise(self._forward(X), self._subject_weights(X), self.y_mean_, self.y_scale_)
        return flatten_targets(y, self._y_ndim)

    def score(self, X, y, sample_weight=None):
        """R2."""
        return r2_of_trials(y, self.predict(X))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    # ------------------------------------------------------------------ for TorchEstimator

    def _check_params(self):
        check_option_param(self, "base", ("rtrf", "trf", None))
        check_option_param(self, "cell", ("lstm", "gru"))
        check_option_param(self, "unknown_subject", ("population", "error"))
        check_scalar_param(self, "hidden_size", "int", 1)
        check_scalar_param(self, "n_layers", "int", 1)
        check_scalar_param(self, "n_convs", "int", 0)
        check_scalar_param(self, "kernel_size", "int", 2)
        if self.kernel_size % 2:
            raise ValueError(
                f"The 'kernel_size' parameter of {type(self).__name__} must be even, so that a "
                f"convolution of stride 2 halves the rate exactly. Got {self.kernel_size} instead."
            )
        check_scalar_param(self, "embedding_size", "int", 0)
        check_scalar_param(self, "dropout", "float", 0, 1, closed="left")

    def _prepare(self, X, y, train):
        rows, n_initial = Rows(**self._rows), self._rows["n_initial"]
        weights = self._subject_weights(X)
        everyone = np.ones((len(X), 1))
        self.y_mean_, self.y_scale_ = moments_by_subject(y, weights, train)
        mean, scale = moments_by_subject(X[:, rows.features], everyone, train)
        self.feature_mean_, self.feature_scale_ = mean[0], scale[0]
        if n_initial:
            self.initial_mean_, self.initial_scale_ = moments_by_subject(
                X[:, rows.initial], weights, train, last=n_initial
            )
        if self.base is not None:
            kind = {"rtrf": RecurrentTRF, "trf": TemporalReceptiveField}[self.base]
            where = {k: getattr(self, k) for k in ("subject_row", "initial_rows", "n_initial")}
            self.base_ = kind(**where, **(self.base_params or {})).fit(X[train], y[train])

    def _module_params(self):
        rows = Rows(**self._rows)
        names = ("hidden_size", "n_layers", "cell", "n_convs", "kernel_size", "embedding_size")
        return {
            "n_features": len(rows.features),
            "n_initial_rows": len(rows.initial),
            "n_channels": self.n_outputs_,
            "n_subjects": len(self.subjects_),
            **{name: getattr(self, name) for name in (*names, "dropout", "subject_mixing")},
            "residual": self.base is not None,
        }

    def _inputs(self, X):
        rows, weights = Rows(**self._rows), self._subject_weights(X)
        everyone = np.ones((len(X), 1))
        parts = {
            "features": standardise(
                X[:, rows.features], everyone, self.feature_mean_[None], self.feature_scale_[None]
            ),
            "subject": weights,
        }
        if rows.n_initial:
            parts["initial"] = standardise(
                rows.initial_values(X), weights, self.initial_mean_, self.initial_scale_
            )
        if "base_" in vars(self):
            base = self.base_.predict(X).reshape(len(X), self.n_outputs_, -1)
            parts["base"] = standardise(base, weights, self.y_mean_, self.y_scale_)
        dtype = getattr(torch, self.dtype)
        return {name: torch.as_tensor(part, dtype=dtype) for name, part in parts.items()}

    def _targets(self, X, y):
        target = standardise(y, self._subject_weights(X), self.y_mean_, self.y_scale_)
        target[:, :, : self._rows["n_initial"]] = np.nan  # known, nothing to learn
        return torch.as_tensor(target, dtype=getattr(torch, self.dtype))

    def _subject_weights(self, X):
        values = Rows(**self._rows).subject_values(X)
        return locate_subjects(values, self.subjects_, self.unknown_subject)
