"""MEG to sources: solvers of the inverse problem, all with the same interface."""

from ._conditions import fields_to_xy as fields_to_xy
from ._conditions import make_events as make_events
from ._cross_validation import cross_val_channels as cross_val_channels
from .beamformer import LCMV as LCMV
from .dipoles import DipoleSearch as DipoleSearch
from .minimum_norm import MinimumNorm as MinimumNorm
from .oscillations import Oscillations as Oscillations
from .oscillations import find_oscillations as find_oscillations
from .rnn import GROUP_PARAMS as GROUP_PARAMS
from .rnn import PAPER_PARAMS as PAPER_PARAMS
from .rnn import RNNSourceSolver as RNNSourceSolver
from .sparse import GammaMap as GammaMap
from .sparse import MixedNorm as MixedNorm
from .sparse import RapMusic as RapMusic
