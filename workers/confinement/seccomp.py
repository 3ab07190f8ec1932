"""A filter of system calls (seccomp(2)): no network, no other programs, no other processes.

Calls are refused with "operation not permitted", as if the user lacked the right, so that libraries
which try one go on without it.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# Numbers of system calls by name, of x86-64 and of aarch64; None where it has no such call.
_Numbers = dict[str, tuple[int, int | None]]
# AUDIT_ARCH of <linux/audit.h>, and the column of the tables below.
_ARCHITECTURES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}

_NETWORK: _Numbers = {
    "socket": (41, 198), "socketpair": (53, 199), "connect": (42, 203), "bind": (49, 200),
    "listen": (50, 201), "accept": (43, 202), "accept4": (288, 242), "sendto": (44, 206),
    "sendmsg": (46, 211), "sendmmsg": (307, 269),
}  # fmt: skip
_PROGRAMS: _Numbers = {
    "execve": (59, 221), "execveat": (322, 281), "fork": (57, None), "vfork": (58, None),
}  # fmt: skip
_OTHER_PROCESSES: _Numbers = {
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "pidfd_open": (434, 434), "pidfd_getfd": (438, 438), "pidfd_send_signal": (424, 424),
    "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240), "tkill": (200, 130),
    "shmget": (29, 194), "semget": (64, 190), "msgget": (68, 186), "setpriority": (141, 140),
    "kcmp": (312, 272),
}  # fmt: skip
_SYSTEM: _Numbers = {
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51),
    "unshare": (272, 97), "setns": (308, 268), "open_tree": (428, 428), "move_mount": (429, 429),
    "fsopen": (430, 430), "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433),
    "mount_setattr": (442, 442), "init_module": (175, 105), "finit_module": (313, 273),
    "delete_module": (176, 106), "kexec_load": (246, 104), "kexec_file_load": (320, 294),
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282),
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219),
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265), "reboot": (169, 142),
    "swapon": (167, 224), "swapoff": (168, 225), "acct": (163, 89), "settimeofday": (164, 170),
    "clock_settime": (227, 112), "adjtimex": (159, 171), "clock_adjtime": (305, 266),
    "sethostname": (170, 161), "setdomainname": (171, 162), "ioperm": (173, None),
    "iopl": (172, None),
}  # fmt: skip
# Attributes of files, which Landlock does not guard.
_ATTRIBUTES: _Numbers = {
    "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452),
    "chown": (92, None), "fchown": (93, 55), "lchown": (94, None), "fchownat": (260, 54),
    "utime": (132, None), "utimes": (235, None), "futimesat": (261, None), "utimensat": (280, 88),
    "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7), "removexattr": (197, 14),
    "lremovexattr": (198, 15), "fremovexattr": (199, 16),
}  # fmt: skip
# For a process that writes no file at all, whether or not the kernel has Landlock.
_WRITING: _Numbers = {
    "creat": (85, None), "truncate": (76, 45), "rename": (82, None), "renameat": (264, 38),
    "renameat2": (316, 276), "mkdir": (83, None), "mkdirat": (258, 34), "rmdir": (84, None),
    "link": (86, None), "linkat": (265, 37), "unlink": (87, None), "unlinkat": (263, 35),
    "symlink": (88, None), "symlinkat": (266, 36), "mknod": (133, None), "mknodat": (259, 33),
}  # fmt: skip
# Calls whose arguments are in memory, where a filter cannot see them: libraries use the older ones.
_OPAQUE: _Numbers = {"clone3": (435, 435), "openat2": (437, 437)}
_KILL: _Numbers = {"kill": (62, 129), "tgkill": (234, 131)}
_PRLIMIT: _Numbers = {"prlimit64": (302, 261)}
_CLONE: _Numbers = {"clone": (56, 220)}
_OPEN: _Numbers = {"open": (2, None)}
_OPENAT: _Numbers = {"openat": (257, 56)}

_CLONE_THREAD = 0x00010000
_FOR_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_X32 = 0x40000000

# Instructions of classic BPF, as of <linux/bpf_common.h>.
_LOAD, _IF_EQUAL, _IF_AT_LEAST, _IF_ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
# Offsets in `struct seccomp_data`: the low halves of arguments on little-endian machines.
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16
_KILL_PROCESS, _ALLOW = 0x80000000, 0x7FFF0000
_REFUSE, _UNKNOWN = 0x00050000 | errno.EPERM, 0x00050000 | errno.ENOSYS

_INSTRUCTION_BYTES = 8
# Of prctl(2), and of seccomp(2), whose number is by architecture.
_SET_NO_NEW_PRIVS, _GET_SECCOMP = 38, 21
_SECCOMP, _SET_FILTER, _ALL_THREADS = (317, 277), 1, 1


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def has_seccomp() -> bool:
    """Check whether this kernel takes filters, and whether there is one for this machine."""
    if not sys.platform.startswith("linux") or platform.machine() not in _ARCHITECTURES:
        return False
    return int(ctypes.CDLL(None).prctl(_GET_SECCOMP, 0, 0, 0, 0)) >= 0


def forbid_privileges() -> None:
    """Have no program that this process starts gain rights (no_new_privs). Raises OSError."""
    library = ctypes.CDLL(None, use_errno=True)
    _require_done(library.prctl(_SET_NO_NEW_PRIVS, *map(ctypes.c_ulong, (1, 0, 0, 0))))


def refuse_calls(*, may_write: bool) -> None:
    """Refuse this process the calls of the tables for ever, and writing files unless it may.

    `forbid_privileges` comes first. Raises OSError.
    """
    program = b"".join(_instructions(may_write=may_write))
    _, column = _ARCHITECTURES[platform.machine()]
    library = ctypes.CDLL(None, use_errno=True)
    _require_done(
        library.syscall(
            ctypes.c_long(_SECCOMP[column]),
            ctypes.c_ulong(_SET_FILTER),
            ctypes.c_ulong(_ALL_THREADS),
            ctypes.byref(_Program(len(program) // _INSTRUCTION_BYTES, program)),
        )
    )


def _instructions(*, may_write: bool) -> Iterator[bytes]:
    """Yield the program: each test returns, or falls through to the next."""
    audit, column = _ARCHITECTURES[platform.machine()]
    yield _instruction(_LOAD, _ARCHITECTURE)
    yield _instruction(_IF_EQUAL, audit, 1, 0)
    yield _instruction(_RETURN, _KILL_PROCESS)
    yield _instruction(_LOAD, _NUMBER)
    if column == 0:
        # The same calls under other numbers, for programs with short pointers.
        yield _instruction(_IF_AT_LEAST, _X32, 0, 1)
        yield _instruction(_RETURN, _REFUSE)
    refused = (_NETWORK, _PROGRAMS, _OTHER_PROCESSES, _SYSTEM, _ATTRIBUTES)
    for table in refused if may_write else (*refused, _WRITING):
        yield from _if_called(table, _instruction(_RETURN, _REFUSE))
    yield from _if_called(_OPAQUE, _instruction(_RETURN, _UNKNOWN))
    yield from _if_called(_KILL, *_only_if(0, _IF_EQUAL, os.getpid()))
    yield from _if_called(_PRLIMIT, *_only_if(0, _IF_EQUAL, 0))
    yield from _if_called(_CLONE, *_only_if(0, _IF_ANY_BIT, _CLONE_THREAD))
    if not may_write:
        yield from _if_called(_OPEN, *_unless(1, _IF_ANY_BIT, _FOR_WRITING))
        yield from _if_called(_OPENAT, *_unless(2, _IF_ANY_BIT, _FOR_WRITING))
    yield _instruction(_RETURN, _ALLOW)


def _if_called(table: _Numbers, *then: bytes) -> Iterator[bytes]:
    """Have the number of each of these calls lead to instructions that return."""
    _, column = _ARCHITECTURES[platform.machine()]
    for numbers in table.values():
        if (number := numbers[column]) is not None:
            yield _instruction(_IF_EQUAL, number, 0, len(then))
            yield from then


def _only_if(argument: int, test: int, value: int) -> Iterator[bytes]:
    """Allow the call if its argument passes the test, refuse it otherwise."""
    yield _instruction(_LOAD, _ARGUMENTS + 8 * argument)
    yield _instruction(test, value, 0, 1)
    yield _instruction(_RETURN, _ALLOW)
    yield _instruction(_RETURN, _REFUSE)


def _unless(argument: int, test: int, value: int) -> Iterator[bytes]:
    """Refuse the call if its argument passes the test, allow it otherwise."""
    yield _instruction(_LOAD, _ARGUMENTS + 8 * argument)
    yield _instruction(test, value, 0, 1)
    yield _instruction(_RETURN, _REFUSE)
    yield _instruction(_RETURN, _ALLOW)


def _instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)


def _require_done(result: int) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
