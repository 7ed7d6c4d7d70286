"""Joining two stream connections: what one sends, the other gets, under backpressure."""

from __future__ import annotations

import asyncio


class Side(asyncio.Protocol):
    """One of the two connections; holds back what arrives before it is joined to the other."""

    def __init__(self) -> None:
        self._other: asyncio.Transport | None = None
        self._early: list[bytes] = []
        self._at_end = False

    def meet(self, other: asyncio.Transport) -> None:
        """Send what has arrived to the other connection from now on."""
        self._other = other
        for data in self._early:
            other.write(data)
        self._early.clear()
        if self._at_end:
            other.write_eof()

    def data_received(self, data: bytes) -> None:
        """Pass it on."""
        if self._other is None:
            self._early.append(data)
        else:
            self._other.write(data)

    def eof_received(self) -> bool:
        """Pass the end on; the other direction stays open."""
        self._at_end = True
        if self._other is not None and not self._other.is_closing():
            self._other.write_eof()
        return True

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
    """Connect the two both ways."""
    a_side.meet(b)
    b_side.meet(a)
