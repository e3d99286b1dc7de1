"""How long a study will take, told before it begins."""

import time
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Settings:
    """What the time of a fit is made of.

    Processor seconds of a fit, announced and measured: of a recurrent TRF 5.5 and 4.5 (400 Hz, 840
    coefficients, 60 trials), 24 and 26 (500 Hz, 1499, 60), 55 and 57 (500 Hz, 1499, 240); of a TRF
    .4 and .8 (240 coefficients), 7 and 9, 19 and 16 (900).

    solutions: Solutions of the normal equations in one fit: penalties, deviations, inner folds.
    products: Products of the lagged inputs with themselves.
    n_past, n_parts: Samples and components of the past that a recurrent TRF takes.
    least_minutes: Shorter studies are not announced.
    """

    solutions: int = 240
    products: int = 8
    n_past: int = 20
    n_parts: int = 30
    least_minutes: float = 2.0


SETTINGS = Settings()
TRIED = 1200  # coefficients for which this computer is timed


def time_warning(data, arguments, models, n_repeats):
    """What to say before a study that will take long: a sentence, or nothing.

    data (StudyData), arguments (argparse.Namespace)
    models (iterable of str): Names of models; networks count as the linear model inside them.
    n_repeats: Fits of each model: folds, times subjects that are studied by themselves.
    """
    from ..study.recordings import ADVISED_HZ

    sfreq = float(data.info["sfreq"])
    if sfreq <= ADVISED_HZ:
        return []
    sizes = [size for name in models if (size := _size(name, data, arguments, sfreq))]
    minutes = n_repeats * sum(_seconds(size, data.y) for size in sizes) / 60
    if minutes < SETTINGS.least_minutes:
        return []
    return [
        f"At {sfreq:g} Hz models have up to {max(sizes)} coefficients a channel, and the "
        f"{n_repeats} fits of each take at least about {minutes:.0f} minutes of computing; "
        "--resample 100 needs a small part of that."
    ]


def _size(name, data, arguments, sfreq):
    """Coefficients a channel of a model; 0 of the mean."""
    n_told = {"mean": 0, "past": 1}.get(name, sum(map(len, data.features.values())) + 1)
    past = SETTINGS.n_past * min(data.y.shape[1], SETTINGS.n_parts)
    return int(n_told * arguments.trf_lags * sfreq) + past * (name not in ("mean", "trf"))


def _seconds(size, y):
    """Time of one fit on this computer."""
    solve_s, product_s = _times(min(size, TRIED))
    n_samples = y.shape[0] * y.shape[2]
    scale = size / min(size, TRIED)
    return (
        SETTINGS.solutions * solve_s * scale** 3
        + SETTINGS.products * product_s * scale** 2 * n_samples / min(size, TRIED)
    )


def _times(size):
    """Seconds for one set of normal equations of this size, and for one product of matrices."""
    matrix = np.eye(size) + 1e-3
    began = time.perf_counter()
    np.linalg.solve(matrix, matrix[:, :30])
    between = time.perf_counter()
    matrix @ matrix
    return between - began, time.perf_counter() - between
