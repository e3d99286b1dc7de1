"""How Sphinx builds these pages: ``make docs``."""

import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

import make_errors  # noqa: E402
import make_figures  # noqa: E402
import make_roles  # noqa: E402
import make_tables  # noqa: E402
import make_warnings  # noqa: E402

from sklearn_meg import __version__  # noqa: E402

project = "sklearn_meg"
author = "sklearn_meg developers"
copyright = "sklearn_meg developers"
version = release = __version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
]
if "DOCS_ONLINE" in os.environ:  # links into other projects need the network at build time
    extensions.append("sphinx.ext.intersphinx")
    intersphinx_mapping = {
        "python": ("https://docs.python.org/3", None),
        "sklearn": ("https://scikit-learn.org/stable", None),
        "mne": ("https://mne.tools/stable", None),
        "skorch": ("https://skorch.readthedocs.io/en/stable", None),
    }
templates_path = ["_templates"]
exclude_patterns = [
    "_build",
    "generated/benchmark_*",
    "generated/roles.rst",
    "generated/errors.rst",
    "generated/violations.rst",
    "generated/warnings.rst",
    "auto_examples/**.ipynb",
]
default_role = "literal"
# Every name of this package must resolve; those of others do where the network is at hand.
nitpicky = True
nitpick_ignore_regex = [("py:.*", r"(?!sklearn_meg).*")]
html_theme = "pydata_sphinx_theme"
html_static_path = ["_static"]
html_favicon = "_static/favicon.svg"
html_css_files = ["custom.css"]
html_context = {"default_mode": "light"}
html_title = project
html_show_sourcelink = False
html_theme_options = {"navigation_with_keys": False, "show_prev_next": False}
html_sidebars = {name: [] for name in ("index", "changes", "contributing", "benchmarks")}

autosummary_generate = True
autodoc_typehints = "none"
numpydoc_show_class_members = False
sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "doc_module": ("sklearn_meg",),
    "within_subsection_order": "gallery_order.BySystem",
    "backreferences_dir": "generated/backreferences",
    "min_reported_time": 1e9,  # no times: they are those of whatever machine built the page
    "show_memory": False,
    "write_computation_times": False,
    "download_all_examples": False,
    "remove_config_comments": True,
}


def setup(app):
    """Write the benchmark tables before the pages that include them are read."""
    make_tables.write_tables(HERE / "benchmarks", HERE / "generated")
    make_figures.main()
    make_errors.main()
    make_warnings.main()
    (HERE / "generated" / "roles.rst").write_text(make_roles.roles_page(), encoding="utf-8")
