"""Makes `twistd gameroom` known."""

from twisted.application.service import ServiceMaker

gameroom = ServiceMaker("gameroom", "gameroom.tap", "Accounts, a lobby and rooms for multiplayer games.", "gameroom")
