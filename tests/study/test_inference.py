import mne
import numpy as np
import pytest
from mne.channels import find_ch_adjacency, make_standard_montage
from scipy.integrate import trapezoid
from scipy.stats import cauchy, kstest, nct, wilcoxon
from scipy.stats import t as student

from sklearn_meg.study import inference, null


def test_holm_is_what_statsmodels_says():
    p = [0.01, 0.04, np.nan, 0.03]
    np.testing.assert_allclose(inference.holm(p), [0.03, 0.06, np.nan, 0.06])


def test_signed_rank_with_its_effect():
    difference = np.array([1.0, 2.0, 3.0, -0.5, 4.0])
    p, effect = inference.signed_rank(difference)
    assert p == wilcoxon(difference).pvalue
    assert effect == pytest.approx((15 - 2) / 15)


def test_bootstrap_covers_the_mean_of_the_population():
    rng = np.random.default_rng(0)
    inside = 0
    for seed in range(200):
        low, high = inference.bootstrap_subjects(rng.normal(1.0, 1.0, 8), n_draws=500, seed=seed)
        inside += low < 1.0 < high
    assert 0.89 < inside / 200 < 0.99


def one_score(S):
    """Cross-validated scores of one linear weight, and their null: folds share what they train on.

    ``S[k]`` is the sum of x y over the trials of fold k.
    """
    weights = S.sum() - S
    return weights * S, weights


def test_folds_that_share_training_trials_are_combined_without_false_alarms():
    rng = np.random.default_rng(0)
    z, naive = [], []
    for _ in range(2000):
        S = rng.normal(size=(5, 20))  # 20 independent channels
        weights = S.sum(axis=0) - S
        ratio = (weights * S).sum(axis=1) / np.sqrt(np.square(weights).sum(axis=1))
        z.append(null.combine_folds(ratio)[0])
        naive.append(ratio.sum() / np.sqrt(5))
    assert 0.035 < np.mean(np.array(z) > 1.645) < 0.065
    assert np.mean(np.array(naive) > 1.645) > 0.1  # what it would be without the correction
    assert kstest(z, "norm").pvalue > 1e-3


def test_moments_are_those_of_all_draws():
    draws = np.random.default_rng(0).normal(size=(9, 3, 2))
    moments = null.Moments()
    for draw in draws:
        moments.add(draw)
    np.testing.assert_allclose(moments.mean, draws.mean(axis=0))
    np.testing.assert_allclose(moments.sd, draws.std(axis=0, ddof=1))


def test_what_other_features_say_stays_in_place():
    rng = np.random.default_rng(0)
    a = rng.normal(size=40)
    b = 0.8 * a + 0.6 * rng.normal(size=40)
    X = np.stack([a, b], axis=1)[:, :, np.newaxis] * np.ones(5)
    fitted, residual = null.independent_part(X, np.array([1]), np.array([0]))
    np.testing.assert_allclose(fitted + residual, X[:, [1]])
    assert abs(np.corrcoef(residual[:, 0, 0], a)[0, 1]) < 1e-9


@pytest.fixture
def maps():
    info = mne.create_info(16, 50.0, "eeg")
    montage = make_standard_montage("biosemi16")
    info = mne.create_info(montage.ch_names, 50.0, "eeg").set_montage(montage)
    values = np.random.default_rng(0).normal(size=(8, 16, 12))
    values[:, :5, 4:8] += 1.0
    return values, info


@pytest.mark.parametrize("tfce", [False, True])
def test_clusters_are_those_of_mne_called_by_hand(maps, tfce):
    values, info = maps
    t, p, clusters, p_clusters = inference.cluster_test(
        values, info, tfce=tfce, n_permutations=64, tail=0, seed=3
    )
    threshold = {"start": 0, "step": 0.2} if tfce else student.ppf(0.975, 7)
    expected = mne.stats.spatio_temporal_cluster_1samp_test(
        values.transpose(0, 2, 1), threshold=threshold, n_permutations=64, tail=0, seed=3,
        adjacency=find_ch_adjacency(info, "eeg")[0], out_type="mask", verbose="error",
    )  # fmt: skip
    np.testing.assert_allclose(t, expected[0].T)
    np.testing.assert_allclose(p_clusters, expected[2])
    assert p.shape == (16, 12)
    if not tfce:
        assert p.min() == expected[2].min() < 0.05
        assert len(clusters) == len(expected[1])


def test_few_subjects_have_no_cluster_test(maps):
    with pytest.raises(ValueError, match="at least 5 of them. Got 3"):
        inference.cluster_test(maps[0][:3])


def test_intervals_within_subjects_cover():
    rng = np.random.default_rng(0)
    outside = 0
    for _ in range(200):
        parts = [rng.normal(size=20) for _ in range(10)]
        gain = np.mean([part.mean() for part in parts])
        low, high, p = inference.within_subjects([v - v.mean() for v in parts], gain)
        outside += not low < 0 < high
        assert (p < 0.05) == (not low < 0 < high)
    assert outside < 20


def test_the_interval_of_an_effect_covers():
    rng = np.random.default_rng(0)
    covered = []
    for _ in range(200):
        d, low, high = inference.standardized_mean(rng.normal(0.5, size=12))
        assert low < d < high
        covered.append(low < 0.5 < high)
    assert 0.91 <= np.mean(covered) <= 0.985
    assert np.isnan(inference.standardized_mean([1.0, 1.0])).all()


@pytest.mark.parametrize("mean, n", [(0.0, 10), (0.4, 20), (2.0, 8), (1.0, 200)])
def test_the_bayes_factor_is_the_ratio_of_marginal_likelihoods(mean, n):
    values = np.random.default_rng(n).normal(mean, size=n)
    observed = np.sqrt(n) * values.mean() / values.std(ddof=1)
    effects = np.linspace(-15, 15, 40001)
    with np.errstate(all="ignore"):
        likelihood = np.nan_to_num(nct.pdf(observed, n - 1, effects * np.sqrt(n)))
    marginal = trapezoid(likelihood * cauchy.pdf(effects, scale=0.707), effects)
    expected = marginal / student.pdf(observed, n - 1)
    np.testing.assert_allclose(inference.bayes_factor(values), expected, rtol=0.01)
    assert np.isnan(inference.bayes_factor([2.0]))
