"""Makes `twistd --reactor=gameroom` known."""

from twisted.application.reactors import Reactor

gameroom_reactor = Reactor("gameroom", "gameroom.reactor", "gameroom's lean epoll(7) reactor: epoll with quicker TCP connections.")
