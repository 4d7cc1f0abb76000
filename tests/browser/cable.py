"""A way to a server that can be cut: what the browser's signalling goes over in a test of lost connections."""

from __future__ import annotations

import contextlib
import socket
import socketserver
from threading import Lock, Thread
from types import TracebackType


class Cable:
    """Forwards a port of its own to another one of this machine. While cut it hangs up on everybody."""

    def __init__(self, to_port: int) -> None:
        cable = self

        class Plug(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                cable._carry(self.request, to_port)

        self._ends: set[socket.socket] = set()
        self._lock = Lock()
        self._cut = False
        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Plug)
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]

    def __enter__(self) -> Cable:
        Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.cut()
        self._server.shutdown()
        self._server.server_close()

    def cut(self) -> None:
        with self._lock:
            self._cut = True
            for end in self._ends:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        with self._lock:
            self._cut = False

    def _carry(self, near: socket.socket, to_port: int) -> None:
        with socket.create_connection(("127.0.0.1", to_port)) as far:
            with self._lock:
                if self._cut:
                    return
                self._ends |= {near, far}
            back = Thread(target=_pump, args=(far, near), daemon=True)
            back.start()
            _pump(near, far)
            back.join()
            with self._lock:
                self._ends -= {near, far}


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    for end in (source, sink):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
