"""Bill of materials of the pinned packages, CycloneDX JSON: ``python -m robustness.sbom``.

The packages are those of ``constraints.txt``, with which the tests run.
"""

import json
import re
import sys
from pathlib import Path

from sklearn_meg._version import __version__

CONSTRAINTS = Path(__file__).parents[1] / "constraints.txt"
PIN = re.compile(r"^(?P<name>[\w.-]+)==(?P<version>[^\s;]+)\s*(?:;\s*(?P<marker>.+))?$")


def components(text):
    """Pinned packages as components, a marker of the interpreter as property."""
    found = []
    for line in text.splitlines():
        pin = PIN.match(line.strip())
        if pin is None:
            continue
        name = re.sub(r"[-_.]+", "-", pin["name"]).lower()  # as package indexes spell it
        part = {"type": "library", "name": name, "version": pin["version"]}
        part["bom-ref"] = part["purl"] = f"pkg:pypi/{name}@{pin['version']}"
        if pin["marker"]:
            part["properties"] = [{"name": "python:marker", "value": pin["marker"].strip()}]
        found.append(part)
    return found


def bill(text=None):
    """The bill as a dict.

    text (str or None): Pins, a line each; None those of this checkout.
    """
    parts = components(CONSTRAINTS.read_text("utf-8") if text is None else text)
    own = {"type": "library", "name": "sklearn-meg", "version": __version__, "bom-ref": "self"}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": own},
        "components": parts,
        "dependencies": [{"ref": "self", "dependsOn": [part["bom-ref"] for part in parts]}],
    }


if __name__ == "__main__":
    json.dump(bill(), sys.stdout, indent=1)
