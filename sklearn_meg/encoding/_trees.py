"""Randomized trees on the lags of the stimulus, as plain arrays.

An average of many coarse trees finds thresholds and products of features in so few trials that
neither lines nor a network do, and with more of them errs elsewhere than the network.
"""

from dataclasses import dataclass

import numpy as np
from sklearn.ensemble import ExtraTreesRegressor

from .._checks.trials import pieces, release_pages
from ._arx import pieces_of


@dataclass(frozen=True)
class Settings:
    """Chosen on world N of 30 subjects with 3 trials each, seeds 10, 12 and 14.

    R of trees alone: .107, .133, .16 (gradient boosting on the same lags: .109, .116, .141).
    Leaves of 10, 15, 30 or 100 samples, a third or all of the columns at a split, and whether they
    know the subject: within .01. Networks alone had .094, .131 and .147, both, equally, .107, .145
    and .16; with 15 trials each of 10 subjects .183 (networks), .190 (trees), .204 (both); with 80
    each of 6 subjects, seed 2, .226 (network), .209 (trees), .257 (both), for 1.3 s.
    """

    n_trees: int = 25
    #: Share of the columns looked at for a split.
    max_features: float = 0.3
    #: Samples of a leaf, at least; more where there would be more than `most_leaves`.
    least_leaf: int = 15
    most_leaves: int = 500
    #: Trials and samples that a forest is fitted to: neighbors are alike, so of more every second
    #: or third.
    most_trials: int = 2000
    most_rows: int = 15000
    #: Columns, lags times features: of more every second or third lag. Above, no trees.
    most_columns: int = 250
    #: Targets: of more channels the principal components.
    most_targets: int = 8


SETTINGS = Settings()


def lags_used(delays, n_features):
    """Some or all of the lags, evenly; none with too many features."""
    step = -(-len(delays) * n_features // SETTINGS.most_columns)
    return delays[::step] if step <= 4 else delays[:0]


def lag_table(features, lags):
    """One row a sample, with the features at each lag.

    features (n_trials, n_features, n_times): Standardized, so that outside of the trial they are
        at their mean.
    lags (ndarray of int)
    Returns table (n_trials, n_times, n_features * n_lags), float32

    >>> import numpy as np
    >>> lag_table(np.arange(3.0).reshape(1, 1, 3), np.array([0, 1]))[0]
    array([[0., 0.],
           [1., 0.],
           [2., 1.]], dtype=float32)
    """
    n_trials, n_features, n_times = features.shape
    table = np.zeros((n_trials, n_times, n_features, len(lags)), dtype=np.float32)
    moved = features.swapaxes(1, 2)
    for i, lag in enumerate(lags):
        to = slice(max(lag, 0), n_times + min(lag, 0))
        table[:, to, :, i] = moved[:, max(-lag, 0) : n_times - max(lag, 0)]
    return table.reshape(n_trials, n_times, -1)


def fit_trees(table, target, seed, weight=None):
    """Fit trees to what a linear encoder leaves.

    table (n_samples, n_columns), float32, target (n_samples, n_channels), weight (n_samples,) or
        None
    Returns trees (dict of ndarray): ``roots`` of the trees and, for all nodes, ``column``,
        ``threshold``, ``left`` and ``right`` (-1 in a leaf), the ``value`` of each pattern in a
        leaf, and the ``pattern`` over channels.
    """
    pattern = _patterns(target)
    leaf = max(SETTINGS.least_leaf, -(-len(table) // SETTINGS.most_leaves))
    forest = ExtraTreesRegressor(
        SETTINGS.n_trees,
        max_features=SETTINGS.max_features,
        min_samples_leaf=leaf,
        random_state=seed,
    )
    wanted = target @ pattern.T
    forest.fit(table, wanted[:, 0] if wanted.shape[1] == 1 else wanted, weight)
    return _as_arrays(forest) | {"pattern": pattern.astype(np.float32)}


def _patterns(rows):
    """Orthogonal patterns of the targets: all channels, or principal components."""
    n_channels = rows.shape[1]
    if n_channels <= SETTINGS.most_targets:
        return np.eye(n_channels)
    centered = rows - rows.mean(axis=0)
    return np.linalg.eigh(centered.T @ centered)[1][:, : -SETTINGS.most_targets - 1 : -1].T


def _as_arrays(forest):
    """All trees of a fitted forest in one numbering of nodes."""
    trees = [tree.tree_ for tree in forest.estimators_]
    first = np.cumsum([0] + [tree.node_count for tree in trees[:-1]])

    def children(name):
        found = [getattr(tree, name) for tree in trees]
        return np.concatenate([np.where(c < 0, -1, c + f) for c, f in zip(found, first)])

    value = np.concatenate([tree.value[:, :, 0] for tree in trees])
    return {
        "roots": first,
        "column": np.concatenate([tree.feature for tree in trees]),
        "threshold": np.concatenate([tree.threshold for tree in trees]),
        "left": children("children_left"),
        "right": children("children_right"),
        "value": value.astype(np.float32),
    }


def predict_trees(forests, table):
    """Mean prediction of the trees of some forests.

    forests (list of dict of ndarray): As `fit_trees` gives them.
    table (n_trials, n_times, n_columns)
    Returns y (n_trials, n_channels, n_times), float32
    """
    n_channels = forests[0]["pattern"].shape[1]
    out = np.empty((len(table), n_channels, table.shape[1]), dtype=np.float32)
    n_trees = sum(len(forest["roots"]) for forest in forests)
    for part in pieces(table, 64):
        flat = table[part].reshape(-1, table.shape[2])
        total = sum(_summed_leaves(forest, flat) @ forest["pattern"] for forest in forests)
        out[part] = (total / n_trees).reshape(-1, table.shape[1], n_channels).swapaxes(1, 2)
    return out


def _summed_leaves(forest, table):
    return sum(forest["value"][_leaves(forest, table, root)] for root in forest["roots"])


def _leaves(trees, table, root):
    """Leaf of one tree that each row of the table falls into."""
    node, falling = np.full(len(table), root), np.arange(len(table))
    while len(falling):
        at = node[falling]
        inner = trees["left"][at] >= 0
        falling, at = falling[inner], at[inner]
        low = table[falling, trees["column"][at]] <= trees["threshold"][at]
        node[falling] = np.where(low, trees["left"][at], trees["right"][at])
    return node


class WithTrees:
    """Trees beside the network, of the same trials."""

    def _tree_lags(self):
        return lags_used(self.base_.delays_, len(self._rows["features"]))

    def _tree_table(self, features):
        return lag_table(np.asarray(features), self._tree_lags())

    def _fit_trees(self, X, y, split, seed):
        """Fit to the trials of a split; products of what trees add in those held out.

        Returns products (n_held, 3): Left over times added, added squared, and added by the
            network times added.
        """
        train, held = split
        products = np.zeros((len(held), 3))
        if len(self._tree_lags()):
            table, left, weight = self._tree_samples(X, y, train)
            if len(table):
                self._forests.append(fit_trees(table, left, seed, weight))
                found = list(self._tree_products(X, y, held))
                products = np.concatenate(found)
        weight = self._sample_weight
        return products if weight is None else products * weight[held, np.newaxis]

    def _tree_samples(self, X, y, trials):
        """Some samples of some trials, evenly: table, what is left, weights."""
        trials = trials[:: -(-len(trials) // SETTINGS.most_trials)]
        every = -(-len(trials) * X.shape[2] // SETTINGS.most_rows)
        samples, weight = [], self._sample_weight
        for part, inputs, left in self._left_over(X, y, trials):
            table = self._tree_table(inputs["features"])
            at = np.add.outer(np.searchsorted(trials, part), np.arange(X.shape[2]))
            kept = (at % every == 0) & ~np.isnan(left).any(axis=1)
            each = np.ones(len(part)) if weight is None else weight[part]
            each = np.broadcast_to(each[:, np.newaxis], kept.shape)
            samples.append((table[kept], left.swapaxes(1, 2)[kept], each[kept]))
        table, left, each = map(np.concatenate, zip(*samples))
        return table, left.astype(np.float64), None if weight is None else each

    def _tree_products(self, X, y, trials):
        """Left over times added, added squared, and added by the network times added."""
        for _, inputs, left in self._left_over(X, y, trials):
            added = predict_trees(self._forests[-1:], self._tree_table(inputs["features"]))
            by_network = self._network_alone(inputs) - inputs["base"].numpy()
            counted = ~np.isnan(left)
            added, left = np.where(counted, added, 0.0), np.where(counted, left, 0.0)
            pairs = [other * added for other in (left, added, by_network)]
            yield np.stack([pair.sum(axis=(1, 2), dtype=float) for pair in pairs], axis=1)

    def _left_over(self, X, y, trials):
        """Inputs of the network, and what the linear encoder leaves, some trials at a time."""
        for part in pieces_of(trials, X.shape[2], self.n_outputs_):
            inputs = self._training_inputs(X, part)
            left = self._targets(np.asarray(X[part]), np.asarray(y[part])) - inputs["base"]
            yield part, inputs, left.numpy()
            release_pages(X, y)

    def _network_alone(self, inputs):
        with self._evaluating() as (module, weight):
            inputs = {k: tensor.to(weight.device, weight.dtype) for k, tensor in inputs.items()}
            return module(**inputs).float().cpu().numpy()
