"""The README as a package page shows it; everything else is in setup.cfg."""

import re
from configparser import ConfigParser
from pathlib import Path

from setuptools import setup

HERE = Path(__file__).parent


def page(text, address):
    """The README with addresses that work away from the repository."""
    pictures = re.sub(r"(!\[[^]]*\]\()(?!https?:)", rf"\1{address}/raw/main/", text)
    return re.sub(r"((?<!!)\[[^]]*\]\()(?!https?:|#)", rf"\1{address}/blob/main/", pictures)


def readme():
    """Of the repository that setup.cfg names."""
    config = ConfigParser()
    config.read(HERE / "setup.cfg", encoding="utf-8")
    return page((HERE / "README.md").read_text(encoding="utf-8"), config["metadata"]["url"])


setup(long_description=readme(), long_description_content_type="text/markdown")
