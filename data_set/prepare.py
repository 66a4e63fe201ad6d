"""rez's own benchmark (18,226 packages, 188 requests) as files.

Reading it is the work of `rer_numba.benchmark_data`, whose names are here too.

``python data_set/prepare.py --out DIR [--gzip] [--tree]`` writes packages.json, requests.json (and the package tree).
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import tarfile
from pathlib import Path

if importlib.util.find_spec("rer_numba") is None:  # run as a script, in a checkout that is not installed
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from rer_numba.benchmark_data import (
    KNOWN_KEYS,
    PACKAGES_FILE,
    REQUESTS_FILE,
    DataPackage,
    DataSetError,
    _parse_package,
    benchmark_packages,
    benchmark_requests,
    data_file,
    input_digests,
    read_packages,
    write_packages,
)

__all__ = [
    "KNOWN_KEYS",
    "PACKAGES_FILE",
    "REQUESTS_FILE",
    "DataPackage",
    "DataSetError",
    "_parse_package",
    "benchmark_packages",
    "benchmark_requests",
    "extract_tree",
    "input_digests",
    "read_packages",
    "write_packages",
]


def extract_tree(folder: str | Path) -> Path:
    """Unpack the package tree (18,226 folders) below `folder` and return the path to hand to rez."""
    with tarfile.open(data_file(PACKAGES_FILE)) as archive:
        archive.extractall(folder, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
    return Path(folder) / "packages"


def main() -> None:
    parser = argparse.ArgumentParser(description="Write rez's benchmark as JSON, from the installed rez package.")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to (made if missing)")
    parser.add_argument("--gzip", action="store_true", help="write packages.json.gz instead of packages.json")
    parser.add_argument("--tree", action="store_true", help="extract the package tree too (18,226 folders)")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    packages, requests = benchmark_packages(), benchmark_requests()
    write_packages(arguments.out / ("packages.json.gz" if arguments.gzip else "packages.json"), packages)
    (arguments.out / "requests.json").write_text(json.dumps(requests, indent=1) + "\n", encoding="utf-8")
    if arguments.tree:
        extract_tree(arguments.out)
    print(f"{arguments.out}: {len(packages)} packages, {len(requests)} requests")


if __name__ == "__main__":
    try:
        main()
    except DataSetError as error:
        raise SystemExit(f"error: {error}") from None
