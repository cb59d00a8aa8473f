"""What can be found at a micro game service: each kind's name for programs, what it is in words, and what to do about it."""

from __future__ import annotations

from typing import Final

import attrs

DIFFERS, RESTARTED, SPELLING = "differs", "differs_after_restart", "spelling"
SILENT, CLOSED, DIED, UNREADABLE, FLOODS = "no_answer", "closed", "ended", "unreadable", "floods"
REQUEST, SEQUENCE, VIEW = "request", "sequence", "view"
CONNECTIONS, PIECES, TOGETHER, IN_FLIGHT, CUT, FIELD = "one_connection", "pieces", "together", "in_flight", "cut", "unknown_field"
UNREACHABLE, NOT_STARTED, STARTS, RULES = "unreachable", "not_started", "starts_rejected", "rules_fail"
FAILED, TWICE, CODE, REASON, QUICK, AT_END, EMPTY = "rules_failed", "twice", "code", "message", "quick_timer", "at_end", "empty_state"
RECORDED, UNTRIED, SLOW, LARGE, BROKEN_OFF = "recorded", "untried", "slow", "large_state", "broken_off"


@attrs.frozen
class Kind:
    """One kind of finding."""

    what: str
    advice: str
    wrong: bool = True
    """False: it works, but is odd."""


KINDS: Final[dict[str, Kind]] = {
    UNREACHABLE: Kind("It cannot be reached.", "Start it, and see to it that it listens where it was looked for."),
    NOT_STARTED: Kind(
        "Its program cannot be started, or ended before it answered anything.",
        "What it wrote is above, each line behind a |. It is to go on until it is ended: with the kit, serve(update) is its last line. "
        "Descriptor 3 is its listening socket (LISTEN_FDS=1), its working folder is the bundle, and it sees the system's programs only.",
    ),
    DIFFERS: Kind(
        "It is no function: the same update had two answers.",
        "An answer may depend on the update alone: randomness from `seed`, the time from `now_ms`, and all that is to be known later in `state`. "
        "Variables of the program are shared by all rooms and forgotten when it is started anew.",
    ),
    RESTARTED: Kind(
        "It is no function: the same update had another answer after the program was started anew.",
        "It keeps something in a variable that belongs in `state`, or goes by an order that each start makes anew, as that of a set "
        "or of hash(): sort before you go through it.",
    ),
    SPELLING: Kind(
        "The same update had two answers that mean the same and are spelled differently.",
        "Write JSON with sorted keys, protocol buffers deterministically, and go through sets and maps in a sorted order.",
    ),
    DIED: Kind(
        "The program ends at an update.",
        "All rooms of the version wait while it is started anew, and the update is sent again, so it ends again. "
        "Answer what you cannot take by `rejected` with code 105, whatever comes.",
    ),
    CLOSED: Kind(
        "It closes the connection instead of answering.",
        "The update is sent again on another connection, and again. Answer what you cannot take by `rejected` with code 105, whatever comes.",
    ),
    SILENT: Kind(
        "It does not answer.",
        "The update is sent again, and after a minute the room is paused. Answer each update, what you cannot take by `rejected` with code 105.",
    ),
    UNREADABLE: Kind(
        "What it sends is no answer.",
        "An answer is 4 bytes of length (unsigned, network order) and a GameState of game.proto, within its limits. "
        "What is not counts as no answer, and the connection is closed.",
    ),
    FLOODS: Kind("It sends answers without end.", "Answer each update once, and nothing unasked."),
    REQUEST: Kind(
        "An answer has a `request` that is not its update's.", "Copy `request` of the update into the answer, on the connection that it came by."
    ),
    SEQUENCE: Kind(
        "An answer has a `sequence` that is not its update's.",
        "Copy `sequence` of the update into the answer. An answer of another number counts as none, and the connection is closed.",
    ),
    VIEW: Kind("A view is for a seat that nobody has.", "It is dropped. Give views to the seats of this update's `players` only."),
    CONNECTIONS: Kind(
        "It serves one connection at a time.",
        "gameroom has up to 8 open to a service, for as long as rooms are played. Take each as it comes: a thread or a task for each.",
    ),
    PIECES: Kind(
        "An update that comes in pieces is not answered.",
        "A stream has no messages: read on until all 4 bytes of length and then that many bytes are there.",
    ),
    TOGETHER: Kind(
        "Of two updates that come in one piece not both are answered.",
        "A stream has no messages: what is behind the first update's last byte is the next one's first.",
    ),
    IN_FLIGHT: Kind(
        "It fails when several updates are on their way, and not when the same ones come one by one.",
        "Many rooms share a connection. Answers may come in any order, but each whole: two threads must not write into each other.",
    ),
    CUT: Kind(
        "It does not get over the end of a connection.",
        "Connections come and go, in the midst of an update where a daemon is killed. End that connection alone, and go on with the others.",
    ),
    FIELD: Kind(
        "An update with a field that it does not know is not answered.",
        "game.proto grows by fields. Pass over those that you do not know, as libraries do by themselves.",
    ),
    STARTS: Kind("Every start was rejected.", "A rejected `started` puts the room back in WAITING, so no play ever begins."),
    RULES: Kind(
        "Its rules fail at what happens in every game.",
        "What it wrote about that is above, each line behind a |. Its kit has made a rejection of it: nothing changes, and players are told no more "
        "than that the rules failed.",
    ),
    FAILED: Kind(
        "Its rules failed at what no page of yours sends, which its kit has made a rejection of.",
        "What it wrote about that is above, each line behind a |. Members can send anything: look at what came before you use it.",
        wrong=False,
    ),
    TWICE: Kind("An update was answered more than once.", "The first answer counts. Answer each request once.", wrong=False),
    CODE: Kind(
        "A rejected update has a code that its sender is not told.", "100, 102, 103, 104 and 105 are told as they are, any other as 105.", wrong=False
    ),
    REASON: Kind(
        "The message of a rejected update is not shown as it is.",
        "It is for the member who sent the update: one line of 1 to 500 characters that says what to do.",
        wrong=False,
    ),
    QUICK: Kind(
        "A timer is wanted sooner than timers are looked at.",
        "They are looked at every 100 ms. 0 takes a timer back; none at all leaves the one before.",
        wrong=False,
    ),
    AT_END: Kind("A timer is wanted of a play that is over.", "Nothing comes after `finished` but the next play's `started`.", wrong=False),
    EMPTY: Kind("A state is empty.", "The next update then comes with an empty state, as only a start should: is `state` filled in?", wrong=False),
    RECORDED: Kind(
        "It answers otherwise than was recorded.", "That is fine where the rules were changed since. Rooms go on with the new ones.", wrong=False
    ),
    UNTRIED: Kind(
        "No message of yours was accepted, so little of the game was seen.",
        "Say what its players send: --message '{\"move\": 3}', as often as you like, or --updates with a recorded file.",
        wrong=False,
    ),
    SLOW: Kind("It is slow.", "Each update of a room waits for the one before, and people feel what takes longer than 100 ms.", wrong=False),
    LARGE: Kind("A state is large.", "It goes over the wire and to the disk with each update, and over 1 MiB it counts as no answer.", wrong=False),
    BROKEN_OFF: Kind("Too much went wrong, so not all was asked.", "Mend what is above and check again.", wrong=False),
}
