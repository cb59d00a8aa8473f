"""Two little programs for the kernel's packet filter machine: what a program may call, and what its socket may hear.

The machine has one accumulator; an instruction is a code, how far to jump where a test holds and where it does not, and a number
(the kernel's Documentation/networking/filter.rst and Documentation/userspace-api/seccomp_filter.rst).
"""

from __future__ import annotations

import ctypes
import errno
import socket
import struct
from typing import Final

_LOAD_WORD, _LOAD_HALF, _LOAD_BYTE = 0x20, 0x28, 0x30
_IF_EQUAL, _IF_AT_LEAST, _IF_ANY = 0x15, 0x35, 0x45
_AND, _RETURN = 0x54, 0x06

_ALLOW, _KILL, _FAIL = 0x7FFF0000, 0x80000000, 0x00050000
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16
"""Where a filter of system calls finds these."""
_NEW_NAMESPACES = 0x7E020000
"""The flags of clone() that would make a namespace: in one of its own a program has all rights that a kernel's fault needs."""

_SYSTEM_CALLS: Final = {
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
"""What a program is told that this system does not have: its numbers on x86_64 and on aarch64."""
_CLONE: Final = (56, 220)
_ARCHITECTURES: Final = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
_X32: Final = 0x40000000
"""Numbers from here on are x86_64's calls under other names."""


def system_calls(machine: str) -> bytes:
    """The filter of system calls for a `platform.machine()`; empty for a machine whose numbers we do not know."""
    if machine not in _ARCHITECTURES:
        return b""
    place, architecture = _ARCHITECTURES[machine]
    missing = [numbers[place] for numbers in _SYSTEM_CALLS.values()]
    # From the end on: return allowed, return missing, return forbidden, and the tests of clone's flags.
    tests = [(_LOAD_WORD, _NUMBER), (_IF_AT_LEAST, _X32), *((_IF_EQUAL, number) for number in missing)]
    code = [_instruction(_LOAD_WORD, _ARCHITECTURE), _instruction(_IF_EQUAL, architecture, 1, 0), _instruction(_RETURN, _KILL)]
    for index, (kind, number) in enumerate(tests):
        to_missing = len(tests) - index + 3 if kind != _LOAD_WORD else 0
        code.append(_instruction(kind, number, to_missing, 0))
    code += [
        _instruction(_IF_EQUAL, _CLONE[place], 0, 2),
        _instruction(_LOAD_WORD, _FIRST_ARGUMENT),
        _instruction(_IF_ANY, _NEW_NAMESPACES, 2, 0),
        _instruction(_RETURN, _ALLOW),
        _instruction(_RETURN, _FAIL | errno.ENOSYS),
        _instruction(_RETURN, _FAIL | errno.EPERM),
    ]
    return b"".join(code)


_SYN_ACK = 0x12
_DESTINATION_PORT, _FLAGS = 2, 13
"""Where these are in a TCP header."""
_WHOLE = 0xFFFFFFFF
# Linux on all machines that we know of but SPARC, MIPS and PA-RISC; Python has no names for them.
_SO_ATTACH_FILTER, _SO_LOCK_FILTER = 26, 44


def answers_only(port: int) -> bytes:
    """A listening socket's filter under which neither it nor what it accepts can be turned into a connection that goes out.

    A socket that listens on our network remains one of our network wherever it is handed, and whoever holds it may disconnect it and
    have it dial. So it is deaf for an answer to a dialled connection (SYN and ACK), and for anything that is not for the port it was made for.
    """
    return b"".join(
        (
            _instruction(_LOAD_HALF, _DESTINATION_PORT),
            _instruction(_IF_EQUAL, port, 0, 4),
            _instruction(_LOAD_BYTE, _FLAGS),
            _instruction(_AND, _SYN_ACK),
            _instruction(_IF_EQUAL, _SYN_ACK, 1, 0),
            _instruction(_RETURN, _WHOLE),
            _instruction(_RETURN, 0),
        )
    )


def never_dials(listening: socket.socket) -> None:
    """Put that filter on a listening socket, for good. Raises OSError where the kernel has none."""
    code = answers_only(listening.getsockname()[1])
    kept = ctypes.create_string_buffer(code, len(code))
    listening.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HP", len(code) // 8, ctypes.addressof(kept)))
    listening.setsockopt(socket.SOL_SOCKET, _SO_LOCK_FILTER, 1)


def _instruction(code: int, number: int, held: int = 0, not_held: int = 0) -> bytes:
    return struct.pack("HBBI", code, held, not_held, number)
