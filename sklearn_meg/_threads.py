"""The number of BLAS threads, which belongs to the process, under control of several threads."""

import threading
from contextlib import contextmanager
from functools import cache

import numpy as np  # noqa: F401  (both BLAS must be loaded before the controller looks)
import scipy.linalg  # noqa: F401
from threadpoolctl import ThreadpoolController

_lock = threading.Lock()
_limited = {"users": 0, "limit": None}


@cache
def _controller():
    return ThreadpoolController()


@contextmanager
def one_blas_thread():
    """One BLAS thread: the same bits whatever the machine's setting; processes are joblib's.

    The limit belongs to the process, so the last of several threads inside lifts it.
    """
    with _lock:
        if not _limited["users"]:
            _limited["limit"] = _controller().limit(limits=1, user_api="blas")
            _limited["limit"].__enter__()
        _limited["users"] += 1
    try:
        yield
    finally:
        with _lock:
            _limited["users"] -= 1
            if not _limited["users"]:
                _limited["limit"].__exit__(None, None, None)
                _limited["limit"] = None
