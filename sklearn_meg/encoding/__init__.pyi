"""Stimulus to MEG: linear, recurrent and deep encoders, all with the same interface."""

from .contribution import unique_contribution as unique_contribution
from .dre import PAPER_PARAMS as PAPER_PARAMS
from .dre import DeepRecurrentEncoder as DeepRecurrentEncoder
from .epochs import epochs_to_xy as epochs_to_xy
from .features import FeatureExpansion as FeatureExpansion
from .importance import permutation_importance_over_time as permutation_importance_over_time
from .layouts import to_trials as to_trials
from .readout import response_to_feature as response_to_feature
from .recurrent_trf import RecurrentTRF as RecurrentTRF
from .subject_mean import SubjectMean as SubjectMean
from .trf import TemporalReceptiveField as TemporalReceptiveField
from .windows import cut_windows as cut_windows
from .windows import predict_continuous as predict_continuous
from .windows import stitch_windows as stitch_windows
