"""Commands that speak to a server: a reactor for as long as one runs, one line for what went wrong, and Ctrl-C.

Exit status 1: the server, or a check before it, said no. 2: it could not be asked. 130: Ctrl-C. 141: nobody reads what is printed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn

import click
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import react

from gameroom.cli.output import shown
from gameroom.client.lines import ConnectionFailed
from gameroom.errors import GameroomError, RateLimited, ServerError

REFUSED, FAILED, INTERRUPTED, UNREAD = 1, 2, 130, 141
Main = Callable[[Any], Coroutine[Deferred[Any], Any, None]]


class CannotDo(Exception):
    """What was asked for cannot be done from here; one line that says what to do instead. Exit status 2."""


def carry_out(main: Main) -> NoReturn:
    """Run `main(reactor)` and exit. Ctrl-C cancels what it waits for, and it may tidy up before the program ends."""
    react(whole, (main,))


def whole(reactor: Any, main: Main) -> Deferred[None]:
    """Fires when it is done; fails with `SystemExit` where it is not to be exit status 0."""
    running = Deferred.fromCoroutine(_told(main(reactor)))

    def shut_down() -> Deferred[None]:
        ended: Deferred[None] = Deferred()
        running.addBoth(_pass_on, ended)
        running.cancel()
        return ended

    reactor.addSystemEventTrigger("before", "shutdown", shut_down)
    return running


def _pass_on(result: Any, ended: Deferred[None]) -> Any:
    ended.callback(None)
    return result


async def _told(running: Coroutine[Deferred[Any], Any, None]) -> None:
    try:
        await running
    except CancelledError:
        raise SystemExit(INTERRUPTED) from None
    except GameroomError as error:
        say_wrong(told(error))
        raise SystemExit(REFUSED) from None
    except (ConnectionFailed, CannotDo) as error:
        say_wrong(str(error))
        raise SystemExit(FAILED) from None
    except BrokenPipeError:
        # Who reads what we print, such as `head`, has had enough. What is still to be flushed at the end is nobody's, too.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
        raise SystemExit(UNREAD) from None


def say_wrong(message: str) -> None:
    """One line for people, on standard error."""
    click.echo(f"gameroom: {shown(message)}", err=True)


def told(error: GameroomError) -> str:
    """What the server said, and what to do about it where it cannot know that a command line asked."""
    if isinstance(error, RateLimited) and error.retry_after:
        return f"{error.message} (in {error.retry_after:.0f} s)"
    if isinstance(error, ServerError) and error.incident:
        return f"{error.message} (incident {error.incident} in the server's log)"
    return error.message
