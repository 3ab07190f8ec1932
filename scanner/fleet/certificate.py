"""A self-signed certificate for the hub, which joining workers pin."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from storage.errors import ScannerError

# Ten years: after that every machine has to join again.
VALID_DAYS = "3650"
TIMEOUT_SECONDS = 60.0


class CertificateError(ScannerError):
    """The certificate could not be created; the message says why."""


def ensure_certificate(folder: Path) -> str:
    """Return the PEM of the certificate `cert.pem` in a private folder.

    Create it, with its key `key.pem`, if there is none. Raise CertificateError.
    """
    cert, key = folder / "cert.pem", folder / "key.pem"
    if not (cert.exists() and key.exists()):
        # Moved into place when complete, so that no partial file is used.
        with tempfile.TemporaryDirectory(dir=folder) as name:
            temporary = Path(name)
            _create(temporary / cert.name, temporary / key.name)
            (temporary / key.name).replace(key)
            (temporary / cert.name).replace(cert)
    return cert.read_text("ascii")


def _create(cert: Path, key: Path) -> None:
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-days", VALID_DAYS, "-subj", "/CN=scanner hub"]
    command += ["-keyout", str(key), "-out", str(cert)]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=TIMEOUT_SECONDS)  # noqa: S603
    except FileNotFoundError as error:
        raise CertificateError("--tls needs the command `openssl`, which was not found") from error
    except (OSError, subprocess.SubprocessError) as error:
        raise CertificateError(f"`openssl` could not create a certificate: {error}") from error
    key.chmod(0o600)
