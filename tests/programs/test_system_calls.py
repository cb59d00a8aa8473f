"""The filter of system calls, run by a machine of the test's own."""

from __future__ import annotations

import errno
import struct

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from gameroom.programs.system_calls import system_calls

X86, ARM = 0xC000003E, 0xC00000B7
ALLOWED, KILLED = "allowed", "killed"


def verdict(code: bytes, architecture: int, number: int, arguments: tuple[int, ...] = ()) -> str | int:
    """What the kernel's machine comes to: allowed, killed, or an errno."""
    data = struct.pack("<iIQ6Q", number if number < 1 << 31 else number - (1 << 32), architecture, 0, *(*arguments, *[0] * 6)[:6])
    instructions: list[tuple[int, int, int, int]] = list(struct.iter_unpack("HBBI", code))
    place = accumulator = 0
    while True:
        operation, held, not_held, value = instructions[place]
        place += 1
        if operation == 0x20:
            (accumulator,) = struct.unpack_from("<I", data, value)
        elif operation == 0x06:
            verdicts: dict[int, str | int] = {0x7FFF0000: ALLOWED, 0x80000000: KILLED}
            return verdicts.get(value) or value & 0xFFFF
        else:
            holds = {0x15: accumulator == value, 0x35: accumulator >= value, 0x45: bool(accumulator & value)}[operation]
            place += held if holds else not_held


class SystemCallsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.x86, self.arm = system_calls("x86_64"), system_calls("aarch64")

    def test_everyday_calls(self) -> None:
        """What programs live by is allowed: read, write, accept4, futex, mmap, execve."""
        for number in (0, 1, 288, 202, 9, 59):
            self.assertEqual(verdict(self.x86, X86, number), ALLOWED)
        for number in (63, 64, 242, 98, 222, 221):
            self.assertEqual(verdict(self.arm, ARM, number), ALLOWED)

    def test_missing(self) -> None:
        """memfd_create, clone3 and io_uring are not there."""
        for number in (319, 435, 425):
            self.assertEqual(verdict(self.x86, X86, number), errno.ENOSYS)
        for number in (279, 435, 425):
            self.assertEqual(verdict(self.arm, ARM, number), errno.ENOSYS)

    def test_clone(self) -> None:
        """Processes and threads may be made, namespaces may not."""
        for flags, expected in ((17, ALLOWED), (0x3D0F00, ALLOWED), (0x10000000 | 17, errno.EACCES), (0x20000 | 17, errno.EACCES)):
            self.assertEqual(verdict(self.x86, X86, 56, (flags,)), expected)
            self.assertEqual(verdict(self.arm, ARM, 220, (flags,)), expected)

    def test_dialling(self) -> None:
        """An Internet address is not bound, which is no asking which interfaces there are; nothing is dialled or disconnected."""
        for size, expected in ((12, ALLOWED), (15, ALLOWED), (16, errno.EACCES), (28, errno.EACCES), (0xFFFFFFFF, errno.EACCES)):
            self.assertEqual(verdict(self.x86, X86, 49, (3, 0, size)), expected)
            self.assertEqual(verdict(self.arm, ARM, 200, (3, 0, size)), expected)
        for size in (2, 12, 16, 110):
            self.assertEqual(verdict(self.x86, X86, 42, (3, 0, size)), errno.EACCES)
            self.assertEqual(verdict(self.arm, ARM, 203, (3, 0, size)), errno.EACCES)

    def test_sessions(self) -> None:
        """A session of its own would have a share of the processor of its own."""
        self.assertEqual((verdict(self.x86, X86, 112), verdict(self.arm, ARM, 157)), (errno.EPERM, errno.EPERM))

    def test_buffers(self) -> None:
        """Who asks for larger buffers of a socket is told that it has them; other options are set."""
        for option, expected in ((7, 0), (8, 0), (2, ALLOWED), (15, ALLOWED), (1, ALLOWED)):
            self.assertEqual(verdict(self.x86, X86, 54, (3, 1, option)), expected)
            self.assertEqual(verdict(self.arm, ARM, 208, (3, 1, option)), expected)

    def test_fast_open(self) -> None:
        """A send that would dial is refused, by each of the three; others are not."""
        for call, place in ((44, 3), (46, 2), (307, 3)):
            for flags, expected in ((0, ALLOWED), (0x4040, ALLOWED), (0x20000000, errno.EACCES), (0x20004000, errno.EACCES)):
                self.assertEqual(verdict(self.x86, X86, call, (*[0] * place, flags)), expected)

    def test_other_ways_in(self) -> None:
        """Who calls as another machine is killed; x86_64's second set of numbers is not there."""
        self.assertEqual(verdict(self.x86, 0x40000003, 4), KILLED)
        self.assertEqual(verdict(self.x86, X86, 0x40000000 | 42), errno.ENOSYS)

    def test_unknown_machine(self) -> None:
        """A machine whose numbers we do not know has no filter."""
        self.assertEqual(system_calls("vax"), b"")

    @given(st.integers(0, 0xFFFFFFFF), st.lists(st.integers(0, 2**64 - 1), max_size=6))
    def test_always_ends(self, number: int, arguments: list[int]) -> None:
        """Whatever is called, the filter comes to an end, and to one of these."""
        for code, architecture in ((self.x86, X86), (self.arm, ARM)):
            self.assertIn(verdict(code, architecture, number, tuple(arguments)), (ALLOWED, errno.ENOSYS, errno.EACCES, errno.EPERM, 0))
