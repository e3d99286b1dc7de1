"""Intended gestures from nerve or muscle signals, in real time, over many sessions."""

from __future__ import annotations

import warnings
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.special import log_softmax
from sklearn.base import ClassifierMixin
from sklearn.utils.validation import _num_samples, check_is_fitted

from .._checks.params import check_bool_param, check_option_param, check_scalar_param
from .._checks.trials import kept_trials
from .._params import documented
from .._training.device import limited_threads
from .._training.threads import LOCK
from ..base import ComputeParams, OptimizerParams, TorchEstimator, ValidationParams
from ._discriminants import discriminants
from ._network import NerveNet, WindowLoss
from ._params import NetworkParams, SessionParams, WindowParams
from ._reduced import LosingClassifier
from ._sessions import mean_normal
from ._settings import SETTINGS

if TYPE_CHECKING:
    from typing import Literal

    from .._typing import ArrayLike, ExportedProgram, Self
    from .stream import NerveStream

__all__ = ["NerveDecoder"]


class RecurrentModel(TorchEstimator):
    """What the networks for gestures and for movements share."""

    _module_class = NerveNet

    def _check_params(self):
        self._check_model()
        self._check_training_params()
        check_option_param(self, "network", ("compact", "paper"))
        check_scalar_param(self, "hidden_size", "int", 1)
        check_scalar_param(self, "dropout", "float", 0, 1, closed="left")
        check_scalar_param(self, "augment", "float", 0)
        check_scalar_param(self, "channel_dropout", "float", 0, 1, closed="left")

    def _module_params(self):
        n_features = len(self.normal_[0])
        return {
            "kind": self.network,
            "n_features": n_features,
            "n_outputs": self._n_outputs,
            "hidden_size": self.hidden_size,
            "dropout": self.dropout,
            "augment": self.augment,
            "channel_dropout": self.channel_dropout,
            "channels": self._channels(n_features) if self.channel_dropout else (),
        }

    def _inputs(self, X):
        return {"features": torch.as_tensor(X, dtype=self._tensor_dtype)}

    def _step(self, Z, state):
        """Outputs of the next windows (1, n_features, n), as an array, and the state after."""
        module = self.net_.module_
        weight = next(module.parameters())
        with LOCK, limited_threads(self.n_threads), torch.inference_mode():
            module.eval()
            if state is not None:
                state = [torch.as_tensor(part).to(weight.device, weight.dtype) for part in state]
            inputs = torch.as_tensor(Z, dtype=weight.dtype, device=weight.device)
            out, state = module.step(inputs, state)
            return self._outputs(out.cpu().numpy().astype(float)), state

    def stream(self, **params: object) -> NerveStream:
        """Decide while a recording arrives.

        Parameters
        ----------
        **params
            Parameters of :class:`NerveStream`: `confidence`, `saturation`, `state`, `session`,
            `decisions`, `n_votes`, `deadband`.

        Returns
        -------
        stream : NerveStream
        """
        from .stream import NerveStream

        return NerveStream(self, **params)

    def exported(self) -> ExportedProgram:
        """The network that decides one window, for use without this package.

        Returns
        -------
        program : torch.export.ExportedProgram
            On the CPU. Takes normalized features (1, n_features, 1) and the tensors of the state,
            returns outputs (1, n_outputs, 1) and the next state.
            ``torch.export.save(program, path)`` writes it.
        """
        check_is_fitted(self)
        module = deepcopy(self.net_.module_).cpu().eval()
        example = torch.zeros(1, len(self.normal_[0]), 1, dtype=next(module.parameters()).dtype)
        with torch.no_grad():
            _, state = module.step(example, None)
        arguments = example, tuple(state)
        with warnings.catch_warnings():  # torch's own, about its GRU; the weights are exported
            warnings.filterwarnings("ignore", "The tensor attributes .*_flat_weights", UserWarning)
            return torch.export.export(_Step(module), arguments)


class _Step(torch.nn.Module):
    """One window, as a module."""

    def __init__(self, module):
        super().__init__()
        self.network = module.network

    def forward(self, features, state):
        return self.network(features, state)


@documented
@dataclass(kw_only=True, eq=False, repr=False)
class NerveDecoder(
    WindowParams,
    SessionParams,
    NetworkParams,
    OptimizerParams,
    ValidationParams,
    ComputeParams,
    ClassifierMixin,
    LosingClassifier,
    RecurrentModel,
):
    """Gestures from nerve or muscle signals: features, a causal recurrent network, adaptation.

    Each window is decided from it and the windows before it; a trial by the vote of its windows
    (mean log probability), together with a linear model of the same features. In a session that
    was not in ``fit``, features are normalized anew, and the classes of its trials are found by a
    Gaussian model that knows how far the means of classes move from one session to another. No
    labels are needed for that.

    Parameters
    ----------
    ring : bool, default=False
        Whether the electrodes are a ring around the arm, which may have been turned in a new
        session: the turn is searched and undone. For raw X and a model of sessions.
    balanced : bool, default=True
        Whether the network, too, counts all classes alike, however often they are in `y`. The
        linear model always does.
    smoothing : float, default=0.1
        Amount of label smoothing.
    %(WindowParams)s
    %(SessionParams)s
    %(NetworkParams)s
    %(OptimizerParams)s
    %(ValidationParams)s
    %(ComputeParams)s

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    thresholds_ : ndarray of shape (2, n_channels)
        See :class:`NerveFeatures`; where X is raw.
    sessions_ : ndarray
        Sessions of ``fit``.
    normal_, session_normals_ : ndarray of shape (2, n_features) and (n_sessions, 2, n_features)
        Mean and standard deviation of the features.
    means_ : ndarray of shape (n_classes, n_dims)
        Means of trials of each class, in the space of the linear model: beginning, middle and end
        of a trial side by side.
    within_, between_ : ndarray of shape (n_dims, n_dims)
        Covariance of trials within a class and session, and of a class's mean over sessions.
    usual_scores_ : ndarray of shape (n_trials,)
        Distances of trials from all classes when they were left out, for ``is_unusual``.
    temperatures_ : ndarray of shape (3,)
        Temperatures of trials in a session that is adapted to, of windows, and of trials where
        nothing adapts: log probabilities are divided by them, so that a probability of .8 is right
        in about .8 of the cases.
    net_ : skorch.NeuralNet
    history_ : list of dict
        Losses of each epoch.
    n_iter_ : int
    device_ : str
    n_features_in_ : int
        Rows of X.

    See Also
    --------
    NerveRegressor : Several degrees of freedom at once.
    WindowClassifier : Any classifier of scikit-learn behind the same interface.

    References
    ----------
    Luu et al. (2022), Artificial intelligence enables real-time and intuitive control of
    prostheses via nerve interface, arXiv 2203.08648. Prince and Elder (2007), Probabilistic
    linear discriminant analysis for inferences about identity, ICCV. Guo et al. (2017), On
    calibration of modern neural networks, ICML.

    Examples
    --------
    >>> from sklearn_meg import NerveDecoder
    >>> from sklearn_meg.datasets import make_nerve
    >>> nerve = make_nerve(n_train=4, n_test=1, duration=0.5)
    >>> first, last = nerve.session == 0, nerve.session == 2
    >>> decoder = NerveDecoder(
    ...     sfreq=nerve.sfreq, session_row=-1, adaptation="batch", max_epochs=5, random_state=0
    ... )
    >>> decoder.fit(nerve.X[first], nerve.y[first]).predict(nerve.X[last]).shape
    (10,)
    """

    ring: bool = False
    balanced: bool = True
    smoothing: float = 0.1
    max_epochs: int = 40
    batch_size: int = 64
    lr: float = 3e-3
    weight_decay: float = 1e-2
    validation_fraction: float | Literal["auto"] = 0

    _session_model = True

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        groups: ArrayLike | None = None,
        *,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Train on labeled trials of one or several sessions.

        Parameters
        ----------
        X : array-like of shape (n_trials, n_rows, n_times) or (n_trials, n_features)
            Raw signals or features, with the row of the session where there is one.
        y : array-like of shape (n_trials,)
            Classes.
        groups : array-like of shape (n_trials,), default=None
            Trials of one group stay together in the inner validation split, and, where nothing
            adapts, when they are left out to calibrate probabilities; there None takes the
            sessions.
        sample_weight : array-like of shape (n_trials,), default=None
            Weight of each trial: one of weight 2 counts as two, one of weight 0 is left out. With
            `balanced` it counts within its class.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError, TypeError
            For NaN or infinity, a single class, trials shorter than a window, a session that
            changes within a trial, or a parameter out of range; always before training.
        NonFiniteLossError
            If the loss becomes NaN or infinite.
        """
        self._check_params()
        F, session, y, weights = self._check_classes(X, y, sample_weight)
        groups = kept_trials(sample_weight, _num_samples(X), groups)[1]
        return self._fit_features(F, y, session, weights, groups=groups)

    def _fit_features(self, F, y, session, weights=None, people=None, groups=None, found=None):
        self._keep_training(F, y, session, weights, people)
        Z, session = self._fit_normal(F, session, y, weights, people)
        with limited_threads(self.n_threads):
            self._fit_session_model(Z, y, session, weights, people, groups, found)
        self._n_outputs = len(self.classes_)
        counts = np.bincount(y, weights=weights)
        unequal = self.balanced and counts.min() < counts.max()
        self._class_weights = (counts.mean() / counts).tolist() if unequal else None
        targets = np.eye(self._n_outputs)[y]
        return self._train(Z, targets, groups=groups, sample_weight=weights)

    def fine_tuned(self, X: ArrayLike, max_epochs: int = 20, lr: float = 1e-3) -> NerveDecoder:
        """Return a decoder that was trained further on the sessions of X, without labels.

        A copy learns the classes that adaptation finds, with its linear model, its network, and the
        means of the session. It is for later trials of the session; on X itself it looks better
        than it is.

        Parameters
        ----------
        X : array-like of shape (n_trials, n_rows, n_times)
            Trials without labels; those decided with less than .5 are left out.
        max_epochs : int, default=20
        lr : float, default=1e-3

        Returns
        -------
        decoder : NerveDecoder
            Adapts to these sessions as this one does.

        Raises
        ------
        ValueError
            If no adaptation was chosen, all sessions are known, or no trial is certain.
        """
        check_is_fitted(self)
        if self.adaptation is None:
            raise ValueError("fine_tuned needs adaptation='batch' or 'online'. Got None.")
        F, session = self._turned_features(X)
        new = ~np.isin(session, self.sessions_)
        if not new.any():
            raise ValueError("X must hold a session that was not in fit. Got known ones only.")
        F, session = F[new], session[new]
        with limited_threads(self.n_threads):
            found = [self._adapted(F[session == s], s) for s in np.unique(session)]
        model = self._sessions_model
        Z = np.concatenate([each.Z for each in found])
        believed = model.believed(np.concatenate([each.trials for each in found]))
        sure = believed.max(axis=1) >= SETTINGS.least_certain
        if not sure.any():
            raise ValueError("No trial of X is decided with a probability of at least .5.")
        tuned = deepcopy(self)
        tuned.normal_ = mean_normal(np.stack([each.normal for each in found]))
        weight = np.full(sure.sum(), SETTINGS.own_weight)
        known = model.learned(Z[sure], believed[sure], weight)
        coef, intercept = discriminants(*known)
        means = model.means + np.mean([each.shifts for each in found], axis=0)
        tuned._keep(replace(
            model, window_counts=known[0], window_means=known[1], window_covariance=known[2],
            coef=coef, intercept=intercept, means=means,
        ))  # fmt: skip
        tuned.set_params(max_epochs=max_epochs, lr=lr, validation_fraction=0)
        weights = self.net_.module_.state_dict()
        tuned._train(Z[sure], believed[sure], weights=weights)
        return tuned

    # ------------------------------------------------------------------ for TorchEstimator

    def _check_params(self):
        super()._check_params()
        check_bool_param(self, "ring")
        check_bool_param(self, "balanced")
        check_scalar_param(self, "smoothing", "float", 0, 1, closed="left")

    def _criterion(self):
        return WindowLoss(self.smoothing, self._class_weights)

    def _targets(self, X, y):
        return torch.as_tensor(y, dtype=self._tensor_dtype)

    def _outputs(self, out):
        return log_softmax(out, axis=1)

    def _window_logs(self, Z):
        return self._outputs(self._forward(Z).astype(float))
