"""Layouts of other toolboxes, and what features contribute."""

import numpy as np
import pytest

from sklearn_meg import (
    DeepRecurrentEncoder,
    TemporalReceptiveField,
    pack_rows,
    pad_trials,
    to_trials,
    unique_contribution,
)

rng = np.random.default_rng(0)
LIST = [rng.normal(size=(30, 2)) for _ in range(4)]


def test_every_layout_gives_the_same_trials():
    expected = np.array([part.T for part in LIST])
    np.testing.assert_array_equal(to_trials(LIST), expected)
    np.testing.assert_array_equal(to_trials(np.array(LIST).transpose(1, 0, 2)), expected)
    np.testing.assert_array_equal(to_trials(LIST[0]), expected[:1])
    assert to_trials(LIST[0][:, 0]).shape == (1, 1, 30)


def test_trials_of_unequal_length_are_packed():
    cut = [part[: 20 + i] for i, part in enumerate(LIST)]
    X, rows = pack_rows(to_trials(cut))
    y, mask = pad_trials(to_trials(cut))
    assert X.shape == (4, 3, 23)
    np.testing.assert_array_equal(X[:, rows["mask_row"]], mask)
    TemporalReceptiveField(tmax=3, **rows).fit(X, y)


@pytest.mark.parametrize("mapped", [False, True])
def test_rows_are_packed_into_a_file_as_into_memory(tmp_path, mapped):
    given, meg = rng.normal(size=(7, 2, 30)), rng.normal(size=(7, 3, 30)).astype(np.float32)
    given[:, :, 0], meg[:, :, 25] = 1.0, np.nan  # after the initial window it may be anything
    np.save(tmp_path / "meg.npy", meg)
    source = np.load(tmp_path / "meg.npy", mmap_mode="r") if mapped else meg
    parts = {"subjects": np.arange(7) % 2, "initial": source, "n_initial": 10}
    X, rows = pack_rows(given, **parts)
    path = tmp_path / "X.npy"
    packed, same = pack_rows(given, **parts, out=path)
    assert isinstance(packed, np.memmap) and not packed.flags.writeable and same == rows
    np.testing.assert_array_equal(packed, X)
    np.testing.assert_array_equal(X[:, rows["initial_rows"], :10], meg[:, :, :10].astype(X.dtype))
    assert not X[:, rows["initial_rows"], 10:].any()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["X.npy", "meg.npy"]


@pytest.mark.parametrize(
    ("data", "match"),
    [
        ([np.ones((5, 2)), np.ones((5, 3))], "2, 3 features"),
        ([np.ones((5, 2, 2))], r"data\[0\] must have the shape"),
        (np.ones((2, 2, 2, 2)), "n_times, n_epochs, n_features"),
        (np.array(["a", "b"]), "real numbers"),
        (np.ones((0, 2)), "real numbers"),
    ],
)
def test_other_data_are_an_error(data, match):
    with pytest.raises(ValueError, match=match):
        to_trials(data)


def test_continuous_data_where_trials_are_wanted_name_the_way():
    with pytest.raises(ValueError, match="to_trials"):
        TemporalReceptiveField(tmax=5).fit(rng.normal(size=(100, 2)), rng.normal(size=(100, 3)))


@pytest.fixture(scope="module")
def known():
    """Channel 0 follows feature 0, channel 1 feature 1; feature 2 is a copy of feature 0."""
    rng = np.random.default_rng(1)
    features = rng.normal(size=(40, 3, 30))
    features[:, 2] = features[:, 0]
    y = features[:, :2] + rng.normal(size=(40, 2, 30))
    return features, y


def test_contribution_is_unique(known):
    X, y = known
    groups = {"first": [0], "second": [1], "first and copy": [0, 2]}
    found = unique_contribution(TemporalReceptiveField(tmax=2), X, y, groups)
    unique = found.unique.mean(axis=1)
    assert found.names == list(groups)
    assert found.full.shape == (5, 2)
    assert found.unique.shape == found.partial.shape == (3, 5, 2)
    np.testing.assert_allclose(found.full.mean(), 0.5, atol=0.1)
    np.testing.assert_allclose(unique[0], 0, atol=0.02)  # the copy says the same
    np.testing.assert_allclose(unique[1], [0, 0.5], atol=0.1)
    np.testing.assert_allclose(unique[2], [0.5, 0], atol=0.1)


def test_contribution_for_deep_encoders_too(known):
    X, rows = pack_rows(known[0], subjects=np.arange(40) % 2)
    before = X.copy()
    deep = DeepRecurrentEncoder(**rows, max_epochs=1, hidden_size=4, random_state=0)
    found = unique_contribution(deep, X, known[1], {"second": [1]}, cv=2)
    assert found.unique[0, :, 1].mean() > 0.3
    assert not hasattr(deep, "net_")
    np.testing.assert_array_equal(X, before)


@pytest.mark.parametrize(("groups", "match"), [({}, "features"), ({"a": [3]}, "stimulus rows")])
def test_contribution_of_other_rows_is_an_error(known, groups, match):
    with pytest.raises(ValueError, match=match):
        unique_contribution(TemporalReceptiveField(), *known, groups)
