"""How far to trust what a network adds to a linear encoder, judged on held-out trials.

With y what the linear encoder leaves of a trial and c what the network adds, the share s of c with
the least error is ``sum(y c) / sum(c**2)``: a network that is right about the shape of a response
and exaggerates it is of use all the same.
"""

from dataclasses import dataclass

import numpy as np
import torch

from .._checks.params import check_random_state
from .._training.device import isolated
from ._common_part import CommonPart
from ._linear_base import LINEAR
from ._shares import apart_shares, matrices_of, reduction, summed_by_group
from ._trees import WithTrees


@dataclass(frozen=True)
class Settings:
    """Chosen on seeds 100 and 101 of worlds with few trials (2 to 30 subjects, 5 to 30 each).

    In world N, 30 subjects with 6 trials each, R across trials was .047 (linear), .047 (one
    network, its epoch chosen on held-out trials), .129 (its share chosen as well), .134 (mean of
    four). Seeds 210, 211: .147 after 100 steps, .211 and .214 after 300, .213 after 500.
    """

    #: Cuts into halves, to choose the epoch on one and judge on the other.
    n_splits: int = 20
    #: Blocks of neighboring trials of each subject, which stay together.
    n_blocks: int = 20
    #: Trials below which several networks are trained, each with other trials held out: four cost
    #: no more than one with four times the trials.
    few: int = 400
    n_networks: int = 4
    #: With ``max_epochs="auto"``: epochs, and steps and epochs that few trials are trained for.
    epochs: int = 20
    steps: int = 300
    most_epochs: int = 100
    #: Trials of a subject with which half of what belongs to it is trained. Three trials each of 30
    #: subjects, seeds 10 and 14, R: .088 and .131 with 15, .097 and .147 with 60. In worlds N and S
    #: of 240 trials each it does not matter.
    kappa: float = 60.0
    #: Share of what belongs to subjects, ``n / (n + kappa)``, below which the linear encoder under
    #: one network is fitted without the trials that it is judged on, too. Five trials each of 90
    #: subjects, seed 3, R: .315 (N), .632 (L) without, .323 and .633 with.
    alike: float = 0.5
    #: Bias of the forget gates at the start, with more than few trials. World S of 6 subjects x 300
    #: trials, seeds 10, 11, 12: .960, .858 and .968 of the ceiling with 0 (at seed 11 a network
    #: that found one response of three), .960, .963 and .969 with 1, .957, .961 and .971 with 2.
    #: With six trials each of 30 subjects it overfits: .152, .198, .188 with 0, .145, .193, .170.
    forget_bias: float = 1.0


SETTINGS = Settings()


def time_blocks(subjects):
    """Number of the block of each trial: neighbors of one subject share one.

    subjects (n_trials,) int: Subject of each trial, trials in the order of the recording.
    Returns blocks (n_trials,) int
    """
    blocks, first = np.empty(len(subjects), dtype=int), 0
    for subject in np.unique(subjects):
        trials = np.flatnonzero(subjects == subject)
        parts = np.array_split(trials, min(SETTINGS.n_blocks, len(trials)))
        for part in parts:
            blocks[part] = first
            first += 1
    return blocks


def of_known_subjects(subjects, held):
    """Which held-out trials are of subjects who have others: the rest tell of new subjects only.

    subjects (n_trials,) int, held (ndarray of int)
    Returns told (n_held,) bool
    """
    others = np.delete(subjects, held)
    return np.isin(subjects[held], others)


def change_products(inputs, predicted, targets):
    """Products of what a network adds and what the linear encoder leaves, summed over each trial.

    Returns products (n_trials, 3): Left over times added, added squared, left over squared.
    """
    base = inputs["base"].to(predicted.device)
    left, added = targets.to(predicted.device) - base, predicted - base
    counted = ~torch.isnan(left)
    left, added = torch.where(counted, left, 0.0), torch.where(counted, added, 0.0)
    pairs = (left * added, added.square(), left.square())
    return torch.stack([pair.cpu().double().sum((1, 2)) for pair in pairs], 1).numpy()


def explained(products):
    """Share of what the linear encoder leaves that the network explains, at its best scale.

    >>> import numpy as np
    >>> from sklearn_meg.encoding._gate import explained
    >>> float(explained(np.array([[1.0, 1.0, 4.0], [1.0, 1.0, 4.0]])))
    0.25
    """
    cross, square, left = np.moveaxis(np.asarray(products).sum(axis=-2), -1, 0)
    return np.maximum(cross, 0.0) ** 2 / np.maximum(square * left, np.finfo(float).tiny)


class Judge:
    """What training asks of each epoch."""

    products = staticmethod(change_products)
    gain = staticmethod(explained)


def cross_fitted(products, groups, seed):
    """Products of each group at epochs that were chosen on others.

    The groups are cut in halves, many times: the epoch is chosen on one half, and judged on the
    other.

    products (n_epochs, n_trials, 3): As `change_products` gives them for held-out trials, after
        each epoch.
    groups (n_trials,)
    Returns products (n_groups, 2): Left over times added, and added squared.
    """
    names, which = np.unique(groups, return_inverse=True)
    sums = np.zeros((len(names), len(products), 3))
    np.add.at(sums, which, np.moveaxis(products, 1, 0))
    sums = np.moveaxis(sums, 1, 0)
    rng, found = np.random.default_rng(seed), np.zeros((len(names), 2))
    for _ in range(SETTINGS.n_splits if len(names) > 1 else 0):
        order = rng.permutation(len(names))
        halves = order[: len(names) // 2], order[len(names) // 2 :]
        for chosen_on, judged_on in (halves, halves[::-1]):
            epoch = explained(sums[:, chosen_on]).argmax()
            found[judged_on] += sums[epoch, judged_on, :2] / SETTINGS.n_splits
    return found


class GatedTraining(CommonPart, WithTrees):
    """Train networks on a linear encoder, and judge what they add."""

    def _fit_fresh(self, X, y, groups, subjects):
        """Fit the linear encoder, train the networks, and judge what they add.

        Where splines of the features may tell more, do so once more on a linear encoder blended
        with them, and keep the better of the two models. In world `bent`, draw 10, R is .556
        without that, .576 with splines alone and .581 with the blend and its network.
        """
        self._check_training_params()
        for name in ("base_", "_base_inputs"):
            self.__dict__.pop(name, None)
        self._base = self._resolved_base()
        if self._base is not None:
            self._check_base_params(LINEAR[self._base])
            self._fit_base_held_out(X, y)
        rng = check_random_state(self.random_state)
        blocks = time_blocks(subjects) if groups is None else np.asarray(groups)
        before = rng.get_state(), self.__dict__.get("_base_inputs")
        judged = self._fit_networks(X, y, groups, subjects, blocks, rng)
        if judged is not None and self._may_blend(X):
            self._try_splines(X, y, groups, subjects, blocks, rng, before, judged)
        kept = self.__dict__.pop("_base_inputs", None) is not None
        if self._base is not None and not kept and self._n_valid(len(X)):
            # The network and its best epoch needed trials that the linear encoder had not seen;
            # from here on it may as well use all.
            self.base_._fit_trials(X, y, np.arange(len(X)), weights=self._sample_weight)

    def _try_splines(self, X, y, groups, subjects, blocks, rng, before, judged):
        """Train networks on a blend with splines, too, if that is promising; keep the better model.

        before (tuple): State of rng and held-out predictions with which the first were trained.
        judged (tuple): What `_fit_networks` says of these.
        """
        state, self._base_inputs = before
        held, left, errors = judged
        model = dict(vars(self))
        blend = self._blend_with_splines(X, y, held, 1 - errors / left, blocks)
        if blend is None:
            return
        self.base_, self._base_inputs = blend
        rng.set_state(state)  # the same trials held out
        if self._fit_networks(X, y, groups, subjects, blocks, rng)[2] >= errors:
            vars(self).clear()
            vars(self).update(model)

    def _fit_networks(self, X, y, groups, subjects, blocks, rng):
        """Train the networks on the linear encoder, and judge what they add.

        Returns held (n_held,) int: Trials on which they were judged, and left, errors (float): Of
            the linear encoder there, and of all that was fitted; or None.
        """
        self.__dict__.pop("_added_mean", None)
        self.gate_, self.n_networks_ = 1.0, 1
        self._subject_share = self._share_of_subjects(subjects)
        many = self._base is not None and len(X) >= SETTINGS.few
        self._forget_bias = SETTINGS.forget_bias if many else 0.0
        splits = self._splits(blocks, rng)
        networks, evidence, apart, trials, left = [], [], [], [], 0.0
        self._forests, self.tree_share_ = [], 0.0
        for split in splits:
            seed = rng.randint(2**31 - 1)
            stay, weight = self._split_groups(groups, blocks), self._sample_weight
            if split is None and self._subject_share < SETTINGS.alike:
                split = self._inner_split(X, y, stay, seed)
            if split is not None and len(split[1]):
                self._hold_out(X, y, split)
            self._train(X, y, groups=stay, sample_weight=weight, seed=seed, split=split)
            networks.append(self.net_.module_.state_dict())
            held_out = self.net_.__dict__.pop("held_out_", None)
            if held_out is not None:
                products, index = held_out
                told = groups is not None or of_known_subjects(subjects, index)
                told = np.flatnonzero(np.broadcast_to(told, len(index)))
                judged = blocks[index[told]]
                trials.append(index[told])
                left += products[0, told, 2].sum()
                found = cross_fitted(products[:, told], judged, seed)
                train = np.setdiff1d(np.arange(len(X)), index)
                by_trees = self._fit_trees(X, y, (train, index), seed)[told]
                found = np.hstack([found, summed_by_group(by_trees, judged)])
                evidence.append(matrices_of(found))
                parts = self._products_apart(X, y, (train, index))[told]
                apart.append(summed_by_group(parts, judged))
        if len(networks) > 1:
            self._fit_scaling(X, y, np.arange(len(X)))
            self._join(networks)
        gain = 0.0
        if self._base is not None and self.validation_fraction != 0:
            gain = self._decide(X, y, evidence, apart)
        return (np.concatenate(trials), left, left - gain) if left else None

    def _decide(self, X, y, evidence, apart):
        """Take what held-out trials say about the network and the trees.

        evidence (list of ndarray of shape (n_groups, 2, 3)): Of the network, at epochs chosen on
            other groups, and of the trees.
        apart (list of ndarray of shape (n_groups, 4, 5)): Of the means of both, and of the
            deviations from them.
        Returns gain (float): By how much the squared error of these trials is less.
        """
        models = 2 if self._forests else 1
        means, deviations, gain = np.zeros(models), np.zeros(models), 0.0
        if evidence:
            both = (np.concatenate(each) for each in (evidence, apart))
            whole, parts = (_of_models(each, models) for each in both)
            means, deviations = apart_shares(whole, parts)
            gain = reduction(parts, np.append(means, deviations)).sum()
        if np.any(means != deviations):
            self._keep_mean(X, y, means - deviations)
        self.gate_, self.tree_share_ = (*map(float, deviations), 0.0)[:2]
        self.net_.module_.shrink_residual(self.gate_)
        if not self.tree_share_:
            self._forests = []
        return gain

    def _share_of_subjects(self, subjects):
        """How far subjects may part: all the way with many trials of each."""
        if self._base is None:
            return 1.0
        weight = self._sample_weight
        n = (len(subjects) if weight is None else weight.sum()) / len(np.unique(subjects))
        return float(n / (n + SETTINGS.kappa))

    def _n_epochs(self, n_batches):
        """Number of epochs: with ``max_epochs="auto"`` more where there are few batches."""
        if self.max_epochs != "auto":
            return self.max_epochs
        enough = min(-(-SETTINGS.steps // n_batches), SETTINGS.most_epochs)
        return max(SETTINGS.epochs, enough)

    def _splits(self, blocks, rng):
        """Trials to train on and to hold out, a pair for each network; None: as it is asked for."""
        several = self.validation_fraction == "auto" and self.validation_split == "random"
        names = np.unique(blocks)
        n = min(SETTINGS.n_networks, len(names))
        if self._base is None or not several or n < 2 or not 5 <= len(blocks) < SETTINGS.few:
            return [None]
        parts = np.array_split(rng.permutation(names), n)
        held = [np.isin(blocks, part) for part in parts]
        return [(np.flatnonzero(~h), np.flatnonzero(h)) for h in held]

    def _join(self, networks):
        """Make one network of several: their mean."""
        first, *others = networks
        weights = dict(first)
        for i, other in enumerate(others):
            weights.update({f"others.{i}.{name}": value for name, value in other.items()})
        self.n_networks_ = len(networks)
        self._fitted_params = self._module_params()
        with isolated(0, self.n_threads, torch.device(self.device_)):
            self.net_ = self._make_net(self._fitted_params, self.device_, self.dtype)
        self.net_.module_.load_state_dict(weights)
        self._forget_training(self.net_)

    def _split_groups(self, groups, blocks):
        """Trials that stay together in the inner split: neighbors, if nothing was said."""
        if groups is not None or self.validation_split != "random" or self._base is None:
            return groups
        return blocks if len(np.unique(blocks)) > 1 else None


def _of_models(products, n_models):
    """Products of the network, or of both it and the trees."""
    rows = np.arange(products.shape[1]).reshape(-1, 2)[:, :n_models].ravel()
    return products[:, rows][:, :, np.append(0, rows + 1)]
