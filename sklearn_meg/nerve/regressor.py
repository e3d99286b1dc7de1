"""Intended movements from nerve or muscle signals: several degrees of freedom at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from sklearn.cluster import KMeans

from .._checks.params import check_option_param, check_random_state, check_scalar_param
from .._training.device import limited_threads
from .._training.threads import one_thread
from ._linear import fit_ridge
from ._movements import NerveMovements
from .decoder import RecurrentModel

if TYPE_CHECKING:
    from typing import Literal

    from .._typing import ArrayLike, BaseCrossValidator, PathLike, RandomSeed, Self

__all__ = ["NerveRegressor"]

KINDS = 0.1  # weight of the cross-entropy of kinds beside the squared error of movements
EXPLAINED = 0.8  # share of the variance of where movements end, for kinds to be worth it
LEAST_ALIKE = 5  # trials of each kind


class NerveRegressor(NerveMovements, RecurrentModel):
    """Several degrees of freedom at once: ridge regression, and what a causal network adds to it.

    Parameters
    ----------
    sfreq : float or None, default=None
        Sampling frequency of X in Hz; None: X holds features, of :class:`NerveFeatures` or other
        ones, (n_trials, n_features, n_windows) or (n_trials, n_features) for a single window.
    window, hop : float, default=0.1, 0.02
        Length of a window, and from one to the next, seconds; where X is raw.
    features : "all", list of str or None, default="all"
    covariance : bool, default=True
        See :class:`NerveFeatures`; where X is raw.
    session_row : int or None, default=None
        Row of X that says in which session a trial is: a number, constant within the trial.
    adaptation : {None, "batch", "online"}, default=None
        How to adapt to sessions not seen in ``fit``, without labels. None disables adaptation.
        "batch": the features are normalized, and the classes found, from all trials of the
        session that `X` holds. "online": only from those before, in the order of `X`.
    prior_trials : float, default=8.0
        Weight of the training means and scales, as an equivalent number of trials.
    network : {"compact", "paper"}, default="compact"
        "compact": a dense layer, a causal convolution and a GRU of `hidden_size`; "paper": the
        sizes of the paper, 1.6 million weights.
    hidden_size : int, default=128
    dropout : float, default=0.5
    augment : float, default=1.0
        Standard deviation of a random offset of each feature, constant within a trial, in
        training: what a new session might do.
    channel_dropout : float, default=0.0
        Probability that a channel is lost in a training trial.
    strategy : {"auto", "both", "direct", "classify"}, default="auto"
        "direct": the network adds to a ridge regression what that misses on trials that it has not
        seen. "classify": trials are put into `n_gestures` kinds of movement, the network says which
        kind, and a ridge regression of its own says how far; their mean is weighted with the
        probabilities. "both": one network does both, and the mean of the two is the answer. "auto":
        "both" where kinds explain most of where movements end, and each has trials enough to be
        learned; else "direct".
    n_gestures : int, default=10
        Kinds of movement; not for "direct".
    max_epochs, batch_size, lr, weight_decay, schedule, patience, clip_norm, validation_fraction, \
validation_split, device, dtype, n_threads, random_state, verbose, callbacks, net_params, \
cache_dir
        Of training, see :class:`~sklearn_meg.base.TorchEstimator`.

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
    strategy_ : {"both", "direct", "classify"}
        Strategy that was chosen.
    y_mean_, y_scale_ : ndarray of shape (n_outputs,)
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

    def __init__(
        self,
        *,
        sfreq: float | None = None,
        window: float = 0.1,
        hop: float = 0.02,
        features: Literal["all"] | list[str] | None = "all",
        covariance: bool = True,
        session_row: int | None = None,
        adaptation: Literal["batch", "online"] | None = None,
        prior_trials: float = 8.0,
        network: Literal["compact", "paper"] = "compact",
        hidden_size: int = 128,
        dropout: float = 0.5,
        augment: float = 1.0,
        channel_dropout: float = 0.0,
        strategy: Literal["auto", "both", "direct", "classify"] = "auto",
        n_gestures: int = 10,
        max_epochs: int = 60,
        batch_size: int = 16,
        lr: float = 3e-3,
        weight_decay: float = 1e-2,
        schedule: Literal["onecycle", "cosine"] | None = "onecycle",
        patience: int | None = None,
        clip_norm: float | None = 1.0,
        validation_fraction: float | Literal["auto"] = 0,
        validation_split: Literal["random", "last"] | BaseCrossValidator = "random",
        device: str = "auto",
        dtype: Literal["float32", "float64", "bfloat16"] = "float32",
        n_threads: int | None = 1,
        random_state: RandomSeed = None,
        verbose: int = 0,
        callbacks: list | None = None,
        net_params: dict | None = None,
        cache_dir: PathLike | None = None,
    ) -> None:
        self.sfreq = sfreq
        self.window = window
        self.hop = hop
        self.features = features
        self.covariance = covariance
        self.session_row = session_row
        self.adaptation = adaptation
        self.prior_trials = prior_trials
        self.network = network
        self.hidden_size = hidden_size
        self.dropout = dropout
        self.augment = augment
        self.channel_dropout = channel_dropout
        self.strategy = strategy
        self.n_gestures = n_gestures
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.weight_decay = weight_decay
        self.schedule = schedule
        self.patience = patience
        self.clip_norm = clip_norm
        self.validation_fraction = validation_fraction
        self.validation_split = validation_split
        self.device = device
        self.dtype = dtype
        self.n_threads = n_threads
        self.random_state = random_state
        self.verbose = verbose
        self.callbacks = callbacks
        self.net_params = net_params
        self.cache_dir = cache_dir

    def fit(self, X: ArrayLike, y: ArrayLike, groups: ArrayLike | None = None) -> Self:
        """Train on trials whose movements are known.

        Parameters
        ----------
        X : array-like of shape (n_trials, n_rows, n_times) or (n_trials, n_features)
        y : array-like of shape (n_trials, n_dof, n_windows)
            Movements at the windows; or flat, ``(n_trials, n_dof * n_windows)``; or 1-D for one
            degree of freedom in one window.
        groups : array-like of shape (n_trials,), default=None
            Trials of one group stay together in the inner validation split.

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
        Z, target, _ = self._check_movements(X, y)
        with limited_threads(self.n_threads):
            self.coef_, self.intercept_, unseen, _ = fit_ridge(Z, target)
            self.strategy_, kinds = self._strategy(target)
            parts = []
            for name in ("kind_coef_", "kind_intercept_"):
                self.__dict__.pop(name, None)  # of an earlier fit
            if self.strategy_ != "classify":
                parts.append(target - unseen)  # what ridge regression misses on unseen trials
            if self.strategy_ != "direct":
                parts.append(self._fit_kinds(Z, target, kinds))
        target = np.concatenate(parts, axis=1)
        self._n_outputs = target.shape[1]
        return self._train(Z, target, groups=groups)

    def _strategy(self, target):
        """What to do, and kinds of movement by their end."""
        if self.strategy == "direct":
            return "direct", None
        ends = target[:, :, -1]
        n = min(self.n_gestures, len(np.unique(ends.round(9), axis=0)))
        seed = check_random_state(self.random_state).randint(2**31 - 1)
        with one_thread():
            means = KMeans(n, n_init=5, random_state=seed).fit(ends)
        if self.strategy != "auto":
            return self.strategy, means.labels_
        missed = means.inertia_ / np.square(ends - ends.mean(0)).sum() if n > 1 else 1.0
        enough = np.bincount(means.labels_).min() >= LEAST_ALIKE and 1 - missed >= EXPLAINED
        return "both" if enough else "direct", means.labels_

    def _fit_kinds(self, Z, target, kinds):
        """A ridge regression for each kind; returns kinds as targets."""
        n = kinds.max() + 1
        weights = [fit_ridge(Z[kinds == k], target[kinds == k]) for k in range(n)]
        self.kind_coef_ = np.stack([each[0] for each in weights])
        self.kind_intercept_ = np.stack([each[1] for each in weights])
        return np.repeat(np.eye(n)[kinds][:, :, np.newaxis], Z.shape[2], axis=2)

    # ------------------------------------------------------------------ for TorchEstimator

    def _check_params(self):
        super()._check_params()
        check_option_param(self, "strategy", ("auto", "both", "direct", "classify"))
        check_scalar_param(self, "n_gestures", "int", 2)

    def _criterion(self):
        return MovementLoss(0 if self.strategy_ == "classify" else self.n_outputs_)

    def _targets(self, X, y):
        return torch.as_tensor(y, dtype=self._tensor_dtype)

    def _outputs(self, out):
        return out

    def _step(self, Z, state):
        out, state = super()._step(Z, state)
        return self._combined(Z, out), state

    def _combined(self, Z, out):
        """Standardized movements from what the network says."""
        if self.strategy_ == "direct":
            return self._linear(Z) + out
        if self.strategy_ == "classify":
            return self._of_kinds(Z, out)
        direct = self._linear(Z) + out[:, : self.n_outputs_]
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
            return self._unscaled(self._combined(Z, self._forward(Z).astype(float)))


class MovementLoss(torch.nn.Module):
    """Mean squared error of the first outputs, and cross-entropy of each window for the others.

    Parameters
    ----------
    n_movements : int
        Outputs that are movements; the others are log odds of kinds.
    """

    def __init__(self, n_movements):
        super().__init__()
        self.n_movements = n_movements

    def forward(self, y_pred, y_true):
        """Mean over trials and windows."""
        n = self.n_movements
        y_pred = y_pred.to(y_true.dtype)
        loss = (y_pred[:, :n] - y_true[:, :n]).square().mean() if n else 0.0
        if n == y_true.shape[1]:
            return loss
        kinds = -(torch.log_softmax(y_pred[:, n:], 1) * y_true[:, n:]).sum(1).mean()
        return loss + KINDS * kinds if n else kinds
