"""gameroom: one daemon that gives a multiplayer game everything on the server side."""

__version__ = "0.1.0"
