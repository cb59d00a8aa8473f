"""The web door: REST, pages and room sockets on one port."""

from gameroom.doors.web.site import WebSite

__all__ = ["WebSite"]
