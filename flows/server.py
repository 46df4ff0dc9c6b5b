"""A Prefect server that ends with the process that started it: `python -P flows/server.py SOCKET`.

SOCKET is the number of an inherited descriptor that listens already: who starts this knows the
address at once, and is answered as soon as there is something to answer. Standard input is the
lifeline: the server ends in order when its other end is closed, and signals are left to who
started it. Its settings are those of the environment.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading

_ORDERLY_SECONDS = 5


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    os.umask(0o077)
    ended = threading.Event()
    threading.Thread(target=_watch, args=(ended,), daemon=True, name="lifeline").start()
    gc.disable()  # a fifth of the start; nothing that is imported goes away
    from socket import socket

    import uvicorn
    from prefect.server.api.server import create_app

    app = create_app()
    gc.freeze()
    gc.enable()

    class Server(uvicorn.Server):
        def handle_exit(self, sig: int, frame: object) -> None:
            """Signals are left to who started this."""

        async def on_tick(self, counter: int) -> bool:
            return await super().on_tick(counter) or ended.is_set()

    config = uvicorn.Config(
        app, log_level="error", lifespan="on", timeout_graceful_shutdown=_ORDERLY_SECONDS
    )
    Server(config).run(sockets=[socket(fileno=int(sys.argv[1]))])


def _watch(ended: threading.Event) -> None:
    sys.stdin.buffer.read()  # returns when the other end is closed
    ended.set()
    threading.Event().wait(2 * _ORDERLY_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    main()
