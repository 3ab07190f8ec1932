"""The worker as a systemd service: its unit, written and enabled, or removed.

No secret is in it: the worker reads the hub's file, which only its user can.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from storage.errors import ScannerError

if TYPE_CHECKING:
    from collections.abc import Sequence

UNIT = "scanner-worker.service"
SYSTEM_FOLDER = Path("/etc/systemd/system")
TEMPLATE = """\
[Unit]
Description=scanner worker
Wants=network-online.target
After=network-online.target

[Service]
{user}ExecStart={command}
# A worker that is told to stop (Ctrl-C's code) has not failed.
SuccessExitStatus=130
Restart=on-failure
RestartSec=10
# It has a minute for the images at work; what is left goes back to the queue.
KillMode=mixed
TimeoutStopSec=90
# Others on this machine come first, and are not driven out of memory.
Nice=10
MemoryMax=80%

[Install]
WantedBy={target}
"""


class ServiceError(ScannerError):
    """The service cannot be installed or removed; the message is one sentence."""


@dataclass(frozen=True, slots=True)
class Service:
    """A worker's service, of the system or of the user who asks."""

    arguments: Sequence[str] = ()
    of_user: bool = False

    def unit(self) -> str:
        """The unit's text."""
        command = [sys.executable, "-m", "scanner", "worker", *self.arguments]
        return TEMPLATE.format(
            user="" if self.of_user else f"User={_user()}\n",
            command=" ".join(map(_quoted, command)),
            target="default.target" if self.of_user else "multi-user.target",
        )

    @property
    def file(self) -> Path:
        """Where it lies."""
        if not self.of_user:
            return SYSTEM_FOLDER / UNIT
        config = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
        return Path(config) / "systemd" / "user" / UNIT

    def install(self) -> None:
        """Write the unit, and have it run now and from the next start on."""
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            self.file.write_text(self.unit(), encoding="utf-8")
        except OSError as error:
            raise ServiceError(
                f"{self.file} cannot be written ({error.strerror}): use sudo, or --user"
            ) from error
        self._systemctl("daemon-reload")
        self._systemctl("enable", UNIT)
        # One that runs already gets the new unit.
        self._systemctl("restart", UNIT)

    def uninstall(self) -> None:
        """Stop it and remove the unit."""
        if not self.file.exists():
            raise ServiceError(f"there is no {self.file}")
        self._systemctl("disable", "--now", UNIT)
        try:
            self.file.unlink()
        except OSError as error:
            raise ServiceError(f"{self.file} cannot be removed: {error.strerror}") from error
        self._systemctl("daemon-reload")

    def _systemctl(self, *words: str) -> None:
        command = shutil.which("systemctl")
        if command is None:
            raise ServiceError(
                "there is no systemd here (no `systemctl`); --print shows the unit, for whatever "
                "starts services on this machine"
            )
        whose = ["--user"] if self.of_user else []
        done = subprocess.run(  # noqa: S603 - no word of it is anyone else's
            [command, *whose, *words], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise ServiceError(f"systemctl {' '.join(words)} failed: {done.stderr.strip()}")


def _user() -> str:
    """Who the service runs as: who called sudo, else who asks."""
    return os.environ.get("SUDO_USER") or pwd.getpwuid(os.getuid()).pw_name


def _quoted(word: str) -> str:
    """A word as systemd reads it: percent signs and dollars stand for themselves."""
    if "\n" in word or "\0" in word:
        raise ServiceError("a service's options are one line")
    safe = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return safe if safe == word and " " not in word and "'" not in word else f'"{safe}"'
