"""Our SQL, read as far as it must be."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from gameroom.store import migrations
from gameroom.store.sql import for_psycopg2, statements


class TranslationTests(SynchronousTestCase):
    """`:name` becomes what psycopg2 reads, and nothing else changes."""

    def test_names(self) -> None:
        """Names are translated wherever an expression may stand, with digits and underscores, up to whatever ends them."""
        self.assertEqual(for_psycopg2("SELECT :a, (:b_2)+:c WHERE x=:d"), "SELECT %(a)s, (%(b_2)s)+%(c)s WHERE x=%(d)s")

    def test_casts(self) -> None:
        """`::` is a cast; what it is applied to may be a parameter."""
        self.assertEqual(for_psycopg2("SELECT '1'::int, :n::bigint, a::text"), "SELECT '1'::int, %(n)s::bigint, a::text")

    def test_literals_and_comments(self) -> None:
        """Names in literals, quoted identifiers and comments stay, a doubled quote does not end a literal."""
        sql = """SELECT 'it''s :a', ":b", :c -- :d it's\n /* :e ' */ FROM t WHERE x = ':f' || :g"""
        self.assertEqual(for_psycopg2(sql), sql.replace(":c", "%(c)s").replace(":g", "%(g)s"))

    def test_percent(self) -> None:
        """psycopg2 wants every percent sign doubled, in literals and comments too."""
        self.assertEqual(for_psycopg2("SELECT 5 % :n, '100%' -- %"), "SELECT 5 %% %(n)s, '100%%' -- %%")

    @given(st.text("a:'\"-/*%\n ", max_size=30))
    def test_percent_law(self, sql: str) -> None:
        """Whatever stands there: filling in the parameters by their names gives the statement back."""
        translated = for_psycopg2(sql)
        names = re.findall(r":([A-Za-z_][A-Za-z0-9_]*)", sql)
        self.assertEqual(translated % {name: f":{name}" for name in names}, sql)


class StatementTests(SynchronousTestCase):
    """A script's statements."""

    def test_split(self) -> None:
        """Semicolons in literals and comments end nothing; empty statements and comments alone are none."""
        script = "-- first; of all\nCREATE TABLE a (k TEXT DEFAULT ';');;\n/* ; */\nINSERT INTO a VALUES ('--x');\n-- the end;\n"
        self.assertEqual(list(statements(script)), ["CREATE TABLE a (k TEXT DEFAULT ';')", "INSERT INTO a VALUES ('--x')"])

    def test_last_without_semicolon(self) -> None:
        """The last statement may go without."""
        self.assertEqual(list(statements("SELECT 1;SELECT 2")), ["SELECT 1", "SELECT 2"])


class SchemaTests(SynchronousTestCase):
    """The files of `schema/`."""

    def test_numbers(self) -> None:
        """They are numbered from 1 without a gap, so that none was forgotten in a release and no two have one number."""
        numbers = [migration.number for migration in migrations.ours()]
        self.assertEqual(numbers, list(range(1, len(numbers) + 1)))
        self.assertGreaterEqual(len(numbers), 3)
