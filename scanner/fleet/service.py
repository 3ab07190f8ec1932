"""Install and remove a worker as a systemd service.

The unit contains no secrets: the worker reads the hub's address from a private file.
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

from scanner.config import APP
from scanner.fleet.hub_config import hub_file
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
# The exit code after Ctrl-C is not a failure.
SuccessExitStatus=130
Restart=on-failure
# Of a worker that hangs, too: it tells systemd every five seconds that it runs.
WatchdogSec=120
RestartSec=10
# The worker finishes its current images within a minute; the rest returns to the queue.
KillMode=mixed
TimeoutStopSec=90
# Other programs have priority and keep their memory.
Nice=10
MemoryMax=80%

[Install]
WantedBy={target}
"""


class ServiceError(ScannerError):
    """The service cannot be installed or removed; the message is one sentence."""


@dataclass(frozen=True, slots=True)
class Service:
    """A systemd service of a worker, for the system or for the current user."""

    arguments: Sequence[str] = ()
    for_user: bool = False

    def unit(self) -> str:
        """Return the text of the unit."""
        command = [sys.executable, "-m", "scanner", "worker", *self.arguments]
        return TEMPLATE.format(
            user="" if self.for_user else f"User={_user()}\n",
            command=" ".join(map(_quote, command)),
            target="default.target" if self.for_user else "multi-user.target",
        )

    @property
    def file(self) -> Path:
        """The path of the unit."""
        if not self.for_user:
            return SYSTEM_FOLDER / UNIT
        config = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
        return Path(config) / "systemd" / "user" / UNIT

    def install(self) -> None:
        """Write the unit, start it, and enable it at boot; leave no unit behind if that fails."""
        _check_configured("" if self.for_user else os.environ.get("SUDO_USER", ""))
        self._find_systemctl()
        before = self.file.read_bytes() if self.file.exists() else None
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            self.file.write_text(self.unit(), encoding="utf-8")
        except OSError as error:
            raise ServiceError(
                f"{self.file} cannot be written ({error.strerror}): use sudo, or --user"
            ) from error
        try:
            self._systemctl("daemon-reload")
            self._systemctl("enable", UNIT)
            # A running service gets the new unit.
            self._systemctl("restart", UNIT)
        except ServiceError:
            if before is None:
                self.file.unlink()
            else:
                self.file.write_bytes(before)
            raise

    def uninstall(self) -> None:
        """Stop the service and remove the unit."""
        if not self.file.exists():
            raise ServiceError(f"Service not found: {self.file}")
        self._systemctl("disable", "--now", UNIT)
        try:
            self.file.unlink()
        except OSError as error:
            raise ServiceError(f"{self.file} cannot be removed: {error.strerror}") from error
        self._systemctl("daemon-reload")

    @staticmethod
    def _find_systemctl() -> str:
        command = shutil.which("systemctl")
        if command is None:
            raise ServiceError(
                "systemd was not found (no `systemctl`); --print shows the unit, for another "
                "service manager"
            )
        return command

    def _systemctl(self, *words: str) -> None:
        command = self._find_systemctl()
        scope = ["--user"] if self.for_user else []
        result = subprocess.run(  # noqa: S603 - all words are constants
            [command, *scope, *words], capture_output=True, text=True, check=False
        )
        if result.returncode:
            raise ServiceError(f"systemctl {' '.join(words)} failed: {result.stderr.strip()}")


def _user() -> str:
    """Return the user of the service: the one who called sudo, else the current one."""
    try:
        return os.environ.get("SUDO_USER") or pwd.getpwuid(os.getuid()).pw_name
    except KeyError as error:
        raise ServiceError(
            f"user {os.getuid()} has no name on this machine, which a service needs: run as a user "
            "with one, or use --user"
        ) from error


def _check_configured(user: str) -> None:
    """Raise ServiceError if a user (default: the current one) has neither hub nor config file."""
    folder = hub_file().parent
    if user:
        folder = Path(f"~{user}").expanduser() / ".config" / APP
    if not any((folder / name).exists() for name in (hub_file().name, "config.toml")):
        raise ServiceError(
            f"there is no hub in {folder}: join one first, as the user of the service, with the "
            "line that `scanner hub` prints"
        )


def _quote(word: str) -> str:
    """Quote a word for systemd, with percent and dollar signs taken literally."""
    if "\n" in word or "\0" in word:
        raise ServiceError("invalid option: expected one line without NUL")
    safe = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return safe if safe == word and " " not in word and "'" not in word else f'"{safe}"'
