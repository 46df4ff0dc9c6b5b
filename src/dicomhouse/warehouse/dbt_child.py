"""What the dbt process runs: import dbt, wait for one order on standard input, carry it out.

How each node ended is left in a file: name, kind, dbt's word for it, seconds.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path


def main() -> int:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    os.umask(0o077)
    threading.Thread(target=_end_with, args=[os.getppid()], daemon=True).start()
    os.environ |= {"DO_NOT_TRACK": "1", "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"}
    from dbt.cli.main import dbtRunner

    order = sys.stdin.read()
    if not order:  # the parent is gone, or has no use for us
        return 0
    plain = json.loads(order)
    os.chdir(plain["folder"])
    done = dbtRunner().invoke(plain["arguments"])
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
    Path(plain["results"]).write_text(json.dumps(results))
    return 0 if done.success else 1


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.2)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
