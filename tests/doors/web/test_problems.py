"""gameroom.doors.web.problems: errors as documents and as pages."""

from __future__ import annotations

import orjson
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from twisted.trial.unittest import SynchronousTestCase

from gameroom import errors
from gameroom.doors.web.problems import HttpProblem, problem_of
from gameroom.doors.web.schemas import SCHEMAS
from tests.doors.web.world import read_responses


class ProblemTests(SynchronousTestCase):
    """Documents."""

    def test_each_error(self) -> None:
        """Every status code has its document, of the declared schema, with the HTTP status of the table."""
        found = {}
        for error in (
            errors.InvalidRequest("x", pointer="/a"),
            errors.Unauthorized("x"),
            errors.Forbidden("x"),
            errors.NotFound("x"),
            errors.Conflict("x"),
            errors.BadState("x"),
            errors.RateLimited("x", retry_after=1.2),
            errors.ServerError(incident="5e0a7f0e-8a37-4f2e-8f5f-3f6d0d7b8f11"),
            errors.ChunkOutOfOrder("x", expected_seq=3),
            errors.ChecksumMismatch("x"),
        ):
            problem = problem_of(error)
            Draft202012Validator(SCHEMAS["Problem"]).validate(problem.document)
            self.assertEqual(orjson.loads(problem.body), problem.document)
            found[problem.document["code"]] = problem.status
        self.assertEqual(found, {100: 400, 101: 401, 102: 403, 103: 404, 104: 409, 105: 409, 106: 429, 120: 409, 121: 422, 199: 500})

    def test_extras(self) -> None:
        """A pointer, the seconds to wait (whole ones in the header, never too few), and the incident; nobody else has them."""
        self.assertEqual(problem_of(errors.InvalidRequest("x", pointer="/a")).document["pointer"], "/a")
        limited = problem_of(errors.RateLimited("x", retry_after=1.2))
        self.assertEqual((limited.document["retry_after"], limited.headers), (1.2, {"Retry-After": "2"}))
        self.assertEqual(problem_of(errors.RateLimited("x", retry_after=0.01)).headers, {"Retry-After": "1"})
        self.assertEqual(problem_of(errors.ServerError(incident="i")).document["incident"], "i")
        self.assertEqual(problem_of(errors.ChunkOutOfOrder("x", expected_seq=3)).document["expected_seq"], 3)
        self.assertEqual(set(problem_of(errors.NotFound("x")).document), {"type", "title", "status", "detail", "code"})

    def test_page(self) -> None:
        """A page says the same, and nothing in it is taken for HTML."""
        page = problem_of(errors.NotFound("no <script>alert(1)</script> & such")).page()
        self.assertIn(b"no &lt;script&gt;alert(1)&lt;/script&gt; &amp; such", page)

    def test_whole_response(self) -> None:
        """A refusal before the request is read is a response of its own, and the last."""
        [response] = read_responses(HttpProblem(413, "too long").as_response())
        self.assertEqual((response.status, response.json["detail"], response.headers["connection"]), (413, "too long", "close"))
