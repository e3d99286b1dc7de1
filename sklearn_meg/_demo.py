"""The demonstration: simulated recordings of words, studied as one would study one's own."""

from pathlib import Path

# A world where responses are not linear in the features, so that there is something to find.
WORLD = {"world": "N", "n_subjects": 4, "n_trials": 120, "snr": 2.0, "random_state": 0}
N_CHANNELS = 60
FEATURES = "length,frequency"


def write_recordings(folder):
    """Simulate the MEG of four subjects on a real head and write one epochs file a subject.

    Parameters
    ----------
    folder : path-like
        Existing folder.

    Returns
    -------
    paths : list of Path
    """
    from .datasets import make_head, make_words, words_to_epochs

    data = make_words(head=make_head(n_channels=N_CHANNELS), **WORLD)
    paths = []
    for subject in range(WORLD["n_subjects"]):
        paths.append(Path(folder) / f"sub-{subject + 1:02d}-epo.fif")
        epochs = words_to_epochs(data, subject=subject)
        epochs.save(paths[-1], overwrite=True, verbose="error")
    return paths


def arguments_for(paths, out, n_jobs):
    """Arguments of the study on these files, as one would type them."""
    return [
        *("study", "--epochs", *map(str, paths), "--features", FEATURES),
        *("--models", "trf,rtrf,dre,mean", "--cv", "5", "--n-jobs", str(n_jobs)),
        *("--out", str(out), "--title", "Demonstration: deep and linear encoders of words"),
    ]
