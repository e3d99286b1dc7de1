"""The demonstration: simulated recordings of words, studied as one would study one's own."""

import numpy as np

# A world where responses are not linear in the features, so that there is something to find.
WORLD = {"world": "N", "n_subjects": 4, "n_trials": 150, "snr": 2.0, "random_state": 0}
N_CHANNELS = 60
TITLE = "Demonstration: linear and deep encoders of simulated words"


def demo_study(n_jobs, cache_dir):
    """Run the study on four simulated subjects with a real head.

    cache_dir (path-like): Folder of finished folds.
    Returns study (Study)
    """
    from ..datasets import make_head, make_words
    from ..encoding import DeepRecurrentEncoder, RecurrentTRF, TemporalReceptiveField
    from .study import Study

    data = make_words(head=make_head(n_channels=N_CHANNELS), dtype=np.float32, **WORLD)
    models = {
        "trf": TemporalReceptiveField(sfreq=data.sfreq, tmax=0.8, **data.rows),
        "rtrf": RecurrentTRF(sfreq=data.sfreq, tmax=0.8, **data.rows),
        "dre": DeepRecurrentEncoder(
            base_params={"sfreq": data.sfreq, "tmax": 0.8}, random_state=0, **data.rows
        ),
    }
    study = Study(models, cv=5, cache_dir=cache_dir, n_jobs=n_jobs, verbose=1)
    subjects = [f"sub-{s + 1:02d}" for s in data.subjects]
    return study.run(
        data.X, data.y, subjects=subjects, times=data.times, info=data.info,
        features={"word length": [1], "word frequency": [2]},
    )  # fmt: skip
