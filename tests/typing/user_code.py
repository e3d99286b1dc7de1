"""What users write. A line with a mistake says so; a type checker must find these and no others."""

import numpy as np
from sklearn.model_selection import GroupKFold, cross_validate
from sklearn.pipeline import make_pipeline

import sklearn_meg
from sklearn_meg import (
    ChannelScaler,
    ConnectomeMetric,
    DeepRecurrentEncoder,
    HiddenMarkovGraph,
    NerveDecoder,
    RNNSourceSolver,
    Study,
    TemporalReceptiveField,
    ThresholdCNN,
    datasets,
    metrics,
    pack_rows,
    plotting,
)
from sklearn_meg.datasets import make_states, make_words
from sklearn_meg.encoding import PAPER_PARAMS, epochs_to_xy
from sklearn_meg.tms import figure8_coil

words = make_words("N", n_subjects=2, n_trials=20)
X, rows = pack_rows(np.zeros((4, 2, 50)), subjects=[0, 0, 1, 1])
encoder = DeepRecurrentEncoder(max_epochs=3, random_state=0)
fitted: DeepRecurrentEncoder = encoder.fit(words.X, words.y)
predicted: np.ndarray = encoder.predict(words.X)
score: float = encoder.score(words.X, words.y)
pipeline = make_pipeline(ChannelScaler(method="standard"), encoder)
cross_validate(pipeline, words.X, words.y, cv=GroupKFold(2), groups=words.subjects)
metrics.r_across_trials(words.y, predicted)
study: Study = Study({"trf": TemporalReceptiveField(), "dre": encoder}, cv=2)
ax = plotting.plot_trf(np.zeros((4, 2, 5)), delays=range(5))
states = HiddenMarkovGraph(n_states=3).fit(make_states("easy").X)
metric = ConnectomeMetric(max_iter=10)
decoder = NerveDecoder(sfreq=1000.0)
solver = RNNSourceSolver(random_state=0)
network = ThresholdCNN(max_epochs=1)
coil = figure8_coil()
version: str = sklearn_meg.__version__
nerve = datasets.make_nerve()

DeepRecurrentEncoder(max_epoch=3)  # mistake (seen by pyright): no such parameter
DeepRecurrentEncoder(max_epochs="three")  # mistake: not an int
ChannelScaler(method="median")  # mistake: no such option
encoder.predikt(words.X)  # mistake (seen by pyright): no such method
ChannelScaler("robust")  # mistake (seen by pyright): keyword only
metrics.r_across_trial(words.y, predicted)  # mistake: no such score
deep = sklearn_meg.DeepEncoder  # mistake: no such name
epochs_to_xy()  # mistake: an argument is missing
plotting.plot_trf(np.zeros((4, 2, 5)), range(5), color="red")  # mistake: no such argument
text: str = encoder.score(words.X, words.y)  # mistake: a score is a float
paper = DeepRecurrentEncoder(**PAPER_PARAMS)
wrong: int = figure8_coil()  # mistake: a coil is no int
