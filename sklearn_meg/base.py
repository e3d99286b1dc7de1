"""The one place where scikit-learn meets skorch (with ``_callbacks.py``, its callbacks).

An estimator of this package is a :class:`TorchEstimator`: flat constructor parameters, a torch
module that knows nothing of scikit-learn, and a skorch net that trains it, kept as ``net_``.
A subclass says how its module is built and how a few trials become tensors; seeding, splitting,
training, inference and persistence are done here, once.
"""

from contextlib import contextmanager

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.model_selection import GroupShuffleSplit, ShuffleSplit, check_cv
from sklearn.utils.validation import check_consistent_length, check_is_fitted, column_or_1d
from skorch.callbacks import GradientNormClipping, LRScheduler
from skorch.helper import predefined_split

from ._checks.assumptions import warn_assumption
from ._checks.params import (
    check_option_param,
    check_path_param,
    check_random_state,
    check_scalar_param,
    check_verbose_param,
    naming,
)
from ._checks.trials import check_targets, check_trials, check_weights, flatten_targets, pieces
from ._checks.whole import WholeFit
from ._params import ComputeParams, OptimizerParams, ValidationParams
from ._routing import RoutedGroups
from ._saving.checkpoint import checkpoint_of
from ._training.batches import Batches, MaskedMSELoss, Trials, WeightedNet
from ._training.callbacks import (
    BestWeights,
    Checkpoint,
    NonFiniteLossError,
    Progress,
    StopAtNonFiniteLoss,
)
from ._training.device import isolated, limited_threads, resolve_device
from ._training.threads import LOCK

# What an estimator of your own needs, beside the class itself.
__all__ = [
    "ComputeParams",
    "NonFiniteLossError",
    "OptimizerParams",
    "TorchEstimator",
    "ValidationParams",
    "check_targets",
    "check_trials",
    "check_weights",
    "flatten_targets",
]

# What weights and data are kept in; with "bfloat16" only the computation is.
_DTYPES = {"float32": torch.float32, "float64": torch.float64, "bfloat16": torch.float32}


class TorchEstimator(WholeFit, RoutedGroups, BaseEstimator):
    """Base of all deep estimators: parameters, training, inference, persistence.

    A subclass is a dataclass that inherits its training parameters from the groups of
    ``_params.py`` (``OptimizerParams``, ``ValidationParams``, ``ComputeParams``; one without
    validation sets what it does not offer as class attributes). It sets ``_module_class`` and
    defines ``_module_params()`` (what the module is built from, plain values known after the data
    were checked), ``_inputs(X)`` (some trials to the tensors that ``forward`` takes, by name) and
    ``_targets(X, y)`` (to the tensor the loss sees, NaN where a sample is not valid).
    ``_prepare(X, y, train)`` may learn scalings from the inner training trials.

    Examples
    --------
    >>> from sklearn_meg import DeepRecurrentEncoder
    >>> from sklearn_meg.base import TorchEstimator
    >>> issubclass(DeepRecurrentEncoder, TorchEstimator)
    True
    """

    _module_class: type | None = None
    _auto_epochs = False  # whether max_epochs may be "auto"

    # ------------------------------------------------------------------ what a subclass defines

    def _module_params(self):
        raise NotImplementedError

    def _inputs(self, X):
        raise NotImplementedError

    def _targets(self, X, y):
        raise NotImplementedError

    def _training_inputs(self, X, index):
        """Inputs of some training trials; by default those of any trials."""
        return self._inputs(np.asarray(X[index]))

    def _prepare(self, X, y, train):
        """Learn from the inner training trials what training needs; by default nothing."""

    @property
    def _tensor_dtype(self):
        return _DTYPES[self.dtype]

    def _judge(self):
        """Judge of a network that starts as a model (see `BestWeights`); None if it does not."""
        return None

    def _criterion(self):
        return MaskedMSELoss()

    # ------------------------------------------------------------------ training

    def _train(
        self,
        X,
        y,
        *,
        groups=None,
        sample_weight=None,
        weights=None,
        callbacks=(),
        seed=None,
        split=None,
        **net_params,
    ):
        """Fit on checked trials: anew, or from the `weights` of a network that was fitted."""
        self._check_training_params()
        fresh = weights is None
        if fresh:  # a fit that fails leaves no half-new model behind
            self.__dict__.pop("net_", None)
        if seed is None:
            seed = check_random_state(self.random_state).randint(2**31 - 1)
        train, valid = split or self._inner_split(X, y, groups, seed)
        device = resolve_device(self.device, dtype=self.dtype)
        # A second call must not repeat the order of the first.
        seed += 0 if fresh else len(self.history_)
        with isolated(seed, self.n_threads, device):
            if fresh:
                self._prepare(X, y, train)
            module_params = self._module_params()
            if not fresh:
                self._check_same_network(module_params)
            n_batches = -(-len(train) // self.batch_size)
            start = {"start_is_model": not fresh, "judge": self._judge() if fresh else None}
            callbacks = [*self._callbacks(n_batches, start), *callbacks]
            marks = groups, sample_weight
            checkpoint = self._checkpoint(device, X, y, marks, weights, module_params, seed)
            if checkpoint is not None:
                callbacks.append(("checkpoint", checkpoint))
            net = self._make_net(
                module_params, device, self.dtype, callbacks, n_batches, **net_params
            )
            if not fresh:
                net.module_.load_state_dict(weights)
            if len(valid):
                held_out = Trials(self, X, y, valid, sample_weight)
                net.set_params(train_split=predefined_split(held_out))
            _run(net, Trials(self, X, y, train, sample_weight))
        self._forget_training(net)
        history = [_plain(epoch) for epoch in net.history]
        self.history_ = history if fresh else [*self.history_, *history]
        self.n_iter_ = len(self.history_)
        self.device_, self.net_ = str(device), net
        self._fitted_params, self._fitted_dtype = module_params, self.dtype
        return self

    def _check_training_params(self):
        if not (self._auto_epochs and self.max_epochs == "auto"):
            check_scalar_param(self, "max_epochs", "int", 1)
        check_scalar_param(self, "batch_size", "int", 1)
        check_scalar_param(self, "lr", "float", 0, closed="neither")
        check_scalar_param(self, "weight_decay", "float", 0)
        check_scalar_param(self, "patience", "int", 1, allow_none=True)
        check_scalar_param(self, "clip_norm", "float", 0, closed="neither", allow_none=True)
        if self.validation_fraction != "auto":
            check_scalar_param(self, "validation_fraction", "float", 0, 1, closed="left")
        check_scalar_param(self, "n_threads", "int", 1, allow_none=True)
        check_verbose_param(self)
        check_random_state(self.random_state)
        check_path_param(self, "cache_dir")
        check_option_param(self, "schedule", ("onecycle", "cosine", None))
        check_option_param(self, "dtype", tuple(_DTYPES))
        self._check_validation_split()
        resolve_device(self.device)
        if not isinstance(self.callbacks, list | tuple | None):
            raise TypeError(
                f"callbacks must be a list of skorch callbacks. Got {self.callbacks!r}."
            )
        if not isinstance(self.net_params, dict | None):
            raise TypeError(
                f"net_params must be a dict of parameters of skorch.NeuralNet. "
                f"Got {self.net_params!r}."
            )

    def _check_validation_split(self):
        split = self.validation_split
        if isinstance(split, str):
            check_option_param(self, "validation_split", ("random", "last"))
            return
        empty = isinstance(split, list | tuple) and not split
        with naming("validation_split"):
            if split is None or empty:
                raise ValueError(
                    f"it must be 'random', 'last' or a cross-validation generator. Got {split!r}."
                )
            check_cv(split)

    def _inner_split(self, X, y, groups, seed):
        """Indices of the trials to train on and to choose the best epoch on."""
        n, every = len(X), np.arange(len(X))
        n_valid = self._n_valid(n)
        if groups is not None:
            groups = column_or_1d(groups)
            check_consistent_length(X, groups)
        if n_valid == 0:
            return every, every[:0]
        if isinstance(self.validation_split, str) and self.validation_split == "last":
            return every[:-n_valid], every[-n_valid:]
        if not isinstance(self.validation_split, str):
            splitter = check_cv(self.validation_split)
        elif groups is not None and not _are_one_group(groups):
            splitter = GroupShuffleSplit(1, test_size=n_valid / n, random_state=seed)
        else:
            groups = None  # at most one
            splitter = ShuffleSplit(1, test_size=n_valid, random_state=seed)
        train, valid = next(iter(splitter.split(np.empty((n, 1)), np.empty(n), groups)))
        return np.sort(train), np.sort(valid)

    def _n_valid(self, n):
        """Number of n trials that are held out."""
        if self.validation_fraction == 0 or n < 5:
            return 0
        if self.validation_fraction != "auto":
            return min(n - 1, max(1, round(self.validation_fraction * n)))
        return round(max(0.1 * n, min(50, 0.25 * n)))

    def _n_epochs(self, n_batches):
        """Number of epochs of so many batches."""
        return self.max_epochs

    def _callbacks(self, n_batches, start):
        callbacks = [("finite", StopAtNonFiniteLoss())]
        if self.clip_norm is not None:
            callbacks.append(("clip", GradientNormClipping(float(self.clip_norm))))
        n_epochs = self._n_epochs(n_batches)
        n_steps = n_epochs * n_batches
        if self.schedule == "onecycle":
            policy = torch.optim.lr_scheduler.OneCycleLR
            params = {"max_lr": self.lr, "total_steps": n_steps + 1}
        elif self.schedule == "cosine":
            policy = torch.optim.lr_scheduler.CosineAnnealingLR
            params = {"T_max": n_steps}
        if self.schedule is not None:
            callbacks.append(("schedule", LRScheduler(policy, step_every="batch", **params)))
        if self.validation_fraction != 0:
            patience = n_epochs + 1 if self.patience is None else self.patience
            callbacks.append(("best", BestWeights(patience, **start)))
        if self.verbose:
            callbacks.append(("progress", Progress(type(self).__name__)))
        user = self.callbacks or []
        return callbacks + [
            c if isinstance(c, tuple) else (f"user{i}", c) for i, c in enumerate(user)
        ]

    def _checkpoint(self, device, X, y, of_trials, weights, module_params, seed):
        """The callback that keeps this training and goes on with it, if there is a folder."""
        if self.cache_dir is None:
            return None
        before = [] if weights is None else [weights[k].cpu().numpy() for k in sorted(weights)]
        of_trials = [None if each is None else np.asarray(each) for each in of_trials]
        marks = [X, y, *of_trials, *before, module_params, seed]
        return Checkpoint(checkpoint_of(self, marks, device.type), device)

    def _make_net(self, module_params, device, dtype, callbacks=(), n_batches=1, **net_params):
        # One kernel for all weights: a step of a small network takes a third of the time.
        ours = "optimizer" not in (self.net_params or {})
        fused = {"optimizer__fused": torch.device(device).type in ("cpu", "cuda")} if ours else {}
        net = WeightedNet(
            **{
                "module": self._module_class,
                "criterion": self._criterion(),
                "optimizer": torch.optim.AdamW,
                **fused,
                "optimizer__weight_decay": self.weight_decay,
                "lr": self.lr,
                "max_epochs": self._n_epochs(n_batches),
                "batch_size": self.batch_size,
                "iterator_train": Batches,
                "iterator_valid": Batches,
                "iterator_train__shuffle": True,
                "train_split": None,
                "callbacks": list(callbacks),
                "callbacks__print_log": None,
                "device": device,
                "verbose": 0,
                **{f"module__{key}": value for key, value in module_params.items()},
                **(self.net_params or {}),
                **net_params,
            }
        )
        net.initialize()
        net.module_.to(_DTYPES[dtype])
        if dtype == "bfloat16":
            autocast = torch.autocast(torch.device(device).type, dtype=torch.bfloat16)
            net.module_.forward = autocast(net.module_.forward)
        if dtype == "float64":  # other parameters than the optimizer knows
            net.initialize_optimizer()
        return net

    def _check_same_network(self, module_params):
        changed = [k for k, v in module_params.items() if self._fitted_params.get(k) != v]
        if changed:
            raise ValueError(
                "warm_start and partial_fit go on with the network that is there, but these of "
                f"its sizes have changed since: {', '.join(changed)}. Fit with warm_start=False."
            )

    @staticmethod
    def _forget_training(net):
        """Let go of the data and the optimizer state, which a fitted model does not need."""
        net.set_params(train_split=None)
        net.callbacks_ = []
        net.optimizer_.state.clear()
        net.optimizer_.zero_grad()

    # ------------------------------------------------------------------ inference

    @contextmanager
    def _evaluating(self, gradient=False):
        """The module in evaluation mode, alone on the threads of this estimator.

        Yields the module and its first weight, which knows device and precision.
        """
        check_is_fitted(self, "net_")
        module = self.net_.module_
        with LOCK, limited_threads(self.n_threads), torch.inference_mode(not gradient):
            module.eval()
            yield module, next(module.parameters())

    def _forward(self, X, batch_size=None, run=None):
        """Output of the module for trials X, in batches, as one array.

        X (ndarray or memmap)
        run (callable or None): ``run(**inputs)`` instead of the module itself.
        """
        outputs = []
        with self._evaluating() as (module, weight):
            for part in pieces(X, batch_size or max(self.batch_size, 64)):
                inputs = self._inputs(np.asarray(X[part]))
                inputs = {k: tensor.to(weight.device, weight.dtype) for k, tensor in inputs.items()}
                outputs.append((run or module)(**inputs).to(weight.dtype).cpu().numpy())
        return np.concatenate(outputs)

    # ------------------------------------------------------------------ persistence

    def __getstate__(self):
        state = dict(super().__getstate__())
        net = state.pop("net_", None)
        if net is not None:
            # Arrays, no torch objects: what is loaded is data, and a GPU is not needed for it.
            weights = net.module_.state_dict()
            state["_weights"] = {key: value.cpu().numpy() for key, value in weights.items()}
        return state

    def __setstate__(self, state):
        state = dict(state)
        weights = state.pop("_weights", None)
        super().__setstate__(state)
        if weights is not None:
            self.device_ = str(resolve_device(self.device_, missing="cpu"))
            with isolated(0, None, torch.device("cpu")):
                self.net_ = self._make_net(self._fitted_params, self.device_, self._fitted_dtype)
            tensors = {key: torch.from_numpy(np.array(value)) for key, value in weights.items()}
            self.net_.module_.load_state_dict(tensors)

    def __sklearn_is_fitted__(self):
        return hasattr(self, "net_")


def _are_one_group(groups):
    """Whether there is one group only, which cannot be held out; says so."""
    if len(np.unique(groups)) > 1:
        return False
    warn_assumption(
        "one-group",
        "All trials are of one group: the best epoch is chosen on trials of that group, not on "
        "another one.",
    )
    return True


def _run(net, trials):
    """Train as ``net.partial_fit`` does, but only the epochs missing from the checkpoint."""
    net.notify("on_train_begin", X=trials, y=None)
    try:
        net.fit_loop(trials, epochs=net.max_epochs - len(net.history))
    except KeyboardInterrupt:  # skorch's way of stopping early
        if not net.history or "train_loss" not in net.history[-1]:  # within an epoch it was Ctrl-C
            raise
    net.notify("on_train_end", X=trials, y=None)


def _plain(epoch):
    """An epoch of skorch's history as a dict of plain values, without its batches.

    Scores of ``EpochScoring`` and what callbacks of users record are among them; what skorch
    counts for itself is not.
    """
    plain = {key: _plain_value(value) for key, value in epoch.items()}
    return {k: v for k, v in plain.items() if v is not None and not k.endswith("batch_count")}


def _plain_value(value):
    """A number, text or bool; None for anything else."""
    if isinstance(value, np.generic) or (isinstance(value, torch.Tensor) and value.numel() == 1):
        value = value.item()
    return value if isinstance(value, bool | int | float | str) else None
