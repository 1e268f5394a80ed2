"""The pages that are open: a session each, which ends when its page is gone."""

import secrets
from threading import Lock
from time import monotonic

from fastmlp.playground.live import LiveNetwork
from fastmlp.playground.missions import Progress
from fastmlp.playground.own_table import OwnTable
from fastmlp.playground.state import LIMITS


class Gone(LookupError):
    """There is no such session, or no longer."""


class TooMany(RuntimeError):
    """There are as many sessions as there may be."""


class Session:
    """What one page looks at.

    Attributes
    ----------
    networks : list of LiveNetwork
        One, or two side by side.
    progress : Progress
        What they have come to, for the missions.
    lock : Lock
        Held while a request is answered: networks are for one thread at a time.
    """

    def __init__(self, own: OwnTable | None) -> None:
        self.own = own
        self.networks: list[LiveNetwork] = []
        self.progress = Progress()
        self.lock = Lock()
        self.last_seen = monotonic()


class Sessions:
    """All sessions, by their names."""

    def __init__(self, own: OwnTable | None) -> None:
        self.own = own
        self._sessions: dict[str, Session] = {}
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._sessions)

    def open(self) -> str:
        """A new session; returns its name.

        Raises
        ------
        TooMany
            There is no room for it.
        """
        self.end_idle()
        with self._lock:
            if len(self._sessions) >= LIMITS["sessions"]:
                raise TooMany(f"{LIMITS['sessions']} pages are open. Close one of them.")
            name = secrets.token_urlsafe(12)
            self._sessions[name] = Session(self.own)
            return name

    def find(self, name: object) -> Session:
        """The session of this name, whose page has just been heard of.

        Raises
        ------
        Gone
            There is none.
        """
        self.end_idle()
        with self._lock:
            session = self._sessions.get(name) if isinstance(name, str) else None
            if session is None:
                raise Gone("The session has ended. Reload the page.")
            session.last_seen = monotonic()
            return session

    def close(self, name: object) -> None:
        """End a session, if it is there."""
        with self._lock:
            if isinstance(name, str):
                self._sessions.pop(name, None)

    def end_idle(self) -> None:
        """End the sessions whose pages have been silent; those at work are not."""
        earliest = monotonic() - LIMITS["idle_seconds"]
        with self._lock:
            for name, session in list(self._sessions.items()):
                if session.last_seen < earliest and not session.lock.locked():
                    del self._sessions[name]
