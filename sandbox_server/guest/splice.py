"""Joining two stream connections: what one sends, the other gets, under backpressure."""

from __future__ import annotations

import asyncio


class Side(asyncio.Protocol):
    """One of the two connections; holds back what arrives before it is joined to the other."""

    def __init__(self) -> None:
        self._other: asyncio.Transport | None = None
        self._far: Side
        self._early: list[bytes] = []
        self.at_end = False

    def meet(self, other: asyncio.Transport, far: Side) -> None:
        """Send what has arrived to the other connection from now on."""
        self._other, self._far = other, far
        if not other.is_closing():
            for data in self._early:
                other.write(data)
            if self.at_end:
                other.write_eof()
        self._early.clear()

    def data_received(self, data: bytes) -> None:
        """Pass it on."""
        if self._other is None:
            self._early.append(data)
        else:
            self._other.write(data)

    def eof_received(self) -> bool:
        """Pass the end on; the other direction stays open until it ends as well."""
        self.at_end = True
        if self._other is None:
            return True
        if not self._other.is_closing():
            self._other.write_eof()
        # Nothing more can come, so nothing would close the two. uvloop keeps no reference to a transport that does not
        # read; one that is collected with its write_eof() under way is freed twice, and this process with it.
        return not self._far.at_end

    def connection_lost(self, exc: Exception | None) -> None:
        """Close the other connection, after what is still to be written."""
        if self._other is not None:
            self._other.close()

    def pause_writing(self) -> None:
        """This connection is slow: read the other no further."""
        if self._other is not None and not self._other.is_closing():
            self._other.pause_reading()

    def resume_writing(self) -> None:
        """It has caught up."""
        if self._other is not None and not self._other.is_closing():
            self._other.resume_reading()


def join(a: asyncio.Transport, a_side: Side, b: asyncio.Transport, b_side: Side) -> None:
    """Connect the two both ways. They close together: when both have ended, or one is lost."""
    a_side.meet(b, b_side)
    b_side.meet(a, a_side)
    if a.is_closing() or b.is_closing() or (a_side.at_end and b_side.at_end):
        a.close()
        b.close()
