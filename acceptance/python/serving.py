"""How does a test start `factum serve`, find where it listens, and end it?"""

import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("FACTUM_BINARY") or str(ROOT / "target" / "debug" / "factum")

# What the first users of a server with users sign in with.
PASSWORD = "acceptance-of-factum"

# Longest time for a server to begin to listen, and to end, in seconds.
START_LIMIT = 60
STOP_LIMIT = 20


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """One `factum serve`. Its data is in memory, or in a directory that a restart finds again."""

    def __init__(self, *arguments: str, keep: bool = False, port: int = 0, secure: bool = False):
        self._directory = tempfile.mkdtemp(prefix="factum-acceptance-") if keep else None
        self._port = port or (free_port() if keep else 0)
        self._arguments = arguments
        self._secure = secure
        self._process = None
        self.address = ""
        self.start()

    def start(self) -> None:
        store = ["--data", self._directory] if self._directory else ["--memory"]
        trust = [] if self._secure else ["--insecure"]
        command = [BINARY, "serve", *store, *trust, "--listen", f"127.0.0.1:{self._port}", *self._arguments]
        environment = {**os.environ, "FACTUM_ADMIN_PASSWORD": PASSWORD, "FACTUM_OPS_PASSWORD": PASSWORD}
        self._process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.said = []
        listening = threading.Event()
        threading.Thread(target=self._listen, args=(self._process, listening), daemon=True).start()
        if not listening.wait(START_LIMIT) or not self.address:
            self.kill()
            raise AssertionError("the server did not start: " + "".join(self.said))

    def _listen(self, process, listening) -> None:
        for line in process.stdout:
            self.said.append(line)
            found = re.search(r"listening on (\S+?)[;,\s]", line)
            if found:
                self.address = found.group(1)
                listening.set()
        listening.set()

    @property
    def uri(self) -> str:
        return f"{self.address}?tls=false"

    def stop(self) -> None:
        """Ends it as an operator would."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Ends it as a power failure would."""
        self._end(signal.SIGKILL)

    def _end(self, how) -> None:
        if self._process.poll() is None:
            self._process.send_signal(how)
        try:
            self._process.wait(STOP_LIMIT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise AssertionError("the server did not end when it was told to") from None

    def restart(self) -> None:
        self.stop()
        self.start()

    def close(self) -> None:
        if self._process.poll() is None:
            self.kill()
        if self._directory:
            shutil.rmtree(self._directory, ignore_errors=True)
