from __future__ import annotations

import json

from steppe import __version__
from steppe.core.provenance import PACKAGES, provenance


def test_provenance_names_code_packages_machine_and_command() -> None:
    found = provenance()
    assert found["steppe"] == __version__
    assert set(PACKAGES) == set(found["packages"])  # type: ignore[call-overload]
    assert {"commit", "python", "platform", "command", "started"} <= found.keys()
    json.dumps(found)
