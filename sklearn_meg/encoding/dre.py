"""The deep recurrent encoder as a scikit-learn regressor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.base import RegressorMixin
from sklearn.utils.validation import check_is_fitted

from .._checks.params import check_bool_param, check_option_param, check_scalar_param
from .._checks.trials import check_targets, check_trials, flatten_targets, kept_trials
from .._params import ComputeParams, OptimizerParams, ValidationParams, documented
from ..base import TorchEstimator
from ..metrics import r2
from ..rows import Rows, resolve_rows
from ._base import SubjectParams
from ._blocks import WeightedRows, initial_units
from ._calibration import Calibration
from ._doubts import doubt_trials
from ._gate import GatedTraining, Judge
from ._linear_base import LINEAR, OnLinearBase
from ._network import ACTIVATIONS, CELLS, RecurrentEncoderNet
from ._noise import InnovationLoss, autoregression
from ._scaling import locate_subjects, moments_by_subject, standardize, unstandardize
from ._unusual import UnusualTrials

if TYPE_CHECKING:
    from typing import Literal

    from .._typing import ArrayLike, BaseEpochs, Self

#: Parameters that make :class:`DeepRecurrentEncoder` the network of the paper, trained as there.
PAPER_PARAMS: dict[str, Any] = {
    "base": None,
    "hidden_size": 512,
    "n_layers": 2,
    "cell": "lstm",
    "n_convs": 2,
    "activation": "relu",
    "skip_connections": False,
    "subject_mixing": False,
    "dropout": 0.0,
    "whitening": 0.0,
    "max_epochs": 60,
    "batch_size": 32,
    "lr": 1e-4,
    "weight_decay": 0.0,
    "schedule": None,
    "clip_norm": None,
}

_SIZES = (
    *("hidden_size", "n_layers", "cell", "n_convs", "kernel_size", "activation"),
    *("embedding_size", "dropout", "subject_mixing", "skip_connections"),
)


@documented
@dataclass(kw_only=True, eq=False, repr=False)
class DeepRecurrentEncoder(
    SubjectParams,
    OptimizerParams,
    ValidationParams,
    ComputeParams,
    GatedTraining,
    Calibration,
    OnLinearBase,
    UnusualTrials,
    RegressorMixin,
    TorchEstimator,
):
    """Predict the MEG of many subjects from the stimulus and the beginning of each trial.

    A linear encoder plus a recurrent network that starts at zero: after no training it is the
    linear encoder, after training it adds what that misses (responses that are not linear in the
    features, that depend on the words before, on ongoing activity). The weights kept are those
    of the epoch that explains most of what the linear encoder leaves in held-out trials. How much
    of what the network adds is added, from nothing to all, is decided on held-out trials on which
    the epoch was not chosen, in blocks of neighbors. With fewer than 400 trials four networks are
    trained, each with another quarter held out, and their mean is added. Beside each network stand
    randomized trees on the lags of the stimulus, whose share is decided together with that of the
    network. Where there is nothing to gain the result is the linear encoder, to the last bit.

    The network is the deep recurrent encoder of Chehab et al.: convolutions, an LSTM and
    transposed convolutions over stimulus, subject embedding and initial MEG. `base=None` is that
    network alone; ``DeepRecurrentEncoder(**PAPER_PARAMS)`` also has the paper's sizes and training.

    Parameters
    ----------
    base : {"auto", "rtrf", "trf"} or None, default="auto"
        The linear encoder to start from: :class:`~sklearn_meg.RecurrentTRF`,
        :class:`~sklearn_meg.TemporalReceptiveField`, or none. "auto" is "rtrf" where X has the
        initial MEG of every channel of y, else "trf"; from 100 trials on (in memory) it is blended
        with one of splines of the features where held-out trials are then predicted better.
    base_params : dict or None, default=None
        Parameters of the linear encoder, for example ``{"tmax": 0.6, "sfreq": 120.0}``.
    hidden_size : int, default=64
        Units of convolutions and recurrent layers.
    n_layers : int, default=1
        Recurrent layers.
    cell : {"lstm", "gru"}, default="lstm"
        Kind of recurrent layer.
    n_convs : int, default=1
        Convolutions of stride 2 before and after the recurrent network, which then runs at
        ``1 / 2**n_convs`` of the sampling rate.
    kernel_size : int, default=4
        Kernel size of the convolutions; even.
    activation : {"gelu", "relu"}, default="gelu"
        Between convolutions.
    skip_connections : bool, default=True
        Connections around the recurrent network and between convolutions of the same rate.
    embedding_size : int, default=16
        Embedding size of the subject; 0 gives the network no subject.
    subject_mixing : bool, default=True
        Give each subject a matrix from hidden units to channels, added to a common one.
    dropout : float, default=0.1
        Share of hidden units switched off in training.
    whitening : float, default=0.5
        Share of the training loss that counts innovations, the errors less what an autoregression
        of each channel expects from the errors just before. Ongoing activity is slow; so the same
        responses need fewer trials. Needs a linear encoder; epochs are chosen, and the network
        is judged, on squared errors.
    max_epochs : int or "auto", default="auto"
        Passes over the training trials. "auto" is 20, or as many as make 300 steps, 100 at most.
    warm_start : bool, default=False
        Go on from the weights of the previous ``fit``.
    %(OptimizerParams)s
    %(ValidationParams)s
    %(SubjectParams)s
    %(RowParams)s
    %(ComputeParams)s

    Attributes
    ----------
    net_ : skorch.NeuralNet
        The trained network; ``net_.module_`` is the torch module.
    base_ : RecurrentTRF or TemporalReceptiveField
        The linear encoder, fitted on all trials; or a blend of it, ``base_.linear``, with a
        ``base_.share`` of one of splines of the features, ``base_.wide``.
    gate_ : float
        Share of what the network adds, from 0 (nothing) to 1. The mean over trials of what network
        and trees add has a share of its own: with 0 here it may still be added.
    tree_share_ : float
        Share of what randomized trees add, from 0 to 1.
    n_networks_ : int
        Number of networks whose mean is added.
    history_ : list of dict
        Losses of each epoch of the last network; ``gain``: share explained of what `base_` leaves.
    n_iter_ : int
        Number of epochs trained.
    subjects_ : ndarray of shape (n_subjects,)
        Subject indices seen, those added by calibration last.
    y_mean_, y_scale_ : ndarray of shape (n_subjects, n_channels)
        Scaling of the targets inside; their units do not matter.
    feature_mean_, feature_scale_ : ndarray of shape (n_features,)
        Scaling of the stimulus rows inside.
    usual_scores_ : ndarray
        Scores of trials of ``fit``, which :meth:`is_unusual` compares with.
    device_ : str
        Device of the network.
    n_features_in_, n_times_in_, n_outputs_ : int
        Rows and samples of X, channels of y.

    See Also
    --------
    RecurrentTRF : The linear encoder it starts from.
    sklearn_meg.Study : Cross-validated comparison of encoders.

    References
    ----------
    Chehab, Defossez, Loiseau, Gramfort, King (2021), Deep Recurrent Encoder: an end-to-end
    network to model magnetoencephalography at scale, arXiv:2103.02339.

    Examples
    --------
    >>> from sklearn_meg import DeepRecurrentEncoder
    >>> from sklearn_meg.datasets import make_words
    >>> data = make_words("N", n_subjects=2, n_trials=20, n_channels=4)
    >>> encoder = DeepRecurrentEncoder(**data.rows, max_epochs=2, random_state=0)
    >>> encoder.fit(data.X, data.y).predict(data.X).shape
    (40, 4, 101)
    """

    _module_class = RecurrentEncoderNet
    _auto_epochs = True

    base: Literal["auto", "rtrf", "trf"] | None = "auto"
    base_params: dict | None = None
    hidden_size: int = 64
    n_layers: int = 1
    cell: Literal["lstm", "gru"] = "lstm"
    n_convs: int = 1
    kernel_size: int = 4
    activation: Literal["gelu", "relu"] = "gelu"
    skip_connections: bool = True
    embedding_size: int = 16
    subject_mixing: bool = True
    dropout: float = 0.1
    whitening: float = 0.5
    warm_start: bool = False
    max_epochs: int | Literal["auto"] = "auto"
    lr: float = 4e-3
    weight_decay: float = 0.1

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike | BaseEpochs,
        groups: ArrayLike | None = None,
        *,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Fit the linear encoder, then the network on its residuals.

        Parameters
        ----------
        X : array-like of shape (n_trials, n_rows, n_times) or (n_trials, n_rows)
            Stimulus features, and the rows named in the constructor.
        y : array-like of shape (n_trials, n_channels, n_times), flat, or Epochs
            Responses; the initial window counts for nothing.
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
            For NaN or infinity, shapes that do not go together, a subject index that is not an
            integer, an initial window that is not shorter than the trials, or a parameter out of
            range; always before training.
        NonFiniteLossError
            If the loss becomes NaN or infinite.
        """
        fresh = not (self.warm_start and hasattr(self, "net_"))
        return self._fit(X, y, groups, sample_weight, fresh=fresh)

    def partial_fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        groups: ArrayLike | None = None,
        *,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Train the present network for `max_epochs` more, or calibrate it to new subjects.

        Trials of known subjects train all weights. Trials of subjects that were not in ``fit``
        train only what belongs to these subjects (embedding, mixing), from the mean of the
        others; what the other subjects get stays as it is, to the last bit.

        Parameters
        ----------
        X, y, groups, sample_weight
            As in :meth:`fit`, of the same shape; either all of known or all of new subjects. The
            linear encoder stays, and a new subject gets that of the population.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If known and new subjects are mixed, or the shape is another.
        """
        fresh = not hasattr(self, "net_")
        return self._fit(X, y, groups, sample_weight, fresh=fresh, calibrate=True)

    def _fit(self, X, y, groups, sample_weight, *, fresh, calibrate=False):
        self._check_params()
        X = check_trials(self, X, reset=fresh)
        y, ndim = check_targets(y, X)
        weights, X, y, groups = kept_trials(sample_weight, len(X), X, y, groups)
        with self._weighing(weights):
            return self._fit_checked(X, y, ndim, groups, fresh, calibrate)

    def _fit_checked(self, X, y, ndim, groups, fresh, calibrate):
        rows = resolve_rows(self, X.shape[1], X.shape[2])
        subjects = rows.subject_values(X)
        rows.counted(X, check=True)
        if fresh:
            doubt_trials(X, y, rows)
            self._rows, self._y_ndim = vars(rows), ndim
            self.subjects_, self.n_outputs_ = np.unique(subjects), y.shape[1]
            self._fit_fresh(X, y, groups, subjects)
            self._keep_usual(X)
            return self
        if y.shape[1] != self.n_outputs_:
            raise ValueError(
                f"y has {y.shape[1]} channels, but {type(self).__name__} was fitted with "
                f"{self.n_outputs_}."
            )
        new = np.setdiff1d(subjects, self.subjects_)
        if calibrate and len(new):
            return self._calibrate(X, y, groups, subjects, new)
        locate_subjects(subjects, self.subjects_, "error")
        return self._train(
            X,
            y,
            groups=groups,
            sample_weight=self._sample_weight,
            weights=self.net_.module_.state_dict(),
        )

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Predict responses.

        Parameters
        ----------
        X : array-like of shape (n_trials, n_rows, n_times) or (n_trials, n_rows)

        Returns
        -------
        y : ndarray of shape (n_trials, n_channels, n_times)
            With as many dimensions as the y of ``fit``. In the initial window this is the MEG
            that is known there (if X has a row of it for each channel).

        Raises
        ------
        ValueError
            If X has another shape than in ``fit``, or a subject that was not seen and
            ``unknown_subject="error"``.
        """
        check_is_fitted(self)
        X = check_trials(self, X, reset=False)
        weights = self._subject_weights(X)
        if self._adds_nothing():
            y = self.base_._predict_checked(X)
        else:
            y = unstandardize(self._forward(X), weights, self.y_mean_, self.y_scale_)
        if self._knows_the_beginning():
            known = Rows(**self._rows).initial_values(X)
            slope, offset = weights @ self.initial_slope_, weights @ self.initial_offset_
            y[:, :, : known.shape[2]] = known * slope[..., None] + offset[..., None]
        return flatten_targets(y, self._y_ndim)

    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """R2 over trials, averaged over channels and samples.

        Parameters
        ----------
        X : array-like of shape (n_trials, n_rows, n_times)
        y : array-like of shape (n_trials, n_channels, n_times), or flat
        sample_weight : array-like of shape (n_trials,), default=None
            Weight of each trial.

        Returns
        -------
        score : float
        """
        check_is_fitted(self)
        X = check_trials(self, X, reset=False)
        counted = Rows(**self._rows).counted(X)
        y = check_targets(y, X)[0]
        predicted = self.predict(X).reshape(len(y), -1, X.shape[2])
        return r2(y, predicted, mask=counted, sample_weight=sample_weight)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    # ------------------------------------------------------------------ for TorchEstimator

    def _check_params(self):
        for name in ("subject_mixing", "skip_connections", "warm_start"):
            check_bool_param(self, name)
        check_option_param(self, "base", ("auto", *LINEAR, None))
        check_option_param(self, "cell", tuple(CELLS))
        check_option_param(self, "activation", tuple(ACTIVATIONS))
        check_option_param(self, "unknown_subject", ("population", "error"))
        for name, low in {"hidden_size": 1, "n_layers": 1, "n_convs": 0, "kernel_size": 2}.items():
            check_scalar_param(self, name, "int", low)
        if self.kernel_size % 2:
            raise ValueError(
                f"The 'kernel_size' parameter of {type(self).__name__} must be even, so that a "
                f"convolution of stride 2 halves the rate exactly. Got {self.kernel_size} instead."
            )
        check_scalar_param(self, "embedding_size", "int", 0)
        check_scalar_param(self, "dropout", "float", 0, 1, closed="left")
        check_scalar_param(self, "whitening", "float", 0, 1)

    def _prepare(self, X, y, train):
        self._fit_scaling(X, y, train)
        if self._base is not None and not hasattr(self, "_base_inputs"):
            self.base_ = self._new_base()
            self.base_._fit_trials(X, y, train, weights=self._sample_weight)
        self._noise = None
        if self._base is not None and self.whitening:
            self._noise = autoregression(
                self._base_errors(X, y, train), *y.shape[1:], self._known_samples()
            )

    def _fit_scaling(self, X, y, trials):
        """Take mean and scale of features, targets and initial MEG from some trials."""
        rows = Rows(**self._rows)
        everyone, counted = self._weighted(np.ones((len(X), 1))), rows.counted(X)
        mean, scale = moments_by_subject(X, everyone, trials, rows=rows.features, counted=counted)
        self.feature_mean_, self.feature_scale_ = mean[0], scale[0]
        for name, values in self._scalings(X, y, trials).items():
            setattr(self, name, values)

    def _criterion(self):
        noise = self.__dict__.get("_noise")
        if noise is None:
            return super()._criterion()
        return InnovationLoss(*noise, self._known_samples(), self.whitening)

    def _scalings(self, X, y, trials):
        """Scaling of targets and initial MEG, (n_subjects, n_channels) each, by attribute."""
        rows, weights = Rows(**self._rows), self._weighted(self._subject_weights(X))
        counted, found = rows.counted(X), {}
        found["y_mean_"], found["y_scale_"] = moments_by_subject(
            y, weights, trials, counted=counted
        )
        if rows.n_initial:
            found["initial_mean_"], found["initial_scale_"] = moments_by_subject(
                X, weights, trials, rows=rows.initial, last=rows.n_initial, counted=counted
            )
        if self._knows_the_beginning():
            owned = [trials[weights[trials, s] > 0] for s in range(len(self.subjects_))]
            # A subject that the inner split holds out whole gets the units of everyone.
            if self._sample_weight is not None:
                rows = WeightedRows(**vars(rows), weights=self._sample_weight)
            units = [initial_units(X, y, rows, t if len(t) else trials) for t in owned]
            found["initial_slope_"], found["initial_offset_"] = map(np.array, zip(*units))
        return found

    def _judge(self):
        return None if self._base is None else Judge()

    def _module_params(self):
        rows = Rows(**self._rows)
        return {
            "n_features": len(rows.features),
            "n_initial_rows": len(rows.initial),
            "n_channels": self.n_outputs_,
            "n_subjects": len(self.subjects_),
            **{name: getattr(self, name) for name in _SIZES},
            "residual": self._resolved_base() is not None,
            "subject_share": self._subject_share,
            "forget_bias": self._forget_bias,
            "n_networks": self.n_networks_,
        }

    def _inputs(self, X, base=None):
        rows, weights = Rows(**self._rows), self._subject_weights(X)
        features = X[:, rows.features] - self.feature_mean_[:, None]
        parts = {"features": features / self.feature_scale_[:, None], "subject": weights}
        if rows.n_initial:
            known = rows.initial_values(X)
            parts["initial"] = standardize(known, weights, self.initial_mean_, self.initial_scale_)
        if self._base is not None:
            base = self.base_._predict_checked(X) if base is None else base
            parts["base"] = standardize(base, weights, self.y_mean_, self.y_scale_)
        if (added := self._added(parts["features"], weights)) is not None:
            parts["added"] = added
        dtype = self._tensor_dtype
        return {name: torch.as_tensor(part, dtype=dtype) for name, part in parts.items()}

    def _targets(self, X, y):
        target = standardize(y, self._subject_weights(X), self.y_mean_, self.y_scale_)
        if self._knows_the_beginning():
            target[:, :, : self._rows["n_initial"]] = np.nan  # nothing to learn
        counted = Rows(**self._rows).counted(X)
        if counted is not None:
            target = np.where(counted[:, np.newaxis], target, np.nan)
        return torch.as_tensor(target, dtype=self._tensor_dtype)
