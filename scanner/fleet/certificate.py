"""A hub's own certificate, made once; who joins is given it, and takes nobody else for the hub."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

# Ten years: whoever joined would have to join again.
DAYS = "3650"
SECONDS = 60.0


class NoCertificate(Exception):
    """No certificate could be made; the message says why."""


def certificate(folder: Path) -> str:
    """The certificate in a private folder, as PEM, made with its key where there is none yet.

    `cert.pem` and `key.pem`. Raises NoCertificate.
    """
    cert, key = folder / "cert.pem", folder / "key.pem"
    if not (cert.exists() and key.exists()):
        # Whole or not at all: half of one would be taken for made.
        with tempfile.TemporaryDirectory(dir=folder) as name:
            made = Path(name)
            _make(made / cert.name, made / key.name)
            (made / key.name).replace(key)
            (made / cert.name).replace(cert)
    return cert.read_text("ascii")


def _make(cert: Path, key: Path) -> None:
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-days", DAYS, "-subj", "/CN=scanner hub"]
    command += ["-keyout", str(key), "-out", str(cert)]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=SECONDS)  # noqa: S603
    except FileNotFoundError as error:
        raise NoCertificate("--tls needs the command `openssl`, which is not here") from error
    except (OSError, subprocess.SubprocessError) as error:
        raise NoCertificate(f"`openssl` could not make a certificate: {error}") from error
    key.chmod(0o600)
