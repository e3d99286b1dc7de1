"""Recordings of peripheral nerves and muscles, and what they say about intended movements."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
