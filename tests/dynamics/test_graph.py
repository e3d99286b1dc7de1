import copy

import networkx as nx
import numpy as np
import pytest

from sklearn_meg import HiddenMarkovGraph, SingleGaussian
from sklearn_meg.datasets import make_states
from sklearn_meg.dynamics import (
    _graph,
    community_reliability,
    community_significance,
    information_rate,
    multiplex_walk,
    surrogate,
)
from sklearn_meg.dynamics._base import communities_of
from sklearn_meg.dynamics.metrics import (
    community_ari,
    match_states,
    planted_scores,
    rank_correlation,
    state_accuracy,
)

# Small worlds and wrong numbers of states: doubts are tested elsewhere.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn_meg.dynamics.StateWarning")


@pytest.fixture(scope="module")
def data():
    return make_states("easy", n_states=3, n_subjects=4, n_times=300, n_regions=20)


@pytest.fixture(scope="module")
def fitted(data):
    return HiddenMarkovGraph(n_states=3, n_init=3, random_state=0).fit(data.X)


def _random_layers(seed, n_states=3, n_regions=8):
    rng = np.random.default_rng(seed)
    W = rng.uniform(size=(n_states, n_regions, n_regions)) * (
        rng.uniform(size=(n_states, 1, 1)) + 1
    )
    W = np.triu(W, 1) * (rng.uniform(size=W.shape) < 0.5)
    return W + W.swapaxes(1, 2), rng.dirichlet(np.ones(n_states), size=n_states)


def test_the_walk_is_that_of_the_whole_matrix():
    layers, P = _random_layers(0)
    layers[1, 3] = layers[1, :, 3] = 0  # a region without edge
    steps = _graph.walk_steps(layers)
    n = layers[:, :, 0].size
    M = np.einsum("kl,lij->kilj", P, steps).reshape(n, n)
    np.testing.assert_allclose(M.sum(1), 1)
    google = 0.85 * M + 0.15 / n
    values, vectors = np.linalg.eig(google.T)
    expected = np.real(vectors[:, np.argmax(values.real)])
    visits = multiplex_walk(layers, P)
    np.testing.assert_allclose(visits.ravel(), expected / expected.sum(), atol=1e-10)

    labels = np.arange(8)[None] % 3 + np.zeros((3, 1), dtype=int)
    ranked = _graph.rank_communities(layers, labels, P)
    for state, label, score, persistence in zip(
        ranked.state, ranked.label, ranked.score, ranked.persistence
    ):
        inside = np.zeros((3, 8), dtype=bool)
        inside[state, labels[state] == label] = True
        inside = inside.ravel()
        share = visits.ravel()[inside]
        stays = share @ google[np.ix_(inside, inside)].sum(1) / share.sum()
        np.testing.assert_allclose([persistence, score], [stays, stays * share.sum()])
    assert (np.diff(ranked.score) <= 0).all()
    np.testing.assert_allclose(ranked.occupancy.sum(), 1)


def test_one_layer_without_damping_is_visited_by_degree():
    layers, _ = _random_layers(1, n_states=1)
    layers += 0.1 * (1 - np.eye(8))  # connected
    visits = multiplex_walk(layers, np.ones((1, 1)), damping=0.999999, max_iter=100000)
    np.testing.assert_allclose(visits[0], layers[0].sum(0) / layers.sum(), atol=1e-4)


def test_information_rate():
    assert information_rate(np.eye(3)) == 0
    np.testing.assert_allclose(information_rate(np.full((4, 4), 0.25)), np.log(4))
    P = np.array([[0.9, 0.1], [0.3, 0.7]])  # long run: 3/4, 1/4
    h = [-(row * np.log(row)).sum() for row in P]
    np.testing.assert_allclose(information_rate(P), 0.75 * h[0] + 0.25 * h[1])


def test_density_keeps_the_strongest_positive_edges():
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(20, 20))
    weights = weights + weights.T
    np.fill_diagonal(weights, 0)
    layer = _graph.strongest_edges(weights, 0.15)
    i, j = np.triu_indices(20, 1)
    assert (layer[i, j] > 0).sum() == round(0.15 * 190)
    assert layer[i, j][layer[i, j] > 0].min() >= weights[i, j][layer[i, j] == 0].max()
    np.testing.assert_array_equal(layer, layer.T)
    sparse = _graph.strongest_edges(weights, 0.9)
    assert (sparse >= 0).all() and (sparse > 0).sum() == (weights > 0).sum()


def test_partial_correlations():
    # A chain: ends are correlated, but not given the middle.
    L = np.array([[1.0, 0, 0], [0.8, 1, 0], [0.64, 0.8, 1]])
    covariance = (L @ L.T)[None]
    assert _graph.correlations(covariance)[0, 0, 2] > 0.3
    np.testing.assert_allclose(
        _graph.correlations(covariance, partial=True)[0, 0, 2], 0, atol=1e-12
    )


def test_shrunk_partial_correlations_keep_neighbors_and_lose_what_is_owed_to_them():
    L = np.array([[1.0, 0, 0], [0.8, 1, 0], [0.64, 0.8, 1]])
    found = _graph.shrunk_partial((L @ L.T)[None] * 4.0)[0]
    assert found[0, 2] < 0.5 * found[0, 1] and (found.diagonal() == 0).all()
    one = np.ones((1, 5, 5)) + 1e-12 * np.eye(5)  # copies have no partial correlations of their own
    assert np.isfinite(_graph.shrunk_partial(one)).all()


@pytest.mark.parametrize("edges", ["significant", "layer"])
def test_communities_in_other_edges(data, fitted, edges):
    model = copy.copy(fitted)
    model.community_edges = edges
    _, labels = communities_of(model, fitted.covariances_, fitted.state_samples_)
    matching = match_states(data.states, fitted.predict(data.X))
    assert community_ari(data.communities, labels, matching) > 0.5


def test_regions_of_an_empty_state_are_communities_of_their_own():
    layer = 1e-170 * (1 - np.eye(5))  # its square is zero
    np.testing.assert_array_equal(_graph.louvain(layer, layer, 0), np.arange(5))


def test_planted_communities_and_ranks_are_found(data, fitted):
    matching = match_states(data.states, fitted.predict(data.X))
    assert community_ari(data.communities, fitted.communities_, matching) > 0.9
    truth = planted_scores(data.covariances, data.communities, data.transmat)
    assert rank_correlation(truth, data.communities, fitted, matching) > 0.75
    only_layer = HiddenMarkovGraph(
        n_states=3, n_init=3, random_state=0, community_edges="layer", layer="partial", density=0.3
    ).fit(data.X)
    np.testing.assert_array_equal(only_layer.covariances_, fitted.covariances_)
    assert np.count_nonzero(only_layer.layers_) > 1.5 * np.count_nonzero(fitted.layers_)


def test_table_and_graphs(data, fitted):
    names = [f"region {i}" for i in range(20)]
    table = fitted.community_table(names)
    assert list(table["rank"]) == list(range(1, len(table) + 1))
    assert table["score"].is_monotonic_decreasing
    np.testing.assert_allclose(table["score"], table["occupancy"] * table["persistence"])
    for k, part in table.groupby("state"):
        assert sorted(sum(part["regions"], ())) == sorted(names)
        assert part["n_regions"].sum() == 20
        graph = fitted.state_graph(k, names)
        assert isinstance(graph, nx.Graph) and set(graph) == set(names)
        assert graph.number_of_edges() == np.count_nonzero(fitted.layers_[k]) / 2
        first = part.iloc[0]
        assert {graph.nodes[r]["community"] for r in first["regions"]} == {first["community"]}
    transitions = fitted.transition_graph()
    assert transitions.number_of_nodes() == 3
    np.testing.assert_allclose(transitions[0][1]["weight"], fitted.transmat_[0, 1])
    np.testing.assert_allclose(sum(d["occupancy"] for _, d in transitions.nodes(data=True)), 1)
    with pytest.raises(ValueError, match="one of the 3 states. Got 3"):
        fitted.state_graph(3)
    with pytest.raises(ValueError, match="20 different names"):
        fitted.community_table(names[:-1])


def test_planted_communities_beat_surrogates_and_noise_does_not(data, fitted):
    table = community_significance(fitted, data.X, n_surrogates=19)
    assert table["p_value"].iloc[0] == 0.05
    noise = np.random.default_rng(0).normal(size=(4, 20, 300))
    model = SingleGaussian().fit(noise)
    assert community_significance(model, noise, n_surrogates=19)["p_value"].iloc[0] > 0.05
    refitted = community_significance(
        SingleGaussian().fit(data.X), data.X, n_surrogates=19, kind="phase", refit=True
    )
    assert refitted["p_value"].between(0.05, 1).all()
    for bad, message in (({"n_surrogates": 0}, "at least 1"), ({"kind": "swap"}, "'shift'")):
        with pytest.raises(ValueError, match=message):
            community_significance(fitted, data.X, **bad)
    with pytest.raises(ValueError, match="Got one recording"):
        community_significance(fitted, data.X[0].T)


def test_planted_communities_come_back_in_other_recordings_and_those_of_noise_do_not(data, fitted):
    table = community_reliability(fitted, data.X, n_bootstraps=10)
    assert (table["reliability"][:9] > 0.75).all()
    again = community_reliability(fitted, data.X, n_bootstraps=10)
    np.testing.assert_array_equal(table["reliability"], again["reliability"])
    one = community_reliability(fitted, data.X[0].T, n_bootstraps=5)
    assert one["reliability"].between(0, 1).all()
    noise = np.random.default_rng(0).normal(size=(4, 20, 300))
    model = SingleGaussian().fit(noise)
    assert (community_reliability(model, noise, n_bootstraps=10)["reliability"] < 0.75).all()
    with pytest.raises(ValueError, match="n_bootstraps must be at least 1"):
        community_reliability(fitted, data.X, n_bootstraps=0)


@pytest.mark.parametrize("kind", ["shift", "phase"])
@pytest.mark.parametrize("n_times", [300, 301])
def test_surrogates_keep_spectra_and_lose_coupling(kind, n_times):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2, 1, n_times)) + 0.3 * rng.normal(size=(2, 5, n_times)) + 3
    fake = surrogate(X, kind, 0)
    for real, other in zip(X, fake):
        spectra = [np.abs(np.fft.rfft(x, axis=1)) for x in (real, other)]
        np.testing.assert_allclose(*spectra, atol=1e-8)
        off = ~np.eye(5, dtype=bool)
        assert np.corrcoef(real)[off].min() > 0.8
        assert np.abs(np.corrcoef(other)[off]).max() < 0.4


def test_metrics():
    true, found = [np.array([0, 0, 1]), np.array([2, 2])], [np.array([1, 1, 0]), np.array([0, 2])]
    assert state_accuracy(true, found) == 0.8
    np.testing.assert_array_equal(match_states([0, 0, 1, 1, 2], [0, 0, 1, 1, 1]), [0, 1, -1])
    with pytest.raises(ValueError, match="same samples.*3 and 2"):
        state_accuracy([0, 1, 2], [0, 1])
    assert community_ari([[0, 0, 1, 1]], [[0, 1, 0, 1]], [-1]) == 0.0
