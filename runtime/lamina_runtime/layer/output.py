"""Files that are written from front to back."""

import os

HOLE = 64 << 10  # runs of zeros that are left out of a file
_ZEROS = bytes(HOLE)


class Output:
    """A file that is written in order, with holes for long runs of zeros.

    The first `stored` bytes are in the file already and are passed over.
    """

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.offset = self.stored = 0

    def write(self, data: bytes) -> None:
        """Take the next bytes."""
        start = min(len(data), max(0, self.stored - self.offset))
        for at in range(start, len(data) - HOLE + 1, HOLE):
            if data[at] == 0 and data[at + HOLE // 2] == 0 and data[at : at + HOLE] == _ZEROS:
                self._write(data, start, at)
                start = at + HOLE
        self._write(data, start, len(data))
        self.offset += len(data)

    def _write(self, data: bytes, start: int, end: int) -> None:
        with memoryview(data) as view:
            while start < end:
                start += os.pwrite(self.fd, view[start:end], self.offset + start)

    def end(self) -> None:
        """Give the file its size, should it end with a hole or have been longer."""
        if os.fstat(self.fd).st_size != self.offset:
            os.ftruncate(self.fd, self.offset)
