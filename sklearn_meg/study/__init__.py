"""Cross-validated comparison of models on one data set: folds, scores, statistics, report."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
