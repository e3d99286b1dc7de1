"""Simulators (seeded, nothing is downloaded) and loaders of real data (downloads when called)."""

from ._emg import load_long_term_emg as load_long_term_emg
from ._evoked import make_evoked as make_evoked
from ._fibers import make_fibers as make_fibers
from ._forward import simulated_forward as simulated_forward
from ._forward import simulated_info as simulated_info
from ._head import make_head as make_head
from ._nerve import make_nerve as make_nerve
from ._phantom import make_phantom as make_phantom
from ._real import load_mne_sample_epochs as load_mne_sample_epochs
from ._real import load_multimodal_epochs as load_multimodal_epochs
from ._recordings import make_recordings as make_recordings
from ._states import make_states as make_states
from ._template import template_forward as template_forward
from ._words import make_words as make_words
from ._words import word_response as word_response
from ._words import words_to_epochs as words_to_epochs
