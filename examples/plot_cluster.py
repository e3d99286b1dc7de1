"""
A study on a cluster
====================

The same study three times: alone, on two dask workers, and there once more while one of them is
killed. One line moves it; the scores are the same to the last bit.
"""

import logging
import os
import signal
import threading
import time

import joblib
import matplotlib.pyplot as plt
from distributed import Client
from distributed.deploy.subprocess import SubprocessCluster
from sklearn.model_selection import KFold

from sklearn_meg import DeepRecurrentEncoder, RecurrentTRF, Study
from sklearn_meg.datasets import make_words

# %%
# Two encoders in four folds. Beside the score of a fold, two scorers note when and in which
# process it was finished.

words = make_words("N", n_subjects=2, n_trials=20, random_state=0)
models = {
    "recurrent TRF": RecurrentTRF(**words.rows),
    "deep": DeepRecurrentEncoder(hidden_size=16, max_epochs=3, random_state=0, **words.rows),
}
scoring = {
    "r": lambda model, X, y: model.score(X, y),
    "finished": lambda model, X, y: time.time(),
    "process": lambda model, X, y: float(os.getpid()),
}


def run():
    """Run the study; return its table with the times counted from its start."""
    begun = time.time()
    table = Study(models, floors=None, cv=KFold(4), scoring=scoring).run(words.X, words.y).table_
    table = table.groupby(["model", "fold"], sort=False, as_index=False).first()
    return table.assign(finished=table["finished"] - begun)


tables = {"alone": run()}

# %%
# Two workers of one thread each, processes of their own. On a real cluster only the line that makes
# ``cluster`` changes: see :doc:`/cluster`. In the second run a worker gets SIGKILL; its folds go to
# the other one, and to the process that takes its place.

logging.getLogger("distributed").setLevel(logging.CRITICAL)


def kill_one(client):
    """Kill the process of one worker."""
    pid = next(iter(client.run(os.getpid).values()))
    os.kill(pid, signal.SIGKILL)


workers = {"n_workers": 2, "worker_kwargs": {"nthreads": 1}}
with SubprocessCluster(**workers) as cluster, Client(cluster) as client:
    client.wait_for_workers(2)
    with joblib.parallel_config("dask"):
        run()  # workers import what they need
        tables["two workers"] = run()
        middle = 0.4 * tables["two workers"]["finished"].max()
        killer = threading.Timer(middle, kill_one, [client])
        killer.start()
        tables["one is killed"] = run()
        killer.join()

# %%
# The same scores everywhere.

for name, table in tables.items():
    same = (table["r"] == tables["alone"]["r"]).all()
    print(f"{name}: {table['finished'].max():.1f} s, scores equal to those alone: {same}")

# %%
# Who did what, when: a row is a process, a bar a fit.

COLORS = {"recurrent TRF": "#E69F00", "deep": "#0072B2"}
heights = [table["process"].nunique() for table in tables.values()]
figure, axes = plt.subplots(
    len(tables), sharex=True, figsize=(7, 4), height_ratios=heights, layout="constrained"
)
for ax, (name, table) in zip(axes, tables.items()):
    processes = {pid: i for i, pid in enumerate(dict.fromkeys(table["process"]))}
    for fit in table.itertuples():
        ax.barh(
            processes[fit.process],
            fit.fit_s,
            left=fit.finished - fit.fit_s,
            color=COLORS[fit.model],
            edgecolor="white",
        )
    ax.set(yticks=range(len(processes)), ylim=(-0.6, len(processes) - 0.4))
    ax.set_yticklabels([f"process {i + 1}" for i in range(len(processes))])
    ax.set_title(name, loc="left", fontsize="medium")
    ax.spines[["top", "right"]].set_visible(False)
axes[-1].set_xlabel("seconds since the study began")
handles = [plt.Rectangle((0, 0), 1, 1, color=color) for color in COLORS.values()]
figure.legend(handles, COLORS, loc="outside right upper", title="a fit of")
