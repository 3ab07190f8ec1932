"""Which file systems are polled."""

from __future__ import annotations

from pathlib import Path

import pytest

from scanner.watch.file_systems import silent_file_system

# As proc(5) describes it: fields, a hyphen, the type, the source.
MOUNTS = rb"""22 1 8:2 / / rw,relatime shared:1 - ext4 /dev/sda2 rw
30 22 0:30 / /mnt/nas rw,relatime shared:2 - nfs4 nas:/photos rw,vers=4.2
31 22 0:31 / /mnt/my\040cloud rw,nosuid - fuse.rclone cloud: rw
32 22 8:3 / /mnt/nas/local rw - ext4 /dev/sda3 rw
33 22 0:33 / /mnt/twice rw - ext4 /dev/sdb1 rw
34 33 0:34 / /mnt/twice rw master:9 - cifs //nas/photos rw
35 22 0:35 / /home/me/photos/nas rw - cifs //nas/me rw
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/home/you/photos", ""),
        ("/mnt/nas", "nfs4"),
        ("/mnt/nas/2026/summer", "nfs4"),
        ("/mnt/nasty", ""),
        ("/mnt/my cloud/photos", "fuse.rclone"),
        ("/mnt/nas/local/photos", ""),
        ("/mnt/twice/photos", "cifs"),
        ("/home/me/photos", "cifs"),
        ("/", "cifs"),
    ],
)
def test_type_by_mounts(folder: str, kind: str, tmp_path: Path) -> None:
    """The type is that of the last mount above the folder, or of a silent one below it."""
    mounts = tmp_path / "mountinfo"
    mounts.write_bytes(MOUNTS)

    assert kind == silent_file_system(Path(folder), mounts)


def test_no_list_of_mounts(tmp_path: Path) -> None:
    """Where the system has no list of mounts, the folder is taken for one that tells."""
    assert "" == silent_file_system(tmp_path, tmp_path / "none")
