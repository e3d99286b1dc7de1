"""Faults of the machine around: clocks, disks, folders, languages, processes, Ctrl-C at any call.

As in `faults`, each function meets one and says whether nothing was lost by it.
"""

import locale
import multiprocessing
import os
import random
import subprocess
import sys
import threading
import time
import warnings
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from sklearn.model_selection import KFold

import sklearn_meg
from sklearn_meg import Study, TemporalReceptiveField, load, save
from sklearn_meg._saving.store import write_whole

from .faults import full_disk
from .worlds import world

PACKAGE = str(Path(sklearn_meg.__file__).parent)
COMMA = ("de_DE.utf8", "fr_FR.utf8", "it_IT.utf8", "es_ES.utf8")
ROOT = Path(__file__).parents[1]


class Unavailable(Exception):
    """The fault cannot be had on this machine."""


def _study(folder, n=3):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(24, 2, 12)), rng.normal(size=(24, 2, 12))
    study = Study({"trf": TemporalReceptiveField()}, cv=KFold(n), cache_dir=folder)
    return study.run(X, y)


def _scores(study):
    return study.table_.select_dtypes("number").drop(columns=["fit_s", "predict_s"]).to_numpy(float)


def _same(one, two):
    return np.array_equal(_scores(one), _scores(two), equal_nan=True)


def clock_jumps(folder, seed):
    """The clock of the system jumps by days, forward and back, at every look."""
    whole = _study(folder / "whole")
    rng, real = random.Random(seed), (time.time, time.perf_counter)
    time.time = lambda: real[0]() + rng.uniform(-1e6, 1e6)
    time.perf_counter = lambda: real[1]() + rng.uniform(-1e3, 1e3)
    try:
        study, again = _study(folder / "store"), _study(folder / "store")
    finally:
        time.time, time.perf_counter = real
    return _same(study, whole) and _same(again, whole) and again.n_fits_ == 0


def report_disk_full(folder, seed):
    """The disk fills in the middle of a report: an error, and the report of yesterday stays."""
    study, path = _study(folder / "store"), folder / "report.html"
    before = study.report(path, "yesterday").read_bytes()
    try:
        with full_disk(len(before) // 2):
            study.report(path, "today")
        failed = False
    except OSError:
        failed = True
    left = [file.name for file in folder.iterdir() if file.is_file()]
    return failed and path.read_bytes() == before and left == ["report.html"]


def model_replaced(folder, seed):
    """A model file is replaced again and again while another thread reads it."""
    tiny, path = world("TemporalReceptiveField"), folder / "model.safetensors"
    contents = []
    for tmax in (2, 3):
        save(tiny.fitted(tmax=tmax), path)
        contents.append(path.read_bytes())
    done = threading.Event()

    def replace():
        while not done.is_set():
            for content in contents:
                write_whole(path, lambda file, content=content: file.write(content))

    writer = threading.Thread(target=replace)
    writer.start()
    try:
        return all(load(path).tmax in (2, 3) for _ in range(20))
    finally:
        done.set()
        writer.join()


def model_overwritten(folder, seed):
    """A model file is overwritten in place, half of it, while somebody reads it."""
    tiny, path = world("TemporalReceptiveField"), folder / "model.safetensors"
    contents = []
    for tmax in (2, 3):
        save(tiny.fitted(tmax=tmax), path)
        contents.append(path.read_bytes())
    half = len(contents[0]) // 2
    path.write_bytes(contents[0][:half] + contents[1][half:])
    try:
        load(path)
    except ValueError as error:
        return path.name in str(error)
    return False


def decimal_comma(folder, seed):
    """The language writes 0,5 for 0.5: results, tables and figures are the same."""
    before = locale.setlocale(locale.LC_ALL)
    whole = _study(folder / "whole")
    try:
        for name in COMMA:
            with suppress(locale.Error):
                locale.setlocale(locale.LC_ALL, name)
                break
        else:
            raise Unavailable("no locale with a decimal comma is installed")
        study = _study(folder / "store")
        study.report(folder / "report.html")
        return _same(study, whole) and _same(_study(folder / "store"), whole)
    finally:
        locale.setlocale(locale.LC_ALL, before)


def odd_path(folder, seed):
    """Folders have blanks, umlauts, quotes and other scripts in their names."""
    odd = folder / "Meß daten, 50 % 'neu'" / "脳 #1"
    odd.mkdir(parents=True)
    tiny = world("NerveDecoder")
    model = tiny.fitted(cache_dir=odd / "fits")
    save(model, odd / "modèle.safetensors")
    again = load(odd / "modèle.safetensors")
    same = all(np.array_equal(a, b) for a, b in zip(tiny.results(model), tiny.results(again)))
    study = _study(odd / "store")
    return same and study.report(odd / "Bericht ü.html").exists() and any(odd.glob("fits/*.ckpt"))


CHILD = """
import sys
import numpy as np
from pathlib import Path
from robustness.machine import _study
study = _study(Path(sys.argv[1]) / "store")
study.report(Path(sys.argv[1]) / "report.html")
from sklearn_meg import NerveDecoder, DeepRecurrentEncoder
import mne
print(mne.create_info(2, 100.0, "mag", verbose="error")["nchan"])
"""


def homeless(folder, seed):
    """There is no home to write to, as in containers and batch jobs."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("XDG_")}
    env |= {"HOME": "/proc/nowhere", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", CHILD, str(folder)]
    done = subprocess.run(command, env=env, cwd=folder, capture_output=True, timeout=300)
    return done.returncode == 0 and (folder / "report.html").exists()


def _fit_in_child(seed):
    tiny = world("NerveDecoder")
    return tiny.results(tiny.fitted(random_state=seed))


def spawned(folder, seed):
    """Processes are spawned, as on Windows and macOS, and know nothing of their parent."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        (found,) = pool.map(_fit_in_child, [seed])
    return all(np.array_equal(a, b) for a, b in zip(found, _fit_in_child(seed)))


class Presses:
    """A profiler that presses Ctrl-C at the n-th call of a function of the package."""

    def __init__(self, at=None):
        self.at, self.n = at, 0

    def __call__(self, frame, event, arg):
        """Count a call."""
        if event == "call" and frame.f_code.co_filename.startswith(PACKAGE):
            self.n += 1
            if self.n == self.at:
                sys.setprofile(None)
                raise KeyboardInterrupt

    @contextmanager
    def watching(self):
        """Count the calls inside; Ctrl-C ends them and is not passed on."""
        sys.setprofile(self)
        try:
            with suppress(KeyboardInterrupt):
                yield
        finally:
            sys.setprofile(None)


def interrupted_fit_keeps_the_model(name, n_presses=2):
    """Whether Ctrl-C at so many places of a second fit leaves the first model as it was."""
    tiny = world(name)
    model = tiny.fitted()
    before = [np.copy(result) for result in tiny.results(model)]
    y = None if tiny.y is None else tiny.y[::-1].copy()
    counter = Presses()
    with counter.watching():
        tiny.fit(tiny.model(), tiny.X, y)
    for k in range(n_presses):
        with Presses(max(counter.n * (k + 1) // (n_presses + 1), 1)).watching():
            tiny.fit(model, tiny.X, y)
            return True  # the interpreter swallowed it, in a generator: the fit ended
        after = tiny.results(model)
        if not all(np.array_equal(a, b, equal_nan=True) for a, b in zip(before, after)):
            return False
    return True


def interrupted_anywhere(folder, seed):
    """Ctrl-C at any call of a second fit: the first model predicts as before."""
    names = ("DeepRecurrentEncoder", "TemporalReceptiveField", "NerveDecoder", "ThresholdCNN")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return all(interrupted_fit_keeps_the_model(name) for name in names)


def save_interrupted(folder, seed):
    """Ctrl-C at any call while a model is saved: the file is the old one or the new one."""
    tiny, path = world("TemporalReceptiveField"), folder / "model.safetensors"
    old, new = tiny.fitted(tmax=2), tiny.fitted(tmax=3)
    save(old, path)
    counter = Presses()
    with counter.watching():
        save(new, folder / "other.safetensors")
    for at in np.unique(np.linspace(1, counter.n, 8).astype(int)):
        with Presses(at).watching():
            save(new, path)
        if load(path).tmax not in (2, 3):
            return False
    names = {file.name for file in folder.iterdir()}
    return names == {"model.safetensors", "other.safetensors"}


MACHINE = {
    "clock: jumps": clock_jumps,
    "report: disk full": report_disk_full,
    "model: replaced while read": model_replaced,
    "model: half overwritten": model_overwritten,
    "language: decimal comma": decimal_comma,
    "folder: blanks and umlauts": odd_path,
    "home: none": homeless,
    "processes: spawned": spawned,
    "fit: Ctrl-C anywhere": interrupted_anywhere,
    "save: Ctrl-C anywhere": save_interrupted,
}
