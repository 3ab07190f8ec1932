"""Child processes with limits: answers, and each way of not answering."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from workers import limited_process
from workers.limited_process import LimitedProcess, ProcessFailed, ProcessTimedOut

if TYPE_CHECKING:
    from pathlib import Path

CHILD = """
import os, sys, time
from workers.limited_process import ParentConnection, limit_memory

parent = ParentConnection()
while (request := parent.receive(str)) is not None:
    {}
    parent.answer(request.upper())
"""


@pytest.fixture
def child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the file of the module `a_child`, which a child process can import."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), str(limited_process.HOME)]))
    return tmp_path / "a_child.py"


def test_answers(child: Path) -> None:
    """A child answers request after request, and what it prints is not taken for an answer."""
    child.write_text(CHILD.format("print('noise', flush=True)"))
    with LimitedProcess("a_child") as process:
        answers = [process.request(text, str, 30.0) for text in ("a", "b")]

    assert ["A", "B"] == answers
    assert process.popen.returncode is not None


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("os.abort()", "killed by signal 6"),
        ("os._exit(3)", "exit status 3"),
        ("raise SystemExit('no such model')", "exit status 1: no such model"),
        ("limit_memory(2**30); bytearray(2**31)", "exit status 1: MemoryError"),
        ("os.write(parent._answers.fileno(), b'{]\\n')", "invalid answer"),
        ("os.write(parent._answers.fileno(), b'5\\n')", "invalid answer"),
        ("os.write(parent._answers.fileno(), b'[' * 60_000 + b'\\n')", "invalid answer"),
    ],
)
def test_failures(child: Path, statement: str, message: str) -> None:
    """The error says how the child died, or that its answer is invalid."""
    child.write_text(CHILD.format(statement))
    with (
        LimitedProcess("a_child", keep_stderr=True) as process,
        pytest.raises(ProcessFailed, match=message),
    ):
        process.request("a", str, 30.0)


@pytest.mark.parametrize(
    "statement",
    [
        "time.sleep(600)",
        "os.write(parent._answers.fileno(), b'1'); time.sleep(600)",
        "parent._answers.close(); time.sleep(600)",
    ],
    ids=["silent", "half an answer", "closed pipes"],
)
def test_timeouts(child: Path, statement: str) -> None:
    """A child that does not finish its answer in time is killed."""
    child.write_text(CHILD.format(statement))
    with LimitedProcess("a_child") as process, pytest.raises(ProcessTimedOut):
        process.request("a", str, 1.0)

    assert process.popen.returncode is not None


def test_long_answers(child: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An endless answer is cut off."""
    monkeypatch.setattr(limited_process, "MAX_ANSWER_BYTES", 100_000)
    child.write_text(CHILD.format("while True: os.write(parent._answers.fileno(), b'1' * 4096)"))
    with LimitedProcess("a_child") as process, pytest.raises(ProcessFailed, match="100,000 bytes"):
        process.request("a", str, 30.0)
