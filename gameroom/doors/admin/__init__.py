"""The admin door: what operators and their monitoring ask the daemon.

It stands in another Twisted program with three lines:

    metrics = Metrics()
    site = AdminSite(ready=lambda: succeed(None), metrics=metrics, clock=reactor)
    serverFromString(reactor, "tcp:9090:interface=127.0.0.1").listen(site)

See docs/operations.md.
"""

from gameroom.doors.admin.site import AdminSite

__all__ = ["AdminSite"]
