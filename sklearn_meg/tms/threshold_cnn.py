"""Activation thresholds of neurons from the field around them, as a scikit-learn regressor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy.optimize import nnls
from sklearn.utils import gen_batches

from .._checks.params import (
    check_bool_param,
    check_option_param,
    check_random_state,
    check_scalar_param,
)
from .._training.device import limited_threads
from .._training.threads import LOCK
from ..base import TorchEstimator
from ._base import ThresholdModel
from ._grids import center_magnitude, normalized, rms_magnitude
from ._intervals import conformal_margin, fit_novelty, novelty
from ._network import ThresholdLoss, ThresholdNet

if TYPE_CHECKING:
    from typing import Literal

    from .._typing import ArrayLike, BaseCrossValidator, PathLike, RandomSeed, Self

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
    "compact": ("compact",),
    "sites": ("sites",),
    "compact+sites": ("compact", "sites"),
    "paper": ("paper",),
}
MOST_SHAPES = 2000  # from which the flag learns what is usual; more changes nothing
FALSE_ALARMS = 0.03  # share of held-out fields that are flagged
PREDICT_BATCH = 512


class ThresholdCNN(ThresholdModel, TorchEstimator):
    """Predict at which stimulator output a neuron fires, from the field vectors around it.

    A 3-D convolutional network as in Aberra et al.: the field on a cubic grid in the neuron's
    frame (soma at the center, somatodendritic axis along z), divided by its magnitude at the
    center, gives the log threshold there. So predictions are exactly homogeneous, as thresholds
    are: twice the field has half the threshold. A reversed field is another question, see
    :meth:`predict_both`.

    The defaults are a smaller and faster network than the paper's;
    ``ThresholdCNN(**PAPER_PARAMS)`` has the paper's layers, loss and optimizer.

    Parameters
    ----------
    network : {"compact", "sites", "compact+sites", "paper"}, default="compact"
        "compact": two convolutions, two dense layers. "sites": 1 / threshold is a soft maximum
        of linear forms of the field, as if the first of some sites to be driven enough decided.
        "compact+sites": weighted geometric mean of both, weights from the held-out samples.
        "paper": four convolutions of kernel 2 with batch norm, two small dense layers.
    n_estimators : int, default=1
        Networks of each kind, from other initial weights, whose geometric mean is predicted.
        Cost grows in proportion.
    n_filters : tuple of two int, default=(24, 32)
        Of the convolutions of "compact".
    n_units : tuple of int, default=(128, 64)
        Of its dense layers.
    n_sites : int, default=64
        Linear forms of "sites".
    dropout : float, default=0.0
        Share of units switched off before dense layers in training.
    augment : {"rotate"} or None, default=None
        "rotate": the threshold (of a population, say) does not depend on the azimuth. Training
        shows each field from four sides, prediction is the geometric mean over four quarter turns
        about z: exactly invariant, at four times the cost.
    loss : {"smooth_l1", "mse"}, default="smooth_l1"
        Of the log threshold.
    loss_beta : float, default=0.1
        Where smooth L1 goes from squared to absolute error, in standard deviations.
    max_epochs : int, default=150
        Passes over the training samples.
    batch_size : int, default=64
        Samples a step.
    lr : float, default=2e-3
        Learning rate; where the schedule starts ("onecycle": its peak).
    weight_decay : float, default=0.3
        Of AdamW; at 0 this is Adam.
    schedule : {"cosine", "onecycle"} or None, default="cosine"
        How the learning rate changes over the whole fit.
    patience : int or None, default=None
        Stop after so many epochs without a better validation loss. Leave it off under a
        schedule, where the loss improves most at the end.
    clip_norm : float or None, default=1.0
        Largest norm of the gradient.
    validation_fraction : float or "auto", default="auto"
        Share of samples held out: to choose the best epoch, to weigh networks, and for intervals
        and the flag of unusual fields, which need some hundred. "auto" is a tenth, or up to a
        quarter where a tenth would be fewer than 50.
    validation_split : {"random", "last"} or cross-validation generator, default="random"
        Which samples are held out: random ones (random groups if ``fit`` gets `groups`), the last
        ones, or the first split of a generator.
    warm_start : bool, default=False
        Go on from the weights of the previous ``fit``.
    device : str, default="auto"
        "auto" takes a GPU where there is one.
    dtype : {"float32", "float64", "bfloat16"}, default="float32"
        Of the network.
    n_threads : int or None, default=1
        CPU threads of one fit; None leaves torch as it is. With one thread the result is the
        same to the last bit however many jobs run.
    random_state : int, RandomState instance or None, default=None
        Decides initial weights, inner split, shuffling and dropout.
    verbose : int, default=0
        1 shows a progress bar.
    callbacks : list of skorch callbacks or None, default=None
        Added to the training loop.
    net_params : dict or None, default=None
        Further parameters of :class:`skorch.NeuralNet`.
    cache_dir : path-like or None, default=None
        Folder in which training is kept, so that the same fit goes on there after it was killed,
        to the same weights; `random_state` must be an int.

    Attributes
    ----------
    net_ : skorch.NeuralNet
        The trained network; ``net_.module_`` is the torch module.
    residuals_ : ndarray of shape (n_held_out, n_outputs)
        Absolute errors of the log threshold on held-out samples.
    y_mean_, y_scale_ : ndarray of shape (n_outputs,)
        Scaling of the log thresholds (V/m at the center) inside.
    grid_size_ : int
        Samples along each side of the grids.
    magnitude_range_ : ndarray of shape (2,)
        Smallest and largest field at the center in ``fit``.
    novelty_threshold_ : float
        Above it :meth:`is_out_of_distribution` is true.
    history_ : list of dict
        Losses of each epoch.
    n_iter_ : int
        Number of epochs trained.
    device_ : str
        Where the network is.
    n_features_in_, n_outputs_ : int
        Numbers in a grid, thresholds of a grid.

    See Also
    --------
    UniformFieldThreshold : The uniform-field approximation.

    References
    ----------
    Aberra, Lopez, Grill, Peterchev (2023), Rapid estimation of cortical neuron activation
    thresholds by transcranial magnetic stimulation using convolutional neural networks,
    NeuroImage 275.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_meg.tms.threshold_cnn import ThresholdCNN
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(40, 1, 1, 1, 3)) + 0.1 * rng.normal(size=(40, 3, 3, 3, 3))
    >>> y = 100 / np.linalg.norm(X[:, 1, 1, 1], axis=1)  # A/us
    >>> model = ThresholdCNN(max_epochs=3, random_state=0).fit(X, y)
    >>> np.allclose(model.predict(2 * X), model.predict(X) / 2)
    True
    """

    _module_class = ThresholdNet

    def __init__(
        self,
        *,
        network: Literal["compact", "sites", "compact+sites", "paper"] = "compact",
        n_estimators: int = 1,
        n_filters: tuple[int, int] = (24, 32),
        n_units: tuple[int, ...] = (128, 64),
        n_sites: int = 64,
        dropout: float = 0.0,
        augment: Literal["rotate"] | None = None,
        loss: Literal["smooth_l1", "mse"] = "smooth_l1",
        loss_beta: float = 0.1,
        max_epochs: int = 150,
        batch_size: int = 64,
        lr: float = 2e-3,
        weight_decay: float = 0.3,
        schedule: Literal["cosine", "onecycle"] | None = "cosine",
        patience: int | None = None,
        clip_norm: float | None = 1.0,
        validation_fraction: float | Literal["auto"] = "auto",
        validation_split: Literal["random", "last"] | BaseCrossValidator = "random",
        warm_start: bool = False,
        device: str = "auto",
        dtype: Literal["float32", "float64", "bfloat16"] = "float32",
        n_threads: int | None = 1,
        random_state: RandomSeed = None,
        verbose: int = 0,
        callbacks: list | None = None,
        net_params: dict | None = None,
        cache_dir: PathLike | None = None,
    ) -> None:
        self.network = network
        self.n_estimators = n_estimators
        self.n_filters = n_filters
        self.n_units = n_units
        self.n_sites = n_sites
        self.dropout = dropout
        self.augment = augment
        self.loss = loss
        self.loss_beta = loss_beta
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
        self.cache_dir = cache_dir

    def fit(self, X: ArrayLike, y: ArrayLike, groups: ArrayLike | None = None) -> Self:
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
        return self._fit(X, y, groups, fresh=not (self.warm_start and hasattr(self, "net_")))

    def partial_fit(self, X: ArrayLike, y: ArrayLike, groups: ArrayLike | None = None) -> Self:
        """Train the present network for `max_epochs` more.

        Parameters
        ----------
        X, y, groups
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
        return self._fit(X, y, groups, fresh=not hasattr(self, "net_"))

    def _fit(self, X, y, groups, *, fresh):
        self._check_params()
        X, y = self._check_fit(X, y, reset=fresh)
        weights = None if fresh else self.net_.module_.state_dict()
        try:
            self._train(X, y, groups=groups, weights=weights)
        finally:  # a fit that fails leaves nothing of it behind
            train, held_out = self.__dict__.pop("_split", (None, None))
        self._weigh_members(X[held_out], y[held_out])
        self._calibrate(X, y, train, held_out)
        return self

    def predict_interval(self, X: ArrayLike, coverage: float = 0.9) -> np.ndarray:
        """Predict intervals that hold the threshold with a given probability.

        Split-conformal: the errors of held-out samples, relative to the prediction, say how wide.
        This holds for new samples like those of ``fit``; see :meth:`is_out_of_distribution`.

        Parameters
        ----------
        X : array-like of shape (n, s, s, s, 3) or (n, 3 * s**3)
        coverage : float, default=0.9
            Between 0 and 1.

        Returns
        -------
        interval : ndarray of shape (n, 2) or (n, n_outputs, 2)
            Lower and upper bound, A/us.

        Raises
        ------
        ValueError
            For another `coverage`, or one for which too few samples were held out.
        """
        if not 0 < coverage < 1:
            raise ValueError(f"coverage must be between 0 and 1. Got {coverage!r}.")
        X = self._check_X(X)
        factor = np.exp(conformal_margin(self.residuals_, coverage))
        middle = self._predict_grids(X)
        interval = np.stack([middle / factor, middle * factor], axis=-1)
        return interval if self._y_ndim == 2 else interval[:, 0]

    def is_out_of_distribution(self, X: ArrayLike) -> np.ndarray:
        """Say which fields are unlike those of ``fit``.

        Parameters
        ----------
        X : array-like of shape (n, s, s, s, 3) or (n, 3 * s**3)

        Returns
        -------
        flag : ndarray of bool of shape (n,)
            True for fields whose shape, whatever their magnitude, is farther from those of ``fit``
            than that of 97 % of the held-out samples (where none was held out: of the training
            samples, and then more is flagged): do not rely on their thresholds.
        """
        return self._novelty(self._check_X(X)) > self.novelty_threshold_

    def threshold_gradient(self, X: ArrayLike, output: int | None = None) -> np.ndarray:
        """Derivative of the threshold with respect to each field vector.

        Where the field should grow to lower the threshold most, for the design of coils and
        positions. By homogeneity ``(gradient * X).sum()`` of a sample is minus its threshold.

        Parameters
        ----------
        X : array-like of shape (n, s, s, s, 3) or (n, 3 * s**3)
        output : int or None, default=None
            Which output; needed if there are several.

        Returns
        -------
        gradient : ndarray
            Of the shape of X, in A/us per V/m per A/us.

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
        weight = next(self.net_.module_.parameters())
        parts = []
        with LOCK, limited_threads(self.n_threads):
            self.net_.module_.eval()
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
        output = self._forward(X, max(self.batch_size, PREDICT_BATCH))
        return output * self.y_scale_ + self.y_mean_

    def _gradient(self, grids, output):
        grids.requires_grad_(True)
        center = self.grid_size_ // 2
        magnitude = grids[:, center, center, center].norm(dim=1)
        field = self.net_.module_(grids / magnitude[:, None, None, None, None])[:, output]
        scale, mean = float(self.y_scale_[output]), float(self.y_mean_[output])
        threshold = torch.exp(field * scale + mean) / magnitude
        return torch.autograd.grad(threshold.sum(), grids)[0]

    # ------------------------------------------------------------------ after training

    def _weigh_members(self, X, y):
        """Weights of the networks that fit held-out samples best (equal ones if there are few)."""
        module = self.net_.module_
        n_members = len(module.members)
        if n_members == 1 or not len(X):
            return
        target = self._log_targets(X, y)
        known = ~np.isnan(target)
        if known.any(axis=1).sum() < 10 * n_members:
            return
        columns = []
        for m in range(n_members):
            module.weights.copy_(torch.eye(n_members)[m])
            columns.append(self._log_field(X))
        weights = simplex_weights(np.stack(columns, -1)[known], target[known])
        module.weights.copy_(torch.as_tensor(weights))

    def _calibrate(self, X, y, train, held_out):
        """What intervals and the flag need, from the held-out samples."""
        self.residuals_ = np.empty((0, self.n_outputs_))
        if len(held_out):
            error = self._log_field(X[held_out]) - self._log_targets(X[held_out], y[held_out])
            self.residuals_ = np.abs(error)
        known = held_out if len(held_out) else train
        if len(train) > MOST_SHAPES:  # before any copy of them is made
            train = train[check_random_state(0).permutation(len(train))[:MOST_SHAPES]]
        self._novelty_state = fit_novelty(_shapes_of_fields(X[train]))
        self.novelty_threshold_ = float(np.quantile(self._novelty(X[known]), 1 - FALSE_ALARMS))

    def _novelty(self, X):
        parts = gen_batches(len(X), PREDICT_BATCH)
        return np.concatenate(
            [novelty(_shapes_of_fields(X[part]), self._novelty_state) for part in parts]
        )

    def _log_targets(self, X, y):
        return np.log(y * center_magnitude(X)[:, np.newaxis])

    # ------------------------------------------------------------------ for TorchEstimator

    def _check_params(self):
        check_option_param(self, "network", tuple(NETWORKS))
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
        self._split = super()._inner_split(X, y, groups, seed)
        return self._split

    def _prepare(self, X, y, train):
        target = self._log_targets(X, y)
        # An output may have all its thresholds among the held-out samples.
        unseen = np.isnan(target[train]).all(axis=0)
        seen = np.where(unseen, 0.0, target[train])
        self.y_mean_ = np.where(unseen, np.nanmean(target, axis=0), np.nanmean(seen, axis=0))
        self.y_scale_ = np.where(unseen, np.nanstd(target, axis=0), np.nanstd(seen, axis=0))
        self.y_scale_[self.y_scale_ < 1e-6] = 1.0

    def _criterion(self):
        return ThresholdLoss(self.loss, self.loss_beta)

    def _module_params(self):
        return {
            "size": self.grid_size_,
            "n_outputs": self.n_outputs_,
            "members": NETWORKS[self.network] * self.n_estimators,
            "n_filters": tuple(self.n_filters),
            "n_units": tuple(self.n_units),
            "n_sites": self.n_sites,
            "dropout": self.dropout,
            "rotate": self.augment == "rotate",
        }

    def _inputs(self, X):
        # In the precision of X, for speed: _predict_grids divides by the magnitude in float64.
        magnitude = center_magnitude(X).astype(X.dtype)
        return {"field": torch.as_tensor(normalized(X, magnitude), dtype=self._tensor_dtype)}

    def _targets(self, X, y):
        target = (self._log_targets(X, y) - self.y_mean_) / self.y_scale_
        return torch.as_tensor(target, dtype=self._tensor_dtype)


def _shapes_of_fields(X):
    """Grids over their root mean square, flat: a weak field at the soma is nothing unusual."""
    return normalized(X, rms_magnitude(X)).reshape(len(X), -1)


def check_sizes_param(estimator, name, length=None):
    """Check that a constructor parameter is a sequence of positive int.

    Parameters
    ----------
    estimator : BaseEstimator
    name : str
    length : int or None
        How many.

    Raises
    ------
    ValueError
        If it is not.
    """
    value = getattr(estimator, name)
    good = isinstance(value, list | tuple) and all(
        isinstance(v, int | np.integer) and not isinstance(v, bool) and v > 0 for v in value
    )
    if not good or (length is not None and len(value) != length):
        raise ValueError(
            f"The {name!r} parameter of {type(estimator).__name__} must be a tuple of "
            f"{'' if length is None else f'{length} '}positive int. Got {value!r} instead."
        )


def simplex_weights(outputs, target):
    """Least-squares weights (n_members,) of outputs (n, n_members), none negative, sum one."""
    heavy = 1e3 * np.sqrt(len(target)) * max(np.std(target), 1e-12)  # holds the sum to one
    system = np.vstack([outputs - target[:, np.newaxis], np.full((1, outputs.shape[1]), heavy)])
    weights, _ = nnls(system, np.append(np.zeros(len(target)), heavy))
    return weights / weights.sum()
