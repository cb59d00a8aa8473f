"""What a program in the sandbox may ask of the kernel: a filter for all its system calls, written for the kernel's packet filter machine.

The machine has one accumulator; an instruction is a code, how far to jump where a test holds and where it does not, and a number
(the kernel's Documentation/userspace-api/seccomp_filter.rst).
"""

from __future__ import annotations

import errno
import struct
from typing import Final

_LOAD, _IF_EQUAL, _IF_AT_LEAST, _IF_ANY, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL, _FAIL = 0x7FFF0000, 0x80000000, 0x00050000
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16
"""Where the filter finds these. Each argument has 8 bytes, its lower half first on all machines that we know."""

_MISSING: Final = {
    # What takes memory that is nobody's: no limit and no look at the program's processes would find it.
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "shmget": (29, 194),
    "msgget": (68, 186),
    "semget": (64, 190),
    "mq_open": (240, 180),
    # Namespaces and mounts.
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    # Parts of the kernel in which faults are found often, and which no game needs.
    "io_uring_setup": (425, 425),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "ptrace": (101, 117),
    "process_vm_writev": (311, 271),
    "open_by_handle_at": (304, 265),
    "quotactl": (179, 60),
    # Its flags are behind a pointer, where they cannot be looked at; who does not find it takes clone().
    "clone3": (435, 435),
}
"""What a program is told that this system does not have: the numbers on x86_64, and on machines that came after it."""

_NEW_NAMESPACES: Final = 0x7E020000
"""The flags of clone() that would make a namespace: in one of its own a program has all rights that a kernel's fault needs."""
_FAST_OPEN: Final = 0x20000000
"""Of a send: dial with it."""
_ADDRESS_BYTES: Final = 16
"""An Internet address has at least so many. The one by which a program asks which interfaces there are has fewer."""

_REFUSED: Final = (
    # The kernel shares out the processor by sessions first: one of a program's own would stand beside the daemon and not behind it.
    ((112, 157), errno.EPERM),  # setsid
    # The socket that a program listens on is one of our network, and so are those that it accepts, wherever they are handed.
    # Whoever holds one may disconnect it, have it dial, or have it listen at another port. So nobody within a sandbox does that with any socket.
    ((42, 203), errno.EACCES),  # connect; an address of two bytes disconnects
)
"""What a program is told that it may not do, whatever the arguments: the numbers, and the error."""

_FORBIDDEN: Final = (
    ((56, 220), 0, _IF_ANY, _NEW_NAMESPACES),  # clone
    ((49, 200), 2, _IF_AT_LEAST, _ADDRESS_BYTES),  # bind
    ((44, 206), 3, _IF_ANY, _FAST_OPEN),  # sendto
    ((46, 211), 2, _IF_ANY, _FAST_OPEN),  # sendmsg
    ((307, 269), 3, _IF_ANY, _FAST_OPEN),  # sendmmsg
)
"""What a program is told that it may not do: the numbers, which argument tells, and how."""

_UNHEARD: Final = ((54, 208), 2, (7, 8))
"""setsockopt() of a socket's buffers, which may be large, and are nobody's memory: it is told that this is done, and keeps those it has.

The numbers, which argument tells, and which values of it. Other levels have options of these numbers that no game needs either.
"""

_MACHINES: Final = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7), "riscv64": (1, 0xC00000F3), "loongarch64": (1, 0xC0000102)}
"""Which of the numbers are theirs, and what the kernel calls them."""
_X32: Final = 0x40000000
"""Numbers from here on are x86_64's calls under other names."""


def system_calls(machine: str) -> bytes:
    """The filter for a `platform.machine()`; empty for one that we do not know."""
    if machine not in _MACHINES:
        return b""
    which, architecture = _MACHINES[machine]
    code = [
        _instruction(_LOAD, _ARCHITECTURE),
        _instruction(_IF_EQUAL, architecture, 1, 0),
        _instruction(_RETURN, _KILL),
        _instruction(_LOAD, _NUMBER),
        _instruction(_IF_AT_LEAST, _X32, 0, 1),
        _instruction(_RETURN, _FAIL | errno.ENOSYS),
    ]
    for numbers in _MISSING.values():
        code += [_instruction(_IF_EQUAL, numbers[which], 0, 1), _instruction(_RETURN, _FAIL | errno.ENOSYS)]
    for numbers, error in _REFUSED:
        code += [_instruction(_IF_EQUAL, numbers[which], 0, 1), _instruction(_RETURN, _FAIL | error)]
    numbers, argument, values = _UNHEARD
    code += [_instruction(_IF_EQUAL, numbers[which], 0, len(values) + 3), _instruction(_LOAD, _ARGUMENTS + 8 * argument)]
    code += [_instruction(_IF_EQUAL, value, left, 0) for left, value in zip(range(len(values), 0, -1), values, strict=True)]
    code += [_instruction(_RETURN, _ALLOW), _instruction(_RETURN, _FAIL)]
    for numbers, argument, test, value in _FORBIDDEN:
        code += [
            _instruction(_IF_EQUAL, numbers[which], 0, 4),
            _instruction(_LOAD, _ARGUMENTS + 8 * argument),
            _instruction(test, value, 0, 1),
            _instruction(_RETURN, _FAIL | errno.EACCES),
            _instruction(_RETURN, _ALLOW),
        ]
    return b"".join([*code, _instruction(_RETURN, _ALLOW)])


def _instruction(code: int, number: int, held: int = 0, not_held: int = 0) -> bytes:
    return struct.pack("HBBI", code, held, not_held, number)
