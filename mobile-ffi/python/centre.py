"""The real server as a process of its own, and the officer's commands around it."""

import json
import os
import pathlib
import signal
import subprocess

BINARY = os.environ.get("TOSO_BINARY")
PATIENCE_SECONDS = 60


def toso(*arguments):
    """Runs a command of the `toso` binary and gives what it prints."""
    if not BINARY:
        raise RuntimeError("TOSO_BINARY must name the toso binary; `cargo xtask mobile` sets it")
    done = subprocess.run([BINARY, *map(str, arguments)], capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    if done.returncode != 0:
        raise RuntimeError(f"toso {arguments[0]}: {done.stderr}")
    return done.stdout.strip()


class Centre:
    """A running `toso serve`, killed when closed."""

    def __init__(self, data):
        self.data = pathlib.Path(data)
        command = [BINARY, "serve", "--data", str(self.data), "--listen", "127.0.0.1:0", "--stop-with-stdin"]
        self._log = open(self.data.parent / "server.log", "w")
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, text=True
        )
        lines = iter(self._process.stdout.readline, "")
        said = next((line for line in lines if line.startswith("listening on ")), None)
        if said is None:
            raise RuntimeError("the server did not start: " + (self.data.parent / "server.log").read_text())
        self.url = said.removeprefix("listening on ").strip()

    def invite(self, commune):
        """A one-time invite for a recorder of a commune of the list of 2022: what a QR code would hold."""
        return toso("invite", *self._officer(), "--list", 2022, "--unit", commune, "--role", "recorder")

    def revoke(self, device):
        """Shuts a device out."""
        toso("device", "revoke", *self._officer(), "--device", device)

    def report(self, commune):
        """What the centre counts in a commune."""
        token = self.data / "admin.token"
        where = ["--list", 2022, "--unit", commune, "--format", "json"]
        return json.loads(toso("report", "--server", self.url, "--token-file", token, *where))

    def _officer(self):
        return ["--server", self.url, "--admin-token-file", self.data / "admin.token"]

    def stall(self):
        """It no longer answers, and its connections stay open: a mast that is there and carries nothing."""
        self._process.send_signal(signal.SIGSTOP)

    def wake(self):
        """It answers again."""
        self._process.send_signal(signal.SIGCONT)

    def close(self):
        self._process.kill()
        self._process.wait()
        self._process.stdin.close()
        self._process.stdout.close()
        self._log.close()
