import numpy as np
import pytest

from sklearn_meg.datasets import make_states


@pytest.mark.parametrize("world", ["easy", "hard"])
def test_a_world_is_what_it_says(world):
    data = make_states(world, n_subjects=40, n_regions=20)
    stay, coupling = {"easy": (0.97, 1.0), "hard": (0.9, 0.6)}[world]
    assert data.X.shape == (40, 20, {"easy": 1000, "hard": 600}[world])
    same = data.states[:, 1:] == data.states[:, :-1]
    np.testing.assert_allclose(same.mean(), stay, atol=0.01)
    np.testing.assert_allclose(data.startprob @ data.transmat, data.startprob)
    np.testing.assert_allclose(data.transmat.sum(1), 1)
    shares = np.bincount(data.states.ravel()) / data.states.size
    np.testing.assert_allclose(shares, np.linspace(1, 2, 4) / 6, atol=0.06)
    for k in range(4):
        own = data.X.transpose(0, 2, 1)[data.states == k]
        np.testing.assert_allclose(np.cov(own.T), data.covariances[k], atol=0.12)
        np.testing.assert_allclose(own.mean(0), 0, atol=0.08)
        np.testing.assert_array_equal(np.sort(np.bincount(data.communities[k])), [2, 3, 4, 5, 6])
        inside = data.communities[k][:, None] == data.communities[k]
        assert (data.covariances[k][~inside] == 0).all()
    np.testing.assert_allclose(np.sort(data.strengths, 1)[0], coupling * np.linspace(0.3, 0.7, 5))


def test_seeds():
    one, same, other = (make_states("hard", random_state=s) for s in (0, 0, 1))
    np.testing.assert_array_equal(one.X, same.X)
    assert (one.X != other.X).any() and (one.communities != other.communities).any()


def test_sizes_and_one_state():
    data = make_states(n_states=1, n_subjects=2, n_times=50, n_regions=3, n_communities=3)
    assert data.X.shape == (2, 3, 50) and not data.states.any()
    np.testing.assert_array_equal(data.covariances, np.eye(3)[None])


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"world": "medium"}, "'easy', 'hard'"),
        ({"n_states": 0}, "n_states"),
        ({"n_subjects": 1.5}, "n_subjects"),
        ({"n_regions": 3}, "at most n_regions"),
        ({"stay": 0.0}, "stay"),
        ({"coupling": 2.0}, "coupling"),
    ],
)
def test_bad_arguments(params, message):
    with pytest.raises(ValueError, match=message):
        make_states(**params)
