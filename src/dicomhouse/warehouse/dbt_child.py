"""What the dbt process runs: parse the project, wait for the word, build.

The argument is the order: `folder` to work in, dbt's `options`, the descriptor `ready` to be closed
as soon as dbt can build, and the file `results` for how each node ended: name, kind, dbt's word for
it, seconds. The word is whatever comes on standard input.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import cast


def main() -> int:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    os.umask(0o077)
    threading.Thread(target=_end_with, args=[os.getppid()], daemon=True).start()
    os.environ |= {"DO_NOT_TRACK": "1", "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"}
    from dbt.cli.main import dbtRunner
    from dbt.contracts.graph.manifest import Manifest

    order = json.loads(sys.argv[1])
    os.chdir(order["folder"])
    parsed = dbtRunner().invoke(["parse", *order["options"]])
    if not parsed.success:
        return 1
    os.close(order["ready"])
    if not sys.stdin.read():  # the parent is gone, or has no use for us
        return 0
    done = dbtRunner(manifest=cast(Manifest, parsed.result)).invoke(
        ["build", "--exclude-resource-type", "unit_test", *order["options"]]
    )
    # dbt's own account of a run holds every model's SQL, and takes a second to write.
    results = [
        {
            "name": result.node.unique_id.split(".")[2],
            "kind": str(result.node.resource_type),
            "status": str(result.status),
            "seconds": result.execution_time,
        }
        for result in getattr(done.result, "results", ())
    ]
    Path(order["results"]).write_text(json.dumps(results))
    return 0 if done.success else 1


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.2)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
