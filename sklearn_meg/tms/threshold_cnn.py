"""Activation thresholds of neurons from the field around them, as a scikit-learn regressor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.utils import gen_batches

from .._checks.params import (
    check_bool_param,
    check_option_param,
    check_random_state,
    check_scalar_param,
)
from .._checks.trials import kept_trials
from .._params import ComputeParams, OptimizerParams, ValidationParams, documented
from ..base import TorchEstimator
from ._base import PhysicsParams, ThresholdModel
from ._doubts import doubt_direction, doubt_relation, doubt_repeated, without_outliers
from ._grids import center_magnitude, normalized
from ._network import Correction, ThresholdLoss, ThresholdNet
from ._physics import (
    apply_physics,
    cross_validated_errors,
    fit_correction,
    fit_physics,
    untrained_physics,
)
from ._settings import FIT
from ._trust import IntervalModel, WeighedParts, check_sizes_param, known_moments

if TYPE_CHECKING:
    from typing import Literal

    from .._typing import ArrayLike, Self
    from ._morphology import Morphology  # noqa: F401  # hint of an inherited parameter

#: Parameters that make :class:`ThresholdCNN` the network of the paper. Batch size, epochs and
#: dropout rate are ours.
PAPER_PARAMS: dict[str, Any] = {
    "network": "paper",
    "dropout": 0.1,
    "loss": "mse",
    "max_epochs": 100,
    "batch_size": 64,
    "lr": 1e-3,
    "weight_decay": 0.0,
    "schedule": None,
    "clip_norm": None,
}

NETWORKS = {
    "drives": ("drives",),
    "compact": ("compact",),
    "sites": ("sites",),
    "compact+sites": ("compact", "sites"),
    "paper": ("paper",),
}
PREDICT_BATCH = 512


@documented
@dataclass(kw_only=True, eq=False, repr=False)
class ThresholdCNN(
    PhysicsParams,
    OptimizerParams,
    ValidationParams,
    ComputeParams,
    IntervalModel,
    WeighedParts,
    ThresholdModel,
    TorchEstimator,
):
    """Predict at which stimulator output a neuron fires, from the field vectors around it.

    The field on a cubic grid in the neuron's frame (soma at the center, somatodendritic axis along
    z), divided by its magnitude at the center, gives the log threshold there. So predictions are
    exactly homogeneous, as thresholds are: twice the field has half the threshold. A reversed field
    is another question, see :meth:`predict_both`.

    With a `morphology` the model starts from physics: how much the field polarizes each site where
    a spike can start (:class:`PassiveThreshold`). A small network that sees the drives of all
    sites, and a Gaussian process of up to a thousand samples, say what is to be added; held-out
    samples decide how much of each. Where fewer than 100 are held out, physics and process learn
    from all samples, the network is added only where the process does not help, and intervals come
    from 5-fold cross-validation. A few dozen thresholds are enough. Without a morphology it is
    a 3-D convolutional network as in Aberra et al., smaller and faster than the paper's by default;
    ``ThresholdCNN(**PAPER_PARAMS)`` has the paper's layers, loss and optimizer.

    Parameters
    ----------
    %(PhysicsParams)s
    network : {"auto", "drives", "compact", "sites", "compact+sites", "paper"}, default="auto"
        "auto": "drives" with a morphology, else "compact". "drives": two dense layers on the
        relative drives of sites. "compact": two convolutions, two dense layers. "sites": 1 /
        threshold is a soft maximum of linear forms of the field, as if the first of some sites to
        be driven enough decided (without a morphology only). "compact+sites": weighted geometric
        mean of both, weights from the held-out samples. "paper": four convolutions of kernel 2 with
        batch norm, two small dense layers.
    n_estimators : int, default=1
        Number of networks of each kind, from other initial weights, whose geometric mean is
        predicted. Cost grows in proportion.
    n_filters : tuple of two int, default=(24, 32)
        Numbers of filters of the convolutions of "compact".
    n_units : tuple of int, default=(128, 64)
        Sizes of the dense layers of "compact" and "drives".
    n_sites : int, default=64
        Number of linear forms of "sites".
    dropout : float, default=0.0
        Share of units switched off before dense layers in training.
    augment : {"rotate"} or None, default=None
        "rotate": the threshold (of a population, say) does not depend on the azimuth. Training
        shows each field from four sides, prediction is the geometric mean over four quarter turns
        about z: exactly invariant, at four times the cost. Without a morphology only.
    loss : {"smooth_l1", "mse"}, default="smooth_l1"
        Loss of the log threshold.
    loss_beta : float, default=0.1
        Error at which smooth L1 goes from squared to absolute, in standard deviations.
    warm_start : bool, default=False
        Go on from the weights of the previous ``fit``.
    %(OptimizerParams)s
    %(ValidationParams)s
    %(ComputeParams)s

    Attributes
    ----------
    net_ : skorch.NeuralNet
        The trained network; ``net_.module_`` is the torch module.
    residuals_ : ndarray of shape (n_held_out, n_outputs)
        Absolute errors of the log threshold on held-out samples, cross-validated on all samples
        where few are held out with a morphology.
    shares_ : dict of str to float
        Share of each part ("network", "gaussian_process") that is added to physics.
    pulse_, morphology_ : str or None
        Pulse and morphology of the model: name of the pulse, and name and digest of the
        morphology; compared in :meth:`predict`.
    y_mean_, y_scale_ : ndarray of shape (n_outputs,)
        Scaling of the log thresholds (V/m at the center, relative to physics) inside.
    grid_size_ : int
        Samples along each side of the grids.
    magnitude_range_ : ndarray of shape (2,)
        Smallest and largest field at the center in ``fit``.
    usual_scores_ : ndarray of shape (n_held_out,)
        Distances of the shapes of held-out fields from those of the others, which
        :meth:`is_unusual` compares with.
    history_ : list of dict
        Losses of each epoch.
    n_iter_ : int
        Number of epochs trained.
    device_ : str
        Device of the network.
    n_features_in_, n_outputs_ : int
        Numbers in a grid, thresholds of a grid.

    See Also
    --------
    PassiveThreshold : Physics alone, untrained or with a few constants.
    UniformFieldThreshold : The uniform-field approximation.

    References
    ----------
    Aberra, Lopez, Grill, Peterchev (2023), Rapid estimation of cortical neuron activation
    thresholds by transcranial magnetic stimulation using convolutional neural networks,
    NeuroImage 275.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_meg.tms import ThresholdCNN, make_tms_dataset
    >>> data = make_tms_dataset("L1 NGC", 60, verbose=0)
    >>> model = ThresholdCNN(morphology="L1 NGC", max_epochs=5, random_state=0)
    >>> model = model.fit(data["grids"][:40], data["threshold"][:40])
    >>> error = model.predict(data["grids"][40:]) / data["threshold"][40:] - 1
    >>> bool(abs(error).mean() < 0.02)
    True
    """

    network: Literal["auto", "drives", "compact", "sites", "compact+sites", "paper"] = "auto"
    n_estimators: int = 1
    n_filters: tuple[int, int] = (24, 32)
    n_units: tuple[int, ...] = (128, 64)
    n_sites: int = 64
    dropout: float = 0.0
    augment: Literal["rotate"] | None = None
    loss: Literal["smooth_l1", "mse"] = "smooth_l1"
    loss_beta: float = 0.1
    warm_start: bool = False
    max_epochs: int = 150
    batch_size: int = 64
    lr: float = 2e-3
    weight_decay: float = 0.3
    schedule: Literal["cosine", "onecycle"] | None = "cosine"

    _module_class = ThresholdNet

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        groups: ArrayLike | None = None,
        *,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Train the network.

        Parameters
        ----------
        X : array-like of shape (n, s, s, s, 3) or (n, 3 * s**3)
            Field vectors in the neuron's frame, V/m per A/us, s odd.
        y : array-like of shape (n,) or (n, n_outputs)
            Thresholds in A/us: factors of the fields. NaN where none was found up to the largest
            amplitude tried (censored): such values count for nothing. Several outputs are several
            clones or pulses.
        groups : array-like of shape (n,), default=None
            Samples of one group stay together in the inner validation split.
        sample_weight : array-like of shape (n,), default=None
            Weight of each field in the loss of the network; one of weight 0 is left out. Physics
            is fitted to all others alike.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError, TypeError
            For NaN or infinity in X, shapes that do not go together, an even number of samples
            a side, no field at a center, thresholds that are not positive, or a parameter out of
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
        """Train the present network for `max_epochs` more.

        Parameters
        ----------
        X, y, groups, sample_weight
            As in :meth:`fit`, of the same shape. Intervals and the flag of unusual fields are
            taken anew from the samples held out here.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If the shape is another.
        """
        return self._fit(X, y, groups, sample_weight, fresh=not hasattr(self, "net_"))

    def _fit(self, X, y, groups, sample_weight, *, fresh):
        self._check_params()
        self._check_training_params()
        X, y = self._check_fit(X, y, reset=fresh)
        of_samples, X, y, groups = kept_trials(sample_weight, len(X), X, y, groups)
        doubt_repeated(X, groups)
        y = self._without_outliers(X, y) if fresh else y
        weights = None if fresh else self.net_.module_.state_dict()
        seed = check_random_state(self.random_state).randint(2**31 - 1)
        train, held_out = self._split = super()._inner_split(X, y, groups, seed)
        try:
            relative = self._relative_to_physics(X, y, train, fresh)
            self._sample_weight = of_samples
            self._train(X, relative, groups=groups, sample_weight=of_samples, weights=weights)
        finally:  # a fit that fails leaves nothing of it behind
            self.__dict__.pop("_split", None)
            self.__dict__.pop("_sample_weight", None)
            self.__dict__.pop("_new_physics", None)
        if few := fresh and self._are_few(held_out):
            train = np.arange(len(X))
        self._correct(X[train], relative[train], seed)
        of_held_out = None if of_samples is None else of_samples[held_out]
        self._weigh_members(X[held_out], relative[held_out], of_held_out)
        self._calibrate(X, relative, train, held_out)
        if few:
            drive, in_field = self._site_drive(), y * center_magnitude(X)[:, np.newaxis]
            errors = cross_validated_errors(drive, _flat(X), in_field, groups, seed)
            self.residuals_ = np.abs(errors)
        doubt_relation(X, y, self.residuals_)
        return self

    def _without_outliers(self, X, y):
        """Thresholds without those that no physics explains, where a morphology tells."""
        if self.morphology is None:
            return y
        magnitude, flat = center_magnitude(X)[:, np.newaxis], _flat(X)
        physics = untrained_physics(self._site_drive(), y.shape[1])
        logs, reversed_logs = (apply_physics(physics, each)[0] for each in (flat, -flat))
        doubt_direction(y * magnitude, logs, reversed_logs)
        self._doubt_spacing(flat, y * magnitude, logs)
        return without_outliers(y * magnitude, logs) / magnitude

    def _are_few(self, held_out):
        """Whether physics learns from all samples, since too few are held out to judge more."""
        return self.morphology is not None and len(held_out) < FIT.fewest_to_weigh

    def _relative_to_physics(self, X, y, train, fresh):
        """Thresholds over those of physics, which is fitted to the inner training samples."""
        if fresh:
            self._remember_origin()
        if self.morphology is None:
            return y
        magnitude, flat = center_magnitude(X)[:, np.newaxis], _flat(X)
        if fresh:
            drive = self._site_drive()
            train = slice(None) if self._are_few(self._split[1]) else train
            self._new_physics = fit_physics(drive, flat[train], (y * magnitude)[train])
            logs = apply_physics(self._new_physics, flat)[0]
        else:
            self._check_origin()
            logs = self._outputs(X)[1]
        return y / np.exp(logs)

    def _correct(self, X, y, seed):
        """Make the Gaussian process of what physics leaves, and put it into the module."""
        module = self.net_.module_
        if module.physics is None:
            return
        with self._evaluating() as (_, weight):
            grids = torch.as_tensor(normalized(X), dtype=weight.dtype, device=weight.device)
            drives = torch.cat([module.physics(part)[1] for part in grids.split(PREDICT_BATCH)])
        found = {}
        if len(X) <= FIT.most_to_correct:
            target = (self._log_targets(X, y) - self.y_mean_) / self.y_scale_
            rng = check_random_state(seed)
            found = fit_correction(drives.float().cpu().numpy(), target, rng)
        self._fitted_params["n_corrected"] = self._n_corrected = len(found.get("at", ()))
        module.correction = None
        if found:
            n_at, n_sites = found["at"].shape
            module.correction = Correction(n_at, n_sites, self.n_outputs_).to(module.weights)
            module.correction.load(found)

    def threshold_gradient(self, X: ArrayLike, output: int | None = None) -> np.ndarray:
        """Derivative of the threshold with respect to each field vector.

        Where the field should grow to lower the threshold most, for the design of coils and
        positions. By homogeneity ``(gradient * X).sum()`` of a sample is minus its threshold.

        Parameters
        ----------
        X : array-like of shape (n, s, s, s, 3) or (n, 3 * s**3)
        output : int or None, default=None
            Number of the output; needed if there are several.

        Returns
        -------
        gradient : ndarray
            Gradient with the shape of X, in A/us per V/m per A/us.

        Raises
        ------
        ValueError
            If there are several outputs and `output` is none of them.
        """
        checked = self._check_X(X)
        if output is None and self.n_outputs_ == 1:
            output = 0
        if output not in range(self.n_outputs_):
            raise ValueError(
                f"output must be one of the {self.n_outputs_} outputs, from 0. Got {output!r}."
            )
        parts = []
        with self._evaluating(gradient=True) as (_, weight):
            for part in gen_batches(len(checked), PREDICT_BATCH):
                grids = torch.tensor(checked[part], dtype=weight.dtype, device=weight.device)
                parts.append(self._gradient(grids, output).cpu().numpy())
        return np.concatenate(parts).reshape(np.shape(X))

    # ------------------------------------------------------------------ for ThresholdModel

    def _predict_grids(self, X):
        log_field = self._log_field(X)
        return np.exp(log_field) / center_magnitude(X)[:, np.newaxis]

    def _log_field(self, X):
        """Log threshold in V/m at the center, (n, n_outputs)."""
        added, physics = self._outputs(X)
        return added + physics

    def _outputs(self, X):
        """Correction of the log threshold of physics, and that, each (n, n_outputs)."""
        module = self.net_.module_
        found = self._forward(X, max(self.batch_size, PREDICT_BATCH), module.outputs)
        added, physics = np.split(found, 2, axis=1)
        return added * self.y_scale_ + self.y_mean_, physics

    def _gradient(self, grids, output):
        grids.requires_grad_(True)
        center = self.grid_size_ // 2
        magnitude = grids[:, center, center, center].norm(dim=1)
        found = self.net_.module_.outputs(grids / magnitude[:, None, None, None, None])
        added, physics = (part[:, output] for part in found.chunk(2, dim=1))
        scale, mean = float(self.y_scale_[output]), float(self.y_mean_[output])
        threshold = torch.exp(added * scale + mean + physics) / magnitude
        return torch.autograd.grad(threshold.sum(), grids)[0]

    def _log_targets(self, X, y):
        return np.log(y * center_magnitude(X)[:, np.newaxis])

    # ------------------------------------------------------------------ for TorchEstimator

    def _check_params(self):
        check_option_param(self, "network", ("auto", *NETWORKS))
        self._check_physics_params()
        check_option_param(self, "augment", (None, "rotate"))
        check_option_param(self, "loss", ("smooth_l1", "mse"))
        check_bool_param(self, "warm_start")
        check_scalar_param(self, "n_estimators", "int", 1)
        check_scalar_param(self, "n_sites", "int", 1)
        check_scalar_param(self, "dropout", "float", 0, 1, closed="left")
        check_scalar_param(self, "loss_beta", "float", 0, closed="neither")
        for name, length in {"n_filters": 2, "n_units": None}.items():
            check_sizes_param(self, name, length)

    def _inner_split(self, X, y, groups, seed):
        return self._split

    def _members(self):
        """Kinds of networks."""
        network = self.network
        if network == "auto":
            network = "compact" if self.morphology is None else "drives"
        if self.morphology is None and network == "drives":
            raise ValueError('network="drives" needs a morphology. Got None.')
        if self.morphology is not None and (self.augment or "sites" in network):
            raise ValueError(
                'With a morphology, network must be "auto", "drives", "compact" or "paper" and '
                f"augment None. Got {self.network!r} and {self.augment!r}."
            )
        return NETWORKS[network] * self.n_estimators

    def _make_net(self, *args, **kwargs):
        net = super()._make_net(*args, **kwargs)
        if "_new_physics" in self.__dict__:
            net.module_.physics.load(self._new_physics)
        return net

    def _prepare(self, X, y, train):
        target = self._log_targets(X, y)
        # An output may have all its thresholds among the held-out samples.
        unseen = np.isnan(target[train]).all(axis=0)
        seen = np.where(unseen, 0.0, target[train])
        weights = self._sample_weight
        mean, scale = known_moments(seen, None if weights is None else weights[train])
        self.y_mean_ = np.where(unseen, np.nanmean(target, axis=0), mean)
        self.y_scale_ = np.where(unseen, np.nanstd(target, axis=0), scale)
        self.y_scale_[self.y_scale_ < 1e-6] = 1.0

    def _criterion(self):
        return ThresholdLoss(self.loss, self.loss_beta)

    def _module_params(self):
        return {
            "size": self.grid_size_,
            "n_outputs": self.n_outputs_,
            "members": self._members(),
            "n_filters": tuple(self.n_filters),
            "n_units": tuple(self.n_units),
            "n_sites": self.n_sites,
            "dropout": self.dropout,
            "rotate": self.augment == "rotate",
            "physics": self._physics_sizes(),
            "n_corrected": self.__dict__.get("_n_corrected", 0),
        }

    def _physics_sizes(self):
        if "_new_physics" in self.__dict__:
            self._n_corrected = 0
            return (len(self._new_physics["courses"]), *self._new_physics["forms"].shape)
        return self._fitted_params["physics"] if hasattr(self, "_fitted_params") else None

    def _inputs(self, X):
        # In the precision of X, for speed: _predict_grids divides by the magnitude in float64.
        magnitude = center_magnitude(X).astype(X.dtype)
        return {"field": torch.as_tensor(normalized(X, magnitude), dtype=self._tensor_dtype)}

    def _targets(self, X, y):
        target = (self._log_targets(X, y) - self.y_mean_) / self.y_scale_
        return torch.as_tensor(target, dtype=self._tensor_dtype)


def _flat(X):
    """Fields of 1 V/m at the center, (n, 3 * size**3)."""
    return normalized(X).reshape(len(X), -1)
