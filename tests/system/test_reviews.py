"""What was acknowledged of reviews and downloads is there after `kill -9`."""

from __future__ import annotations

from tests.system.harness import DaemonMaker
from tests.system.lobby import LobbyPeer
from tests.system.store import fetch, upload


def test_kept_over_a_kill(make_daemon: DaemonMaker) -> None:
    """A review that was answered, and who has heard the end of a download: killed at once after it, nothing is lost."""
    daemon = make_daemon(settings={"store": {"reviews": "players"}})
    game_id = upload(daemon, b"game" * 10_000)
    review = {"game_id": game_id, "score": 4, "comment": "Fine.\nReally."}
    for number in range(3):
        with LobbyPeer(daemon.lobby_port) as peer:
            token = peer.register()
            assert peer.ask("ADD_REVIEW", review, token)["code"] == 102
            assert fetch(peer, game_id, token).whole
            daemon.kill9()
        daemon.start()
        with LobbyPeer(daemon.lobby_port) as peer:
            assert peer.good("ADD_REVIEW", {**review, "score": 3 + number % 2}, token) == {}
            daemon.kill9()
        daemon.start()
    with LobbyPeer(daemon.lobby_port) as peer:
        reviews = peer.good("LIST_REVIEWS", {"game_id": game_id}, token)["reviews"]
        assert [each["score"] for each in reviews] == [3, 4, 3]
        assert peer.good("LIST_GAMES", {}, token)["games"][0]["avg_score"] == 3.33
