"""gameroom.rules.usernames"""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from gameroom.errors import InvalidRequest
from gameroom.rules.usernames import FORBIDDEN, any_name, is_ours, password, plain_text, shown_name, skeleton, username

OVERRIDES = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


class UsernameTests(SynchronousTestCase):
    """The names of accounts."""

    def test_case_is_shown_and_does_not_count(self):
        """The form typed is what is shown; the key is in lower case, full-width letters being ordinary ones."""
        name = username("ＡｌＩｃｅ_9")
        self.assertEqual((name.shown, name.key), ("ＡｌＩｃｅ_9", "alice_9"))

    def test_composed_and_decomposed_are_one(self):
        """Names that differ in normalization alone have one key."""
        self.assertEqual(username("Zoe\u0308").key, username("zo\u00eb").key)

    def test_length_counts_after_precis(self):
        """3 to 32 characters of the prepared form, not of the typed one, so 64 typed code points can be 32."""
        for text in ("abc", "a" * 32, "e\u0301" * 32, "日本語"):
            self.assertEqual(username(text).shown, text)
        for text in ("", "ab", "a" * 33, "e\u0301" * 33, "e\u0301e\u0301", "a" * 500_000):
            with self.assertRaises(InvalidRequest) as caught:
                username(text)
            self.assertTrue(caught.exception.message)

    def test_ours(self):
        """The name of the developer whose games ship with the daemon is known in whatever it is dressed."""
        for text in ("gameroom", "GAMEROOM", "ｇameroom", "g\u0430meroom", "garneroom", "gamer00m"):
            self.assertTrue(is_ours(username(text)), text)
        for text in ("gamerooms", "game-room", "gamer"):
            self.assertFalse(is_ours(username(text)), text)

    def test_folders_stay_folders(self):
        """No name climbs or names a device: neither dots alone nor the signs that paths and shells read."""
        for text in (".", "..", "a b c", "../../etc", *(f"ab{sign}c" for sign in FORBIDDEN), "ab\uff0fc", "ab\uff1ac"):
            self.assertRaises(InvalidRequest, username, text)

    def test_nothing_unseen(self):
        """Controls, overrides, invisible and unassigned characters and lone surrogates are refused."""
        for char in ("\0", "\n", "\x7f", "\u200b", "\u00ad", "\ufeff", "\u2028", "\ud800", "\uffff", "\u3164", *OVERRIDES):
            self.assertRaises(InvalidRequest, username, f"ali{char}ce")

    def test_mixed_directions(self):
        """A right-to-left name obeys the Bidi Rule of RFC 5893, so it reads one way everywhere."""
        self.assertEqual(username("שלום").key, "שלום")
        self.assertRaises(InvalidRequest, username, "abcשלום")

    @given(st.text(max_size=40))
    def test_any_text(self, text):
        """Whatever text comes, it is a name whose key is its own key, or refused as 100."""
        try:
            name = username(text)
        except InvalidRequest:
            return
        self.assertEqual(username(name.key).key, name.key)
        self.assertIn(len(name.key), range(3, 33))
        self.assertTrue(set(username(name.key).skeletons) <= set(name.skeletons))


class SkeletonTests(SynchronousTestCase):
    """Names that look alike."""

    def alike(self, one, other):
        return bool(set(any_name(one).skeletons) & set(any_name(other).skeletons))

    def test_look_alikes(self):
        """Letters of other scripts, digits for letters, two for one, and accents put on in another order."""
        for one, other in [
            ("paypal", "p\u0430ypal"),
            ("scope", "\u0455\u0441\u043e\u0440\u0435"),
            ("ljeto", "\u01c9eto"),
            ("milk", "rnilk"),
            ("a\u0323\u0302bc", "\u1ead\u0062c"),
            ("so\u0337s", "\u0073\u00f8s"),
            ("ali\u200dce", "alice"),
        ]:
            self.assertTrue(self.alike(one, other), (one, other))

    def test_different(self):
        """Names that nobody takes for one another are not alike."""
        for one, other in [("alice", "alise"), ("anna", "änna"), ("бобик", "bobik"), ("日本人", "日木人")]:
            self.assertFalse(self.alike(one, other), (one, other))

    def test_capitals_are_seen(self):
        """What is shown counts as well as the key: Cyrillic capitals that read BOB are taken for bob."""
        self.assertTrue(self.alike("\u0412\u041e\u0412", "bob"))
        self.assertFalse(self.alike("\u0432\u043e\u0432", "bob"))

    def test_prototypes_are_unicodes(self):
        """Spot checks of Unicode's table: source to prototype, of one character and of several."""
        for source, prototype in [("\u0430", "a"), ("m", "rn"), ("1", "l"), ("0", "O"), ("\u2160", "l"), ("\ufb01", "fi"), ("\u05ad", "\u0596")]:
            self.assertEqual(skeleton(source), prototype)

    @given(st.text(max_size=40))
    def test_equivalent_texts(self, text):
        """A skeleton is the same for every normalization of a text, is normalized, and is its own skeleton."""
        found = skeleton(text)
        self.assertEqual(found, skeleton(unicodedata.normalize("NFC", text)))
        self.assertEqual(found, unicodedata.normalize("NFD", found))
        self.assertEqual(found, skeleton(found))

    def test_guests_names_are_compared_too(self):
        """What no account could be called still has a key and a look."""
        name = any_name(" Al ice! ")
        self.assertEqual(name.key, " al ice! ")
        self.assertTrue(name.skeletons)


class PasswordTests(SynchronousTestCase):
    """Passwords by PRECIS OpaqueString."""

    def test_lengths(self):
        """8 to 1024 characters, counted after preparation; no more than that is worth looking at."""
        self.assertEqual(password("x" * 8), "x" * 8)
        self.assertEqual(password("x" * 1024), "x" * 1024)
        self.assertEqual(len(password("e\u0301" * 1024)), 1024)
        for text in ("", "x" * 7, "e\u0301" * 7, "x" * 1025, "e\u0301" * 1025, "x" * 5_000_000):
            error = self.assertRaises(InvalidRequest, password, text)
            self.assertIn("8 to 1024", error.message)

    def test_one_password_however_typed(self):
        """Accents in either form and any space are the same; case and width are not touched."""
        self.assertEqual(password("pa\u0301sswo\u3000rd"), password("p\u00e1sswo rd"))
        self.assertNotEqual(password("Password"), password("password"))
        self.assertNotEqual(password("ｐassword"), password("password"))

    def test_controls(self):
        """Control characters are refused with their reason."""
        for text in ("pass\0word", "pass\nword", "pass\ud800word"):
            error = self.assertRaises(InvalidRequest, password, text)
            self.assertIn("control", error.message)


class ShownNameTests(SynchronousTestCase):
    """The names of guests."""

    def test_trimmed(self):
        """Spaces around are cut, those inside are one."""
        self.assertEqual(shown_name("  Ann \u3000 Lee "), "Ann Lee")

    def test_lengths(self):
        """1 to 24 characters that can be seen."""
        self.assertEqual(shown_name("x"), "x")
        self.assertEqual(shown_name("e\u0301" * 24), "\u00e9" * 24)
        for text in ("", "   ", "\u200b", "\u3164\ufe0f", "x" * 25, "x" * 1_000_000):
            self.assertRaises(InvalidRequest, shown_name, text)

    def test_emoji(self):
        """A guest may be a family of emoji."""
        self.assertEqual(shown_name("\U0001f468\u200d\U0001f469\u200d\U0001f467 ❤\ufe0f"), "\U0001f468\u200d\U0001f469\u200d\U0001f467 ❤\ufe0f")

    def test_controls(self):
        """No control character, line break, surrogate or change of direction."""
        for char in ("\0", "\n", "\t", "\x1b", "\x85", "\u2028", "\u2029", "\ud800", "\u200f", "\u061c", *OVERRIDES):
            self.assertRaises(InvalidRequest, shown_name, f"a{char}b")

    @given(st.text(max_size=60))
    def test_any_text(self, text):
        """Whatever comes is refused as 100 or shown the same when shown again."""
        try:
            name = shown_name(text)
        except InvalidRequest:
            return
        self.assertEqual(shown_name(name), name)
        self.assertEqual(name, name.strip())


class PlainTextTests(SynchronousTestCase):
    """Chat and comments."""

    def test_limit(self):
        """So many characters and no more; none at all is fine."""
        self.assertEqual(plain_text("", 5), "")
        self.assertEqual(plain_text("äöü€\U0001f600", 5), "äöü€\U0001f600")
        self.assertRaises(InvalidRequest, plain_text, "123456", 5)

    def test_newlines(self):
        """LF is for those who ask for it; CRLF becomes LF, and CR alone is a control character."""
        self.assertEqual(plain_text("a\r\nb\nc", 5, newlines=True), "a\nb\nc")
        self.assertRaises(InvalidRequest, plain_text, "a\nb", 5)
        self.assertRaises(InvalidRequest, plain_text, "a\rb", 5, newlines=True)

    def test_controls(self):
        """No terminal escapes and no overrides; marks that right-to-left writing needs may stay."""
        for char in ("\0", "\x1b", "\x7f", "\x9b", "\u2028", "\ud800", *OVERRIDES):
            self.assertRaises(InvalidRequest, plain_text, f"a{char}b", 5)
            self.assertRaises(InvalidRequest, plain_text, f"a{char}b", 5, newlines=True)
        self.assertEqual(plain_text("a\u200f", 5), "a\u200f")
