"""States of brain activity, the graphs they are, and the ranked communities of these graphs."""

from ._doubts import StateWarning as StateWarning
from ._graph import information_rate as information_rate
from ._graph import multiplex_walk as multiplex_walk
from ._reliability import community_reliability as community_reliability
from ._selection import select_n_states as select_n_states
from ._surrogates import community_significance as community_significance
from ._surrogates import surrogate as surrogate
from .alignment import RecordingAlignment as RecordingAlignment
from .baselines import HmmlearnStates as HmmlearnStates
from .baselines import MixtureStates as MixtureStates
from .baselines import SingleGaussian as SingleGaussian
from .baselines import WindowStates as WindowStates
from .embedding import TimeDelayEmbedding as TimeDelayEmbedding
from .hidden_markov import PAPER_PARAMS as PAPER_PARAMS
from .hidden_markov import HiddenMarkovGraph as HiddenMarkovGraph
from .io import label_time_courses as label_time_courses
from .io import read_parcellated_bold as read_parcellated_bold
from .io import states_to_annotations as states_to_annotations
from .preprocessing import AmplitudeEnvelope as AmplitudeEnvelope
from .spectra import StateSpectra as StateSpectra
from .spectra import state_spectra as state_spectra
from .summary import compare_groups as compare_groups
from .summary import interval_asymmetry as interval_asymmetry
from .summary import state_table as state_table
from .summary import state_visits as state_visits
