"""Takes from npm the files that a `vendor.json` lists, with their licences: `make vendor`."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path


def take(folder: Path) -> None:
    """Write each listed file of its package's version anew, and note its hash."""
    listing = folder / "vendor.json"
    libraries = json.loads(listing.read_text())
    for name, library in libraries.items():
        with tempfile.TemporaryDirectory() as place:
            package = f"{library['package']}@{library['version']}"
            packed = subprocess.run(
                ["npm", "pack", "--silent", package],
                cwd=place, check=True, capture_output=True, text=True,
            )  # fmt: skip
            with tarfile.open(Path(place, packed.stdout.strip())) as archive:
                for target, member in ((name, "file"), (library["licence"], "licence_file")):
                    content = archive.extractfile(f"package/{library[member]}")
                    assert content is not None, library[member]
                    (folder / target).write_bytes(content.read())
        library["sha256"] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    listing.write_text(json.dumps(libraries, indent=2) + "\n")


if __name__ == "__main__":
    for word in sys.argv[1:]:
        take(Path(word))
