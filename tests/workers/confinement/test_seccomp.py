"""The filter of system calls for each architecture, run as the kernel runs it."""

from __future__ import annotations

import errno
import os
import platform
import struct

import pytest

from workers.confinement import seccomp

ALLOW, KILL, NOT_PERMITTED, UNKNOWN = (
    0x7FFF0000,
    0x80000000,
    0x50000 | errno.EPERM,
    0x50000 | errno.ENOSYS,
)
THREAD = 0x00010000
# AUDIT_ARCH of <linux/audit.h>.
AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}


def returned(program: bytes, architecture: int, number: int, *arguments: int) -> int:
    """Run a program of classic BPF on a call, as seccomp(2) does; return what it returns."""
    six = (*arguments, *(0,) * (6 - len(arguments)))
    call = struct.pack("<iIQ6Q", number, architecture, 0, *six)
    steps = list(struct.iter_unpack("<HBBI", program))
    at = accumulator = 0
    while True:
        code, if_true, if_false, value = steps[at]
        at += 1
        match code:
            case 0x20:  # load a word
                (accumulator,) = struct.unpack_from("<I", call, value)
            case 0x15:
                at += if_true if accumulator == value else if_false
            case 0x35:
                at += if_true if accumulator >= value else if_false
            case 0x45:
                at += if_true if accumulator & value else if_false
            case 0x06:
                return value
            case _:
                raise AssertionError(f"unknown instruction {code:#x}")


def program(monkeypatch: pytest.MonkeyPatch, machine: str, *, may_write: bool) -> bytes:
    """Return the filter of a machine."""
    monkeypatch.setattr(platform, "machine", lambda: machine)
    return b"".join(seccomp._instructions(may_write=may_write))


@pytest.mark.parametrize(
    ("machine", "call", "expected"),
    [
        # Numbers of <asm/unistd_64.h>.
        ("x86_64", (0,), ALLOW),  # read
        ("x86_64", (41,), NOT_PERMITTED),  # socket
        ("x86_64", (59,), NOT_PERMITTED),  # execve
        ("x86_64", (57,), NOT_PERMITTED),  # fork
        ("x86_64", (56, THREAD), ALLOW),  # clone
        ("x86_64", (56, 0), NOT_PERMITTED),
        ("x86_64", (435,), UNKNOWN),  # clone3
        ("x86_64", (0x40000000,), NOT_PERMITTED),  # read with short pointers
        ("x86_64", (62, os.getpid(), 9), ALLOW),  # kill
        ("x86_64", (62, 1, 9), NOT_PERMITTED),
        ("x86_64", (82,), NOT_PERMITTED),  # rename
        ("x86_64", (257, 0, 0, os.O_RDONLY), ALLOW),  # openat
        ("x86_64", (257, 0, 0, os.O_WRONLY), NOT_PERMITTED),
        ("x86_64", (257, 0, 0, os.O_RDONLY | os.O_CREAT), NOT_PERMITTED),
        # Numbers of <asm-generic/unistd.h>.
        ("aarch64", (63,), ALLOW),  # read
        ("aarch64", (198,), NOT_PERMITTED),  # socket
        ("aarch64", (221,), NOT_PERMITTED),  # execve
        ("aarch64", (220, THREAD), ALLOW),  # clone
        ("aarch64", (220, 0), NOT_PERMITTED),
        ("aarch64", (435,), UNKNOWN),  # clone3
        ("aarch64", (129, os.getpid(), 9), ALLOW),  # kill
        ("aarch64", (129, 1, 9), NOT_PERMITTED),
        ("aarch64", (276,), NOT_PERMITTED),  # renameat2
        ("aarch64", (56, 0, 0, os.O_RDONLY), ALLOW),  # openat
        ("aarch64", (56, 0, 0, os.O_WRONLY), NOT_PERMITTED),
    ],
)
def test_what_a_reader_may_call(
    machine: str, call: tuple[int, ...], expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Check calls that a process makes which writes no file."""
    filters = program(monkeypatch, machine, may_write=False)
    assert returned(filters, AUDIT[machine], *call) == expected


@pytest.mark.parametrize(
    ("machine", "opens", "renames", "connects"),
    [("x86_64", 257, 316, 42), ("aarch64", 56, 276, 203)],
)
def test_what_a_writer_may_call(
    machine: str, opens: int, renames: int, connects: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Check calls that a process makes which writes files of its own."""
    filters = program(monkeypatch, machine, may_write=True)
    architecture = AUDIT[machine]
    assert returned(filters, architecture, opens, 0, 0, os.O_WRONLY | os.O_CREAT) == ALLOW
    assert returned(filters, architecture, renames) == ALLOW
    assert returned(filters, architecture, connects) == NOT_PERMITTED


@pytest.mark.parametrize(("machine", "narrow"), [("x86_64", 0x40000003), ("aarch64", 0x40000028)])
def test_calls_of_32_bits_end_the_process(
    machine: str, narrow: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Check that no call gets past the tables by another architecture's numbers."""
    filters = program(monkeypatch, machine, may_write=True)
    assert returned(filters, narrow, 3) == KILL
