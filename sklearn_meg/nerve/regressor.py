"""Intended movements from nerve or muscle signals: several degrees of freedom at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from sklearn.cluster import KMeans
from sklearn.utils.validation import _num_samples

from .._checks.params import (
    check_bool_param,
    check_option_param,
    check_random_state,
    check_scalar_param,
)
from .._checks.trials import kept_trials
from .._params import documented
from .._training.batches import mean_of_counted
from .._training.device import limited_threads
from .._training.threads import one_thread
from ..base import ComputeParams, OptimizerParams, ValidationParams
from ._boosting import boosted, fit_boosting, gate
from ._linear import as_rows, fit_ridge, folds_of, of_rows
from ._movements import NerveMovements
from ._params import HistoryParams, NetworkParams, SessionParams, WindowParams
from ._settings import SETTINGS
from .decoder import RecurrentModel

if TYPE_CHECKING:
    from typing import Literal

    from .._typing import ArrayLike, Self

__all__ = ["NerveRegressor"]


@documented
@dataclass(kw_only=True, eq=False, repr=False)
class NerveRegressor(
    WindowParams,
    SessionParams,
    HistoryParams,
    NetworkParams,
    OptimizerParams,
    ValidationParams,
    ComputeParams,
    NerveMovements,
    RecurrentModel,
):
    """Regression of several degrees of freedom: ridge regression plus a causal network.

    Parameters
    ----------
    strategy : {"auto", "both", "direct", "classify"}, default="auto"
        "direct": the network adds to a ridge regression what that misses on trials that it has not
        seen. "classify": trials are put into `n_gestures` kinds of movement, the network says which
        kind, and a ridge regression of its own says how far; their mean is weighted with the
        probabilities. "both": one network does both, and the mean of the two is the answer. "auto":
        "both" where kinds explain most of where movements end, and each has trials enough to be
        learned; else "direct".
    n_gestures : int, default=10
        Kinds of movement; not for "direct".
    boosting : bool, default=True
        Whether boosted trees learn what ridge regression misses. They count as far as they help on
        windows left out.
    gated : bool, default=True
        Whether the network, too, counts as far as it helps on trials left out (for "direct"); it
        is trained twice then.
    %(WindowParams)s
    %(SessionParams)s
    %(HistoryParams)s
    %(NetworkParams)s
    %(OptimizerParams)s
    %(ValidationParams)s
    %(ComputeParams)s

    Attributes
    ----------
    thresholds_ : ndarray of shape (2, n_channels)
        See :class:`NerveFeatures`; where X is raw.
    sessions_ : ndarray
        Sessions of ``fit``.
    normal_, session_normals_ : ndarray of shape (2, n_features) and (n_sessions, 2, n_features)
        Mean and standard deviation of the features.
    coef_, intercept_ : ndarray
        Weights and intercept of the ridge regression, from normalized features to standardized
        movements.
    kind_coef_, kind_intercept_ : ndarray
        Those of each kind of movement, not for "direct".
    n_outputs_ : int
        Degrees of freedom.
    history_length_ : int
        Number of earlier windows that ridge regression and boosting look at.
    trees_ : list of HistGradientBoostingRegressor or None
        Boosted trees of each degree of freedom, None where they do not help.
    gates_, network_gates_ : ndarray of shape (n_outputs,)
        Weights of trees and network.
    strategy_ : {"both", "direct", "classify"}
        Strategy that was chosen.
    y_mean_, y_scale_ : ndarray of shape (n_outputs,)
    usual_scores_ : ndarray of shape (n_trials,)
        Distance of each trial from the others when it was left out, for ``is_unusual``.
    net_ : skorch.NeuralNet
    history_ : list of dict
        Losses of each epoch.
    n_iter_ : int
    device_ : str
    n_features_in_ : int
        Rows of X.

    See Also
    --------
    NerveDecoder : Gestures.
    NerveFeatures.at_windows : The movements at the windows.

    References
    ----------
    Luu et al. (2022), arXiv 2203.08648: one-step regression and classify-then-regress.

    Examples
    --------
    >>> from sklearn_meg import NerveRegressor
    >>> from sklearn_meg.datasets import make_nerve
    >>> from sklearn_meg.nerve import NerveFeatures
    >>> nerve = make_nerve((0,), n_train=2, n_test=1, duration=0.5)
    >>> y = NerveFeatures(sfreq=nerve.sfreq).at_windows(nerve.dof)
    >>> model = NerveRegressor(sfreq=nerve.sfreq, session_row=-1, max_epochs=3, random_state=0)
    >>> model.fit(nerve.X, y).predict(nerve.X).shape  # 6 degrees of freedom, 21 windows
    (30, 6, 21)
    """

    strategy: Literal["auto", "both", "direct", "classify"] = "auto"
    n_gestures: int = 10
    boosting: bool = True
    gated: bool = True
    max_epochs: int = 60
    batch_size: int = 16
    lr: float = 3e-3
    weight_decay: float = 1e-2
    validation_fraction: float | Literal["auto"] = 0

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        groups: ArrayLike | None = None,
        *,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Train on trials whose movements are known.

        Parameters
        ----------
        X : array-like of shape (n_trials, n_rows, n_times) or (n_trials, n_features)
        y : array-like of shape (n_trials, n_dof, n_windows)
            Movements at the windows; or flat, ``(n_trials, n_dof * n_windows)``; or 1-D for one
            degree of freedom in one window.
        groups : array-like of shape (n_trials,), default=None
            Trials of one group stay together in the inner validation split.
        sample_weight : array-like of shape (n_trials,), default=None
            Weight of each trial: one of weight 2 counts as two, one of weight 0 is left out.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError, TypeError
            For NaN or infinity, shapes that do not go together, or a parameter out of range;
            always before training.
        NonFiniteLossError
            If the loss becomes NaN or infinite.
        """
        self._check_params()
        Z, target, weights = self._check_movements(X, y, sample_weight)
        groups = kept_trials(sample_weight, _num_samples(X), groups)[1]
        for name in ("kind_coef_", "kind_intercept_"):
            self.__dict__.pop(name, None)  # of an earlier fit
        with limited_threads(self.n_threads):
            missed = self._fit_base(Z, target, weights)
            self.strategy_, kinds = self._strategy(target, weights)
            parts = []
            if self.strategy_ != "classify":
                parts.append(missed)
            if self.strategy_ != "direct":
                parts.append(self._fit_kinds(Z, target, kinds, weights))
        target = np.concatenate(parts, axis=1)
        self._n_outputs = target.shape[1]
        self.network_gates_ = np.ones(self.n_outputs_)
        n_trials = len(Z)
        Z, target = _pieces(Z), _pieces(target)
        if weights is not None:
            weights = np.repeat(weights, len(Z) // n_trials)
        if self.strategy_ == "direct" and self.gated:
            self.network_gates_ = self._gates(Z, target, weights)
        groups = groups if len(Z) == n_trials else None
        return self._train(Z, target, groups=groups, sample_weight=weights)

    def _fit_base(self, Z, target, weights):
        """Ridge regression and boosting; returns what both miss on windows left out."""
        L = self._lagged(Z)[0]
        self.coef_, self.intercept_, unseen, _ = fit_ridge(L, target, weights)
        missed = target - unseen
        self.trees_, self.gates_ = [None] * self.n_outputs_, np.zeros(self.n_outputs_)
        if self.boosting:
            seed = check_random_state(self.random_state).randint(2**31 - 1)
            fold = folds_of(len(Z), Z.shape[2]).ravel()
            args = as_rows(L), as_rows(missed), fold, seed
            of_windows = None if weights is None else np.repeat(weights, Z.shape[2])
            self.trees_, self.gates_, more = fit_boosting(*args, of_windows)
            missed = missed - of_rows(more, len(Z))
        return missed

    def _gates(self, Z, target, weights):
        """How far the network can be trusted: measured on every fifth trial, left out for that."""
        n_folds = SETTINGS.ridge_folds
        held = np.arange(len(Z)) % n_folds == 0
        if len(Z) < 2 * n_folds:
            return np.ones(self.n_outputs_)
        learned, judged = (None if weights is None else weights[i] for i in (~held, held))
        self._train(Z[~held], target[~held], sample_weight=learned)
        with limited_threads(self.n_threads):
            guess = self._forward(Z[held]).astype(float)
        pairs = zip(as_rows(target[held]).T, as_rows(guess).T, strict=True)
        if judged is not None:
            judged = np.repeat(judged, Z.shape[2])
        return np.array([gate(true, said, judged) for true, said in pairs])

    def _strategy(self, target, weights):
        """What to do, and kinds of movement by their end."""
        if self.strategy == "direct":
            return "direct", None
        ends = target[:, :, -1]
        n = min(self.n_gestures, len(np.unique(ends.round(9), axis=0)))
        seed = check_random_state(self.random_state).randint(2**31 - 1)
        with one_thread():
            means = KMeans(n, n_init=5, random_state=seed).fit(ends, sample_weight=weights)
        if self.strategy != "auto":
            return self.strategy, means.labels_
        w = np.ones(len(ends)) if weights is None else weights
        away = (w @ np.square(ends - np.average(ends, axis=0, weights=w))).sum()
        missed = means.inertia_ / away if n > 1 else 1.0
        enough = np.bincount(means.labels_, w).min() >= SETTINGS.least_of_kind
        enough = enough and 1 - missed >= SETTINGS.explained
        return "both" if enough else "direct", means.labels_

    def _fit_kinds(self, Z, target, kinds, weights):
        """A ridge regression for each kind; returns kinds as targets."""
        n = kinds.max() + 1
        w = np.ones(len(Z)) if weights is None else weights
        parts = (kinds == k for k in range(n))
        found = [fit_ridge(Z[part], target[part], w[part]) for part in parts]
        self.kind_coef_ = np.stack([each[0] for each in found])
        self.kind_intercept_ = np.stack([each[1] for each in found])
        return np.repeat(np.eye(n)[kinds][:, :, np.newaxis], Z.shape[2], axis=2)

    # ------------------------------------------------------------------ for TorchEstimator

    def _check_params(self):
        super()._check_params()
        check_option_param(self, "strategy", ("auto", "both", "direct", "classify"))
        check_scalar_param(self, "n_gestures", "int", 2)
        check_bool_param(self, "boosting")
        check_bool_param(self, "gated")

    def _criterion(self):
        return MovementLoss(0 if self.strategy_ == "classify" else self.n_outputs_)

    def _targets(self, X, y):
        return torch.as_tensor(y, dtype=self._tensor_dtype)

    def _outputs(self, out):
        return out

    def _step(self, Z, state):
        past, state = (None, None) if state is None else (state[0], state[1:])
        L, past = self._lagged(Z, past)
        out, state = super()._step(Z, state)
        return self._combined(Z, L, out), [past, *state]

    def _base(self, L):
        """Standardized movements of ridge regression and boosting."""
        more = boosted(as_rows(L), self.trees_, self.gates_)
        return self._linear(L) + of_rows(more, len(L))

    def _combined(self, Z, L, out):
        """Standardized movements from what the network says."""
        if self.strategy_ == "classify":
            return self._of_kinds(Z, out)
        gates = self.network_gates_[:, np.newaxis]
        direct = self._base(L) + gates * out[:, : self.n_outputs_]
        if self.strategy_ == "direct":
            return direct
        return (direct + self._of_kinds(Z, out[:, self.n_outputs_ :])) / 2

    def _of_kinds(self, Z, out):
        """Those of the ridge regressions of kinds, blended."""
        out = np.exp(out - out.max(axis=1, keepdims=True))
        share = out / out.sum(axis=1, keepdims=True)
        each = np.einsum("gof,nfk->ngok", self.kind_coef_, Z)
        each = each + self.kind_intercept_[:, :, np.newaxis]
        return (share[:, :, np.newaxis] * each).sum(axis=1)

    def _movements(self, Z):
        with limited_threads(self.n_threads):
            out = self._combined(Z, self._lagged(Z)[0], self._forward(Z).astype(float))
            return self._unscaled(out)


def _mean(losses, weight):
    return mean_of_counted(losses, torch.ones_like(losses, dtype=torch.bool), weight)


def _pieces(Z):
    """Long recordings (n, f, k) in pieces that a network can be trained on."""
    piece = SETTINGS.piece
    n_pieces = Z.shape[2] // piece
    if n_pieces < 2:
        return Z
    cut = Z[:, :, : n_pieces * piece].reshape(len(Z), Z.shape[1], n_pieces, piece)
    return np.ascontiguousarray(cut.swapaxes(1, 2).reshape(-1, Z.shape[1], piece))


class MovementLoss(torch.nn.Module):
    """Mean squared error of the first outputs, and cross-entropy of each window for the others.

    n_movements: Outputs that are movements; the others are log odds of kinds.
    """

    def __init__(self, n_movements):
        super().__init__()
        self.n_movements = n_movements

    def forward(self, y_pred, y_true, weight=None):
        """Mean over weighted trials and windows."""
        n = self.n_movements
        y_pred = y_pred.to(y_true.dtype)
        loss = _mean((y_pred[:, :n] - y_true[:, :n]).square(), weight) if n else 0.0
        if n == y_true.shape[1]:
            return loss
        kinds = -_mean((torch.log_softmax(y_pred[:, n:], 1) * y_true[:, n:]).sum(1), weight)
        return loss + SETTINGS.kinds * kinds if n else kinds
