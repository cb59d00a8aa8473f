"""Which build this is."""

from __future__ import annotations

from importlib.machinery import EXTENSION_SUFFIXES, ModuleSpec
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from gameroom.build import OF_EACH_PACKET, build


class BuildTests(SynchronousTestCase):
    def test_a_checkout(self) -> None:
        """What runs from a checkout is plain Python: no compiled module lies beside its source, where it would hide what is changed."""
        self.assertEqual(build(), "python")

    def test_compiled(self) -> None:
        """Where the interpreter would take a compiled module, the build is one."""
        spec = ModuleSpec(OF_EACH_PACKET, None, origin=f"/x/turns{EXTENSION_SUFFIXES[0]}")
        with mock.patch("gameroom.build.find_spec", return_value=spec) as found:
            self.assertEqual(build(), "compiled")
        found.assert_called_once_with(OF_EACH_PACKET)
