"""Install and remove a worker, or a watch of a folder, as a systemd service.

The unit contains no secrets: a worker reads the hub's address from a private file, and options that
may contain a password are refused.
"""

from __future__ import annotations

import os
import pwd
import re
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
# Characters of a collection's name in the name of a unit.
MAX_NAME = 100
SYSTEM_FOLDER = Path("/etc/systemd/system")
TEMPLATE = """\
[Unit]
Description={description}
Wants=network-online.target
After=network-online.target

[Service]
{user}{folder}ExecStart={command}
# The exit code after Ctrl-C is not a failure.
SuccessExitStatus=130
Restart=on-failure
{watchdog}RestartSec=10
# Current images are finished within a minute; the rest returns to the queue.
KillMode=mixed
TimeoutStopSec=90
# Other programs have priority and keep their memory.
Nice=10
MemoryMax=80%

[Install]
WantedBy={target}
"""


# Restarts a worker that hangs, too: it tells systemd every five seconds that it runs.
WATCHDOG = "WatchdogSec=120\n"


class ServiceError(ScannerError):
    """The service cannot be installed or removed; the message is one sentence."""


@dataclass(frozen=True, slots=True)
class Service:
    """A systemd service of a worker, for the system or for the current user."""

    arguments: Sequence[str] = ()
    for_user: bool = False

    @property
    def name(self) -> str:
        """The name of the unit."""
        return UNIT

    def unit(self) -> str:
        """Return the text of the unit."""
        return self._unit("scanner worker", "worker", WATCHDOG)

    def _unit(self, description: str, subcommand: str, watchdog: str, folder: str = "") -> str:
        command = [sys.executable, "-m", "scanner", subcommand, *self.arguments]
        return TEMPLATE.format(
            description=description,
            watchdog=watchdog,
            folder=folder,
            user="" if self.for_user else f"User={_user()}\n",
            command=" ".join(map(_quote, command)),
            target="default.target" if self.for_user else "multi-user.target",
        )

    @property
    def file(self) -> Path:
        """The path of the unit."""
        if not self.for_user:
            return SYSTEM_FOLDER / self.name
        config = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
        return Path(config) / "systemd" / "user" / self.name

    def install(self) -> None:
        """Write the unit, start it, and enable it at boot; leave no unit behind if that fails."""
        self._check()
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
            self._systemctl("enable", self.name)
            # A running service gets the new unit.
            self._systemctl("restart", self.name)
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
        self._systemctl("disable", "--now", self.name)
        try:
            self.file.unlink()
        except OSError as error:
            raise ServiceError(f"{self.file} cannot be removed: {error.strerror}") from error
        self._systemctl("daemon-reload")

    def _check(self) -> None:
        """Raise ServiceError where the service could not work."""
        _check_configured("" if self.for_user else os.environ.get("SUDO_USER", ""))

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


@dataclass(frozen=True, slots=True)
class WatchService(Service):
    """A systemd service that watches a folder; it runs in the present working folder."""

    collection: str = ""

    @property
    def name(self) -> str:
        """The name of the unit, by that of the collection."""
        safe = re.sub(r"[^A-Za-z0-9_.-]", lambda char: f"_{ord(char[0]):x}_", self.collection)
        return f"scanner-watch-{safe[:MAX_NAME]}.service"

    def unit(self) -> str:
        """Return the text of the unit. Raise ServiceError for a URL, which may have a password."""
        for argument in self.arguments:
            if "://" in argument:
                raise ServiceError(
                    "a URL would be readable in the unit, with any password in it: put it into "
                    "the config file instead"
                )
        folder = f"WorkingDirectory={_unquoted(os.getcwd())}\n"  # noqa: PTH109 - as it was entered
        name = _unquoted(self.collection)
        return self._unit(f"scanner watch of {name}", "watch", watchdog="", folder=folder)

    def _check(self) -> None:
        """Check nothing more: a watch needs no hub."""


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


def _unquoted(text: str) -> str:
    """Return a value of one line for systemd, with percent signs taken literally."""
    if "\n" in text or "\0" in text:
        raise ServiceError("invalid option: expected one line without NUL")
    return text.replace("%", "%%")


def _quote(word: str) -> str:
    """Quote a word for systemd, with percent and dollar signs taken literally."""
    _unquoted(word)
    safe = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return safe if safe == word and " " not in word and "'" not in word else f'"{safe}"'
