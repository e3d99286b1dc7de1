"""What can be asked of a study after its run: tables and tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import checks, compare, inference, null

if TYPE_CHECKING:
    import numpy as np

    from .._typing import BaseEstimator, DataFrame, Info
    from .results import Results


class Answers:
    """What a study knows after its run. Sentences, figures and the page are made of it."""

    models: dict[str, BaseEstimator]
    all_models_: dict[str, BaseEstimator]
    results_: Results
    table_: DataFrame
    pooled_: DataFrame
    curves_: DataFrame
    maps_: dict[str, np.ndarray]
    null_z_: dict[str, np.ndarray]
    knows_: dict[str, dict[str, bool]]
    info_: Info | None
    start_: int

    def summary(self, reference: str | None = None) -> DataFrame:
        """Mean and spread of every score per model.

        Parameters
        ----------
        reference : str, default=None
            Model whose mean the ratio is taken to. None means the first.

        Returns
        -------
        summary : DataFrame
            ``model, metric, mean, sd, sem`` over folds x subjects, ``n`` of them,
            ``ratio_to_<reference>``, which is NaN where the two are not told the same. The SEM
            treats folds as independent; they share training trials, so it is a lower bound.

        Raises
        ------
        ValueError
            For an unknown model, or before :meth:`run`.
        """
        self._check_run()
        reference = self._check_name(reference or next(iter(self.models)), "reference")
        return compare.summarize(self.table_, self.pooled_, self.metrics_, reference, self.knows_)

    def gains(self, metric: str | None = None) -> DataFrame:
        """Gain of every model over the floor with the same information: the main result.

        Parameters
        ----------
        metric : str, default=None
            None means the first score.

        Returns
        -------
        gains : DataFrame
            One row per model that looks at the features: ``floor``, what it is ``told``, the mean
            ``gain`` with its 95 % interval ``ci_low, ci_high``, and ``interval_over``:
            ``"subjects"`` (bootstrap) with at least six of them, otherwise ``"trials"``, which
            says nothing about other subjects. ``p`` belongs to the interval; ``p_features`` to the
            exchange of features between trials; ``p_holm`` is the latter, adjusted for the number
            of models. ``effect_size`` is the rank-biserial correlation over subjects, ``d`` their
            mean over their standard deviation with its interval ``d_low, d_high``, and ``bf10``
            the Bayes factor of a difference over none. ``claimed`` says that the interval is
            above 0 and ``p_holm`` below .025 (one-sided), and no feature is in ``drifting_``.
        """
        self._check_run()
        return compare.gains(self.results_, self._check_metric(metric))

    def features(self) -> DataFrame:
        """Unique contribution of every feature to every model that looks at it.

        Returns
        -------
        features : DataFrame
            ``model, feature``, ``contribution``: by how much R falls when this feature (what other
            features do not say about it) is exchanged between the trials of a subject; ``z``,
            one-sided ``p``, ``p_holm`` over all rows, and ``p_subjects`` of the signed-rank test.
        """
        self._check_run()
        return compare.feature_table(self.results_)

    def compare(self, a: str, b: str, metric: str | None = None) -> DataFrame:
        """Paired comparison of two models by the Wilcoxon signed-rank test.

        The folds of a subject share training trials, so over subjects x folds the p value is
        optimistic. The second row averages over folds first: subjects are independent, and that
        p value can be taken at its word (with n subjects it is never below 2 ** (1 - n)).

        Parameters
        ----------
        a, b : str
            Names of models.
        metric : str, default=None
            None means the first score.

        Returns
        -------
        comparison : DataFrame with two rows
            ``a, b, metric, over, n_pairs, median_difference`` (a - b), two-sided ``p``,
            ``effect_size``, the matched-pairs rank-biserial correlation: 1 if `a` is better in
            every pair, -1 if `b` is, and whether they are ``told_the_same``. Both are NaN for
            fewer than two pairs.

        Raises
        ------
        ValueError
            For an unknown model or metric, or before :meth:`run`.
        """
        self._check_run()
        a, b = self._check_pair(a, b)
        metric = self._check_metric(metric)
        return compare.compare_pairs(self.table_, self.pooled_, a, b, metric, self.knows_)

    @property
    def comparisons_(self) -> DataFrame:
        """DataFrame of :meth:`compare` for every pair of models and every score."""
        self._check_run()
        return compare.compare_all(
            self.table_, self.pooled_, list(self.all_models_), self.metrics_, self.knows_
        )

    @property
    def null_p_(self) -> dict[str, np.ndarray]:
        """One-sided p of R of each model, subject, channel and time, from `null_z_`."""
        self._check_run()
        return {name: null.p_of(z) for name, z in self.null_z_.items()}

    def by_channel_type(self) -> DataFrame | None:
        """Mean R across trials of each model by type of channel.

        Returns
        -------
        table : DataFrame or None
            ``channels`` (mag, grad, eeg), ``model``, ``r``; None where types are not known.
        """
        self._check_run()
        return compare.by_channel_type(self.maps_, self.info_, self.start_)

    def cluster_test(
        self,
        a: str,
        b: str,
        *,
        channels: str | None = None,
        tfce: bool = False,
        n_permutations: int = 1000,
        tail: int = 0,
    ) -> tuple:
        """Cluster permutation test of two models over sensors and time, by mne.stats.

        Parameters
        ----------
        a, b : str
            Names of models; b may be the floor of a.
        channels : {"mag", "grad", "eeg"}, default=None
            Type of channels, where there are several.
        tfce : bool, default=False
            Threshold-free cluster enhancement.
        n_permutations : int, default=1000
            Sign flips of subjects.
        tail : {-1, 0, 1}, default=0
            1 asks for gains of `a` only.

        Returns
        -------
        t, p : ndarray of shape (n_channels, n_times)
            Statistic, and p of the cluster that each sensor and time belongs to.
        clusters : list of ndarray of bool of shape (n_channels, n_times)
        p_clusters : ndarray of shape (n_clusters,)

        Raises
        ------
        ValueError
            For an unknown model, fewer than five subjects, or before :meth:`run`.
        """
        self._check_run()
        a, b = self._check_pair(a, b)
        picks, info = checks.picks_of(self.info_, channels, self.shapes_["y"][1])
        difference = (self.maps_[a] - self.maps_[b])[:, picks]
        return inference.cluster_test(
            difference, info, tfce=tfce, n_permutations=n_permutations, tail=tail,
            seed=self.random_state, start=self.start_,
        )  # fmt: skip

    def _check_run(self):
        if not hasattr(self, "table_"):
            raise ValueError("This Study has no results yet: call run(X, y) first.")

    def _check_metric(self, metric):
        metric = metric or self.metrics_[0]
        if metric not in self.metrics_:
            raise ValueError(f"metric must be among {self.metrics_}. Got {metric!r}.")
        return metric

    def _check_name(self, name, parameter):
        if name not in self.all_models_:
            raise ValueError(f"{parameter} must be among {list(self.all_models_)}. Got {name!r}.")
        return name

    def _check_pair(self, a, b):
        a, b = self._check_name(a, "a"), self._check_name(b, "b")
        if a == b:
            raise ValueError(f"a and b must be two different models. Got {a!r} twice.")
        return a, b
