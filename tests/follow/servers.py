"""Real servers of the places that runs are mirrored to, each in its own process."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

TIMEOUT = 60.0  # seconds for what takes one

SFTP = """
import asyncio, sys
import asyncssh

class Server(asyncssh.SSHServer):
    def password_auth_supported(self):
        return True

    def validate_password(self, username, password):
        return password == "secret"

async def main(port, key):
    await asyncssh.listen(
        "127.0.0.1", port, server_host_keys=[key], server_factory=Server,
        sftp_factory=True, reuse_address=True,
    )
    await asyncio.Event().wait()

asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
"""


class Server:
    """A server that can be killed, and that comes back at the same address."""

    def __init__(self, *command: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self._command = [one.format(port=self.port) for one in command]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self._process = subprocess.Popen(
            self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + TIMEOUT
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1.0).close()
                return
            except OSError:
                assert self._process.poll() is None, "the server ended"
                assert time.monotonic() < deadline
                time.sleep(0.05)

    def kill(self) -> None:
        """End it without a word, if it is there."""
        if self._process is not None:
            os.kill(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None


def s3() -> Server:
    """Return a server of S3, which keeps objects in memory."""
    return Server(sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p{port}")


def sftp(folder: Path) -> Server:
    """Return a server of SFTP, for all files that this process may read."""
    import asyncssh

    key = folder / "key"
    asyncssh.generate_private_key("ssh-ed25519").write_private_key(key)
    return Server(sys.executable, "-c", SFTP, "{port}", str(key))
