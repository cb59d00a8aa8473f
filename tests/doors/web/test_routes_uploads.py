"""gameroom.doors.web.routes_uploads: uploads in raw chunks."""

from __future__ import annotations

import hashlib
from typing import Any

from tests.doors.web.test_routes_developer import DeveloperCase
from tests.doors.web.world import read_responses, request


class UploadTests(DeveloperCase):
    """One upload."""

    def setUp(self) -> None:
        super().setUp()
        self.game = self.new_game()
        self.data = bytes(range(250)) * 4

    def begin(self, **fields: Any) -> str:
        body = {"version": "1.0.0", "size_bytes": len(self.data), **fields}
        response = self.developer_asks("POST", f"/games/{self.game}/uploads", body)
        self.assertEqual(response.status, 201, response)
        upload = f"/uploads/{response.json['upload_id']}"
        self.assertEqual(response.headers["location"], f"/developer{upload}")
        return upload

    def test_flow(self) -> None:
        """Begin, chunks, status, end: the version is there, with the bytes that were sent."""
        checksum = hashlib.sha256(self.data).hexdigest()
        upload = self.begin(checksum=f"sha256:{checksum}")
        for seq in range(4):
            self.assertEqual(self.chunk(upload, seq, self.data[250 * seq : 250 * (seq + 1)]).status, 204)
            self.assertEqual(self.developer_asks("GET", upload).json, {"next_seq": seq + 1, "received_bytes": 250 * (seq + 1), "size_bytes": 1000})
        ended = self.developer_asks("POST", f"{upload}/end")
        self.assertEqual((ended.status, ended.json), (200, {"version": "1.0.0", "is_latest": True}))
        latest = self.world.ask("GET", f"/games/{self.game}/versions/latest").json
        self.assertEqual(latest, {"version": "1.0.0", "size_bytes": 1000, "checksum": checksum, "hosting": "relay", "page": False})
        self.problem(self.developer_asks("GET", upload), 409, 105)

    def test_chunk_size(self) -> None:
        """The largest chunks are suggested, unless other ones are asked for."""
        for asked, told in ((None, 262_144), (1000, 1000), (10**9, 262_144)):
            body = {"version": "1.0.0", "size_bytes": 10, **({} if asked is None else {"chunk_size": asked})}
            self.assertEqual(self.developer_asks("POST", f"/games/{self.game}/uploads", body).json["chunk_size"], told)

    def test_taken_up(self) -> None:
        """The same version with the same size and checksum goes on; another is 104."""
        upload = self.begin()
        self.chunk(upload, 0, self.data[:7])
        self.assertEqual(self.begin(), upload)
        self.problem(self.developer_asks("POST", f"/games/{self.game}/uploads", {"version": "1.0.0", "size_bytes": 999}), 409, 104)

    def test_out_of_order(self) -> None:
        """Another chunk than the next is 120, and the document says which that is; the same again is fine."""
        upload = self.begin()
        self.assertEqual(self.chunk(upload, 0, b"abc").status, 204)
        for seq, data in ((2, b"x"), (10**15, b"x"), (0, b"abd")):
            self.assertEqual(self.problem(self.chunk(upload, seq, data), 409, 120)["expected_seq"], 1)
        self.assertEqual(self.chunk(upload, 0, b"abc").status, 204)
        self.assertEqual(self.developer_asks("GET", upload).json["received_bytes"], 3)

    def test_several_under_way(self) -> None:
        """With `Prefer: wait` chunks on several connections are taken in order, whichever is here first."""
        upload = self.begin()
        peers = []
        for seq in (3, 1, 2, 0):
            peers.append(self.world.peer())
            headers = {"Content-Type": "application/octet-stream", "Prefer": "wait=5"}
            data = self.data[250 * seq : 250 * (seq + 1)]
            peers[-1].raw(request("PUT", f"/developer{upload}/chunks/{seq}", data, token=self.dev, headers=headers))
        self.assertEqual([read_responses(peer.take())[0].status for peer in peers], [204] * 4)
        self.assertEqual(self.developer_asks("POST", f"{upload}/end").status, 200)
        latest = self.world.ask("GET", f"/games/{self.game}/versions/latest").json
        self.assertEqual(latest["checksum"], hashlib.sha256(self.data).hexdigest())

    def test_bodies(self) -> None:
        """A chunk is 1 to 262,144 raw bytes: no JSON, no form, no number that is none."""
        upload = self.begin()
        self.problem(self.chunk(upload, 0, b""), 400, 100)
        self.problem(self.chunk(upload, 0, b"x" * 262_145), 400, 100)
        for media_type in ("application/json", "multipart/form-data; boundary=x", "text/plain"):
            self.problem(self.chunk(upload, 0, b"{}", **{"Content-Type": media_type}), 415, 100)
        for seq in ("-1", "x", "1e3", str(2**53)):
            self.problem(self.chunk(upload, seq, b"x"), 400, 100)  # type: ignore[arg-type]
        self.problem(self.chunk(upload, 0, b"x" * 1001), 409, 105)
        self.assertEqual(self.developer_asks("GET", upload).json["received_bytes"], 0)

    def test_begin_fields(self) -> None:
        """What is wrong with BEGIN is 100 with a pointer into the body."""
        cases: list[tuple[dict[str, Any], str]] = [
            ({"size_bytes": 0}, "/size_bytes"),
            ({"size_bytes": "10"}, "/size_bytes"),
            ({"checksum": "z" * 64}, "/checksum"),
            ({"checksum": "ab"}, "/checksum"),
            ({"chunk_size": 0}, "/chunk_size"),
            ({"data": 1}, "/data"),
        ]
        for fields, pointer in cases:
            body = {"version": "1.0.0", "size_bytes": 10, **fields}
            response = self.developer_asks("POST", f"/games/{self.game}/uploads", body)
            self.assertEqual(self.problem(response, 400, 100)["pointer"], pointer)
        self.problem(self.developer_asks("POST", f"/games/{self.game}/uploads", {"version": "../1", "size_bytes": 10}), 400, 100)

    def test_end(self) -> None:
        """Bytes are missing: 105, and it goes on. Other bytes than declared: 121, and it is dropped."""
        upload = self.begin(checksum="0" * 64)
        self.chunk(upload, 0, self.data[:500])
        self.problem(self.developer_asks("POST", f"{upload}/end"), 409, 105)
        self.chunk(upload, 1, self.data[500:])
        self.problem(self.developer_asks("POST", f"{upload}/end"), 422, 121)
        self.problem(self.developer_asks("GET", upload), 409, 105)

    def test_faulty_bundle(self) -> None:
        """A ZIP that is broken is 100 with what is wrong, and dropped."""
        self.data = b"PK\x03\x04" + b"x" * 100
        upload = self.begin()
        self.chunk(upload, 0, self.data)
        self.problem(self.developer_asks("POST", f"{upload}/end"), 400, 100)
        self.problem(self.developer_asks("GET", upload), 409, 105)
        self.problem(self.world.ask("GET", f"/games/{self.game}/versions/latest"), 404, 103)

    def test_cancel(self) -> None:
        """An upload that was given up is gone, and its version free."""
        upload = self.begin()
        self.assertEqual(self.developer_asks("DELETE", upload).status, 204)
        self.problem(self.chunk(upload, 0, b"x"), 409, 105)
        self.problem(self.developer_asks("DELETE", upload), 409, 105)
        self.assertNotEqual(self.begin(), upload)

    def test_listed(self) -> None:
        """One's own unfinished uploads, of one game where it is named; an unknown game is 103, another developer's 102."""
        upload = self.begin()
        self.chunk(upload, 0, b"abc")
        another = self.new_game(name="Another")
        listed = self.developer_asks("GET", f"/uploads?game_id={self.game}").json["uploads"]
        [begun_at] = [each.pop("begun_at") for each in listed]
        self.assertRegex(begun_at, r"^\d{4}-\d\d-\d\dT.*Z$")
        expected = {"upload_id": upload.rpartition("/")[2], "game_id": self.game, "version": "1.0.0"}
        self.assertEqual(listed, [{**expected, "size_bytes": 1000, "received_bytes": 3, "next_seq": 1}])
        self.assertEqual(len(self.developer_asks("GET", "/uploads").json["uploads"]), 1)
        self.assertEqual(self.developer_asks("GET", f"/uploads?game_id={another}").json, {"uploads": []})
        other = self.world.developer("oscar")
        self.assertEqual(self.developer_asks("GET", "/uploads", None, other).json, {"uploads": []})
        self.problem(self.developer_asks("GET", f"/uploads?game_id={self.game}", None, other), 403, 102)
        self.problem(self.developer_asks("GET", "/uploads?game_id=nope"), 404, 103)
        self.problem(self.developer_asks("GET", "/uploads?game_id="), 400, 100)
        self.problem(self.world.ask("GET", "/developer/uploads"), 401, 101)

    def test_somebody_elses(self) -> None:
        """Another developer's upload is 102 in every way."""
        upload = self.begin()
        other = self.world.developer("oscar")
        for method, path, body in (("GET", "", None), ("DELETE", "", None), ("POST", "/end", None), ("PUT", "/chunks/0", b"x")):
            self.problem(self.developer_asks(method, f"{upload}{path}", body, other), 403, 102)
        self.assertEqual(self.developer_asks("GET", upload).json["next_seq"], 0)
