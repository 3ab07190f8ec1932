"""Confined processes: what they could do before, and cannot do any more."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from workers import limited_process
from workers.confinement.process import missing_means
from workers.limited_process import LimitedProcess

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(
    bool(missing_means()), reason="needs a kernel with Landlock and seccomp"
)

# Answers "done", or the name of the error, for each line of Python; `folder` is writable.
CHILD = """
import os, pathlib, resource, socket, subprocess, sys, threading
from workers.confinement.process import confine
from workers.limited_process import ParentConnection

parent = ParentConnection()
folder, secret, kind = parent.receive(tuple[str, str, str])
folder, secret = pathlib.Path(folder), pathlib.Path(secret)
if kind != "ordinary":
    confine([], [folder] if kind == "writer" else [])
parent.answer("ready")


def attempt():
    try:
        return socket.socket()
    except OSError as error:
        return error


while (line := parent.receive(str)) is not None:
    try:
        exec(line, globals())
        parent.answer("done")
    except Exception as error:
        parent.answer(type(error).__name__)
"""


@pytest.fixture
def secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a file of the user's, and the module of a child."""
    modules = tmp_path / "modules"
    modules.mkdir()
    (modules / "a_child.py").write_text(CHILD)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(modules), str(limited_process.HOME)]))
    (tmp_path / "own").mkdir()
    (tmp_path / "secret.txt").write_text("the user's")
    return tmp_path / "secret.txt"


@pytest.fixture
def port() -> Iterator[int]:
    """Listen on a port of this machine."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def tried(secret: Path, line: str, kind: str) -> str:
    """Return what becomes of a line of Python in a child: a `reader`, a `writer`, or `ordinary`."""
    own = secret.with_name("own")
    with LimitedProcess("a_child", keep_stderr=True) as process:
        assert "ready" == process.request((str(own), str(secret), kind), str, 30.0)
        return process.request(line, str, 30.0)


@pytest.mark.parametrize(
    "line",
    [
        "secret.read_text()",
        "secret.write_text('gone')",
        "secret.with_name('new').write_text('x')",
        "(folder / 'new').write_text('x')",
        "secret.unlink()",
        "secret.rename(folder / 'moved')",
        "os.truncate(secret, 0)",
        "os.chmod(secret, 0o777)",
        "os.utime(secret)",
        "os.link(secret, folder / 'linked')",
        "os.symlink(secret, folder / 'linked')",
        "os.mkdir(folder / 'deeper')",
        "os.mkfifo(folder / 'fifo')",
        "os.listdir(secret.parent)",
        "socket.create_connection(('127.0.0.1', PORT))",
        "socket.socket(socket.AF_INET, socket.SOCK_DGRAM)",
        "socket.socket(socket.AF_UNIX)",
        "socket.socketpair()",
        "subprocess.run(['true'])",
        "os.posix_spawnp('true', ['true'], {})",
        "child = os.fork(); os.waitpid(child, 0) if child else os._exit(0)",
        "os.kill(os.getppid(), 0)",
        "open(f'/proc/{os.getppid()}/environ', 'rb').read()",
        "resource.prlimit(os.getppid(), resource.RLIMIT_CORE)",
        "os.setpriority(os.PRIO_PROCESS, 0, 5)",
        "os.pidfd_open(os.getppid())",
    ],
)
def test_a_reader_is_refused(secret: Path, port: int, line: str) -> None:
    """Each line is done by an ordinary process, and refused to a confined one."""
    line = line.replace("PORT", str(port))
    confined = tried(secret, line, "reader")
    text = secret.read_text()
    ordinary = tried(secret, line, "ordinary")

    assert "PermissionError" == confined
    assert "the user's" == text
    assert "done" == ordinary


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("(folder / 'new').write_text('x'); (folder / 'new').unlink()", "done"),
        ("(folder / 'a').write_text('x'); (folder / 'a').rename(folder / 'b')", "done"),
        ("open(os.devnull, 'w').write('x')", "done"),
        ("secret.write_text('gone')", "PermissionError"),
        ("secret.read_text()", "PermissionError"),
        ("secret.with_name('new').write_text('x')", "PermissionError"),
        ("os.symlink(secret, folder / 'a'); (folder / 'a').write_text('x')", "PermissionError"),
        ("os.link(secret, folder / 'linked')", "OSError"),
        ("socket.socket()", "PermissionError"),
        ("subprocess.run(['true'])", "PermissionError"),
    ],
)
def test_a_writer_writes_in_its_own_folder(secret: Path, line: str, expected: str) -> None:
    """A process with a folder of its own writes there and nowhere else."""
    assert expected == tried(secret, line, "writer")
    assert "the user's" == secret.read_text()


def test_threads_started_before_have_no_network(secret: Path) -> None:
    """The filter of system calls holds for all threads of the process."""
    line = (
        "from workers.confinement.seccomp import forbid_privileges, refuse_calls;"
        "go, out = threading.Event(), [];"
        "t = threading.Thread(target=lambda: (go.wait(), out.append(attempt())));"
        "t.start(); forbid_privileges(); refuse_calls(may_write=False); go.set(); t.join();"
        "assert isinstance(out[0], PermissionError), out; raise out[0]"
    )

    assert "PermissionError" == tried(secret, line, "ordinary")


def test_ordinary_work_goes_on(secret: Path) -> None:
    """Threads, own signals, limits, system libraries and Python's modules are still to be had."""
    line = (
        "import decimal, numpy, zoneinfo, PIL.Image;"
        "t = threading.Thread(target=print); t.start(); t.join();"
        "os.kill(os.getpid(), 0);"
        "resource.setrlimit(resource.RLIMIT_CORE, (0, 0));"
        "numpy.ones((300, 300)) @ numpy.ones((300, 300))"
    )

    assert "done" == tried(secret, line, "reader")


def test_the_environment_is_allow_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A child knows where things are, and no password."""
    secrets = ("SCANNER_BROKER", "SCANNER_STORE", "AWS_SECRET_ACCESS_KEY", "HF_TOKEN", "PGPASSWORD")
    for name in secrets:
        monkeypatch.setenv(name, "redis://:s3cret@localhost/0")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    known = limited_process.child_environment()

    assert not set(secrets) & set(known)
    assert "C.UTF-8" == known["LC_ALL"]
    assert known.keys() >= {"PATH", "HOME", "XDG_DATA_HOME"}


@pytest.mark.parametrize(
    ("origin", "answer"),
    [
        ('{"url": "file://FOLDER", "dir_info": {"editable": true}}', "done"),
        ('{"url": "file://FOLDER", "dir_info": {}}', "PermissionError"),
        ("junk", "PermissionError"),
    ],
    ids=["editable", "copied", "junk"],
)
def test_packages_installed_in_place(secret: Path, origin: str, answer: str) -> None:
    """A confined process reads the packages that are installed in place, as plug-ins may be."""
    project = secret.with_name("a project")
    project.mkdir()
    (project / "a_plugin.py").write_text("")
    info = secret.with_name("modules") / "a_plugin-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: a-plugin\nVersion: 1\n")
    (info / "direct_url.json").write_text(origin.replace("FOLDER", quote(str(project))))

    assert answer == tried(secret, f"open({str(project / 'a_plugin.py')!r})", "reader")
