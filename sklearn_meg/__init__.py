"""Deep models of brain signals as scikit-learn estimators.

Public names are imported when first used: ``import sklearn_meg`` loads neither torch nor mne.
"""

import lazy_loader

from ._version import __version__ as __version__

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
