import numpy as np
import pytest

from sklearn_meg._saving.space import room
from sklearn_meg.study.compact import compact, on_disk

robustness = pytest.importorskip("robustness.faults")


def test_large_arrays_lie_in_files_that_have_space(tmp_path):
    large = np.random.default_rng(0).normal(size=(3, 200, 100)).astype(np.float32)
    kept = on_disk(large, tmp_path)
    assert isinstance(kept, np.memmap)
    np.testing.assert_array_equal(kept, large)
    assert not list(tmp_path.iterdir())  # without a name
    assert not isinstance(on_disk(large[:1, :5], tmp_path), np.memmap)
    with robustness.full_disk(1000):
        full = room((3, 200, 100), tmp_path)
        full[...] = 1.0
    assert not isinstance(full, np.memmap)


def test_maps_are_the_mean_over_folds_of_each_subject():
    rng = np.random.default_rng(0)
    subjects = np.array(["a", "b", "c"])
    maps = rng.normal(size=(2, 3, 4, 5)).astype(np.float32)  # folds, subjects, channels, times
    maps[1, 2, 0, 0] = np.nan
    jobs = {}
    for fold in (0, 1):
        whose = np.array([0, 1, 2]) if fold == 0 else np.array([1, 2])  # a has no trials in it
        arrays = {"subjects": subjects[whose], "maps": maps[fold, whose], "pooled_map": maps[0, 0]}
        jobs["trf", fold] = (arrays, {})
    kept = compact(jobs, ["trf"], subjects, start=2)
    expected = np.nanmean(maps, axis=0)
    expected[0] = maps[0, 0]
    np.testing.assert_allclose(kept.maps["trf"], expected, rtol=1e-6)
    arrays, _ = kept.jobs["trf", 0]
    np.testing.assert_allclose(arrays["observed"], maps[0, :, :, 2:].mean(axis=(1, 2)), rtol=1e-5)
    assert "maps" not in arrays
