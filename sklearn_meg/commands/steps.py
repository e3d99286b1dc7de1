"""Work in steps: fitted models are kept in a folder, so that a command goes on after a kill."""

import warnings
from pathlib import Path

from tqdm import tqdm

from .._saving.model_file import FileFormatError, load, save
from .._saving.store import content_key, open_store, versions


class Steps:
    """Fit models one by one, each kept when it is done.

    folder (path-like): Models, and checkpoints of a fit that is under way.
    n: Number of steps of the progress bar.
    quiet: No progress bar.
    n_fits: Models that were fitted, not found.
    doubts (list of str): Warnings of the fits, also of those that were found.
    """

    def __init__(self, folder, n, quiet=False):
        self.folder = open_store(folder, "folder")
        self.bar = tqdm(total=n, disable=quiet)
        self.n_fits, self.doubts = 0, []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.bar.close()

    def fit(self, name, model, X, y=None):
        """Return `model` fitted on X and y, from the folder if it was fitted on the same before.

        X, y (array-like, or y None)
        """
        self.bar.set_description(name)
        key = content_key(model, versions(), X, y)
        path = Path(self.folder) / f"{name}-{key}.safetensors"
        kept = self._read(path) if path.exists() else None
        fitted = kept if kept is not None else self._fit(model, path, X, y)
        said = path.with_suffix(".txt")
        if said.exists():
            self.doubts += [f"{name}: {line}" for line in said.read_text("utf-8").splitlines()]
        self.bar.update()
        return fitted

    def _read(self, path):
        try:
            return load(path)
        except (FileFormatError, OSError):  # cut off, or of another version
            return None

    def _fit(self, model, path, X, y):
        if "cache_dir" in model.get_params():
            model.set_params(cache_dir=str(self.folder / "checkpoints"))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            model.fit(X) if y is None else model.fit(X, y)
        said = [" ".join(str(w.message).split()) for w in caught if _is_ours(w)]
        if said:
            path.with_suffix(".txt").write_text("\n".join(dict.fromkeys(said)), "utf-8")
        self.n_fits += 1
        save(model, path)
        return model


def _is_ours(warning):
    """Whether a warning is one that a user of the model should read."""
    return issubclass(warning.category, UserWarning)
