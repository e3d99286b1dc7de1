"""Keys of stored results: everything that may change a result changes the key."""

import shutil
import subprocess
import sys
from pathlib import Path

import sklearn_meg

ROOT = Path(sklearn_meg.__file__).parent
KEY = """
import sys
sys.path.insert(0, sys.argv[1])
from sklearn_meg._saving import store
for path in sys.argv[2:]:
    store.package_source.cache_clear()
    with open(path, "a") as file:
        file.write("\\n# edited")
    print(store.content_key("r"))
"""


def test_an_edit_of_any_file_changes_the_key(tmp_path):
    shutil.copytree(ROOT, tmp_path / "sklearn_meg", ignore=shutil.ignore_patterns("__pycache__"))
    files = [str(path) for path in sorted((tmp_path / "sklearn_meg").rglob("*.py"))]
    done = subprocess.run(
        [sys.executable, "-c", KEY, str(tmp_path), *files],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    keys = done.stdout.split()
    assert len(files) > 100
    assert len(set(keys)) == len(files)
