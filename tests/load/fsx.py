"""Exercise one file at random against a model in memory: `python -m tests.load.fsx PATH`.

After Apple's fsx.  Every read, by read(2), mapping, another name or direct I/O, must give what
the model says.  Status 1 and the last operations on stderr otherwise.  With `--stripe I/N` N
processes share a file: each owns every N-th odd-sized stripe and leaves the size alone.
"""

import argparse
import collections
import errno
import mmap
import os
import random
import sys

from tests.differential import calls

MAX_SIZE = 300_000
MAX_LENGTH = 60_000
STRIPE = 10_007  # not a multiple of a page: neighbours share pages
BLOCK = 4096
REMEMBERED = 25


class Mismatch(AssertionError):
    """The file is not what it should be."""


class Exerciser:
    """One file, its model, and the descriptor that changes reach it through."""

    def __init__(self, path: str, alias: str | None, rng: random.Random) -> None:
        self.path = path
        self.alias = alias
        self.rng = rng
        self.history: collections.deque[str] = collections.deque(maxlen=REMEMBERED)
        with open(path, "rb") as file:
            self.model = bytearray(file.read())
        self.fd = os.open(path, os.O_RDWR)

    def step(self) -> None:
        """Do one random thing."""
        actions = (
            (8, self.read),
            (8, self.write),
            (2, self.append),
            (3, self.truncate),
            (3, self.map_read),
            (3, self.map_write),
            (2, self.punch),
            (1, self.allocate),
            (2, self.copy),
            (1, self.reopen),
            (1, self.sync),
            (1, self.direct),
            (2, self.read_alias),
        )
        action = self.rng.choices([a for _, a in actions], [w for w, _ in actions])[0]
        action()
        size = os.fstat(self.fd).st_size
        if size != len(self.model):
            raise Mismatch(f"size is {size}, should be {len(self.model)}")

    def _note(self, text: str) -> None:
        self.history.append(text)

    def _range(self, limit: int) -> tuple[int, int]:
        offset = self.rng.randrange(max(1, limit))
        return offset, self.rng.randrange(1, MAX_LENGTH)

    def _expect(self, found: bytes, offset: int, length: int, how: str) -> None:
        expected = bytes(self.model[offset : offset + length])
        if found != expected:
            pairs = enumerate(zip(found, expected, strict=False))
            where = next((i for i, (a, b) in pairs if a != b), min(len(found), len(expected)))
            raise Mismatch(f"{how} at {offset}+{length}: wrong from {offset + where} on ({len(found)} bytes)")

    def _put(self, offset: int, data: bytes) -> None:
        if offset > len(self.model):
            self.model.extend(bytes(offset - len(self.model)))
        self.model[offset : offset + len(data)] = data

    def read(self) -> None:
        """Read through the descriptor."""
        offset, length = self._range(len(self.model))
        self._note(f"read {offset} {length}")
        self._expect(os.pread(self.fd, length, offset), offset, length, "read")

    def read_alias(self) -> None:
        """Read through a descriptor of its own, by another name if there is one."""
        fd = os.open(self.alias or self.path, os.O_RDONLY)
        self._note("read all by a fresh open")
        try:
            self._expect(os.pread(fd, MAX_SIZE * 2, 0), 0, MAX_SIZE * 2, "fresh open")
        finally:
            os.close(fd)

    def write(self) -> None:
        """Write through the descriptor, perhaps beyond the end."""
        offset, length = self._range(MAX_SIZE - MAX_LENGTH)
        data = self.rng.randbytes(length)
        self._note(f"write {offset} {length}")
        os.pwrite(self.fd, data, offset)
        self._put(offset, data)

    def append(self) -> None:
        """Append through a descriptor of its own."""
        if len(self.model) > MAX_SIZE:
            return
        data = self.rng.randbytes(self.rng.randrange(1, 5000))
        self._note(f"append {len(data)}")
        fd = os.open(self.path, os.O_WRONLY | os.O_APPEND)
        try:
            os.write(fd, data)
        finally:
            os.close(fd)
        self.model += data

    def truncate(self) -> None:
        """Truncate by descriptor or by name, up or down."""
        size = self.rng.randrange(MAX_SIZE)
        self._note(f"truncate {size}")
        os.truncate(self.fd if self.rng.random() < 0.5 else self.path, size)
        del self.model[size:]
        self.model.extend(bytes(size - len(self.model)))

    def map_read(self) -> None:
        """Read through a mapping."""
        if self.model:
            self._note("map read")
            with mmap.mmap(self.fd, len(self.model), mmap.MAP_SHARED, mmap.PROT_READ) as mapping:
                self._expect(mapping[:], 0, len(self.model), "map read")

    def map_write(self) -> None:
        """Write through a shared mapping, with or without msync."""
        if self.model:
            offset, length = self._range(len(self.model))
            data = self.rng.randbytes(min(length, len(self.model) - offset))
            self._note(f"map write {offset} {len(data)}")
            with mmap.mmap(self.fd, len(self.model), mmap.MAP_SHARED) as mapping:
                mapping[offset : offset + len(data)] = data
                if self.rng.random() < 0.5:
                    mapping.flush()
            self._put(offset, data)

    def _fallocate(self, mode: int, offset: int, length: int) -> bool:
        try:
            calls.fallocate(self.fd, mode, offset, length)
        except OSError as exc:
            if exc.errno != errno.EOPNOTSUPP:
                raise
            return False
        return True

    def punch(self) -> None:
        """Punch a hole."""
        offset, length = self._range(len(self.model))
        self._note(f"punch {offset} {length}")
        if self._fallocate(calls.FALLOC_PUNCH_HOLE | calls.FALLOC_KEEP_SIZE, offset, length):
            end = min(offset + length, len(self.model))
            if offset < end:
                self.model[offset:end] = bytes(end - offset)

    def allocate(self) -> None:
        """Allocate, which may make the file longer."""
        offset, length = self._range(MAX_SIZE - MAX_LENGTH)
        self._note(f"allocate {offset} {length}")
        if self._fallocate(0, offset, length) and offset + length > len(self.model):
            self.model.extend(bytes(offset + length - len(self.model)))

    def copy(self) -> None:
        """Copy a part of the file over another (copy_file_range refuses overlaps)."""
        half = len(self.model) // 2
        if half:
            source, length = self.rng.randrange(half), self.rng.randrange(1, half + 1)
            length = min(length, half - source)
            target = half + self.rng.randrange(half)
            self._note(f"copy {source} {length} to {target}")
            done = os.copy_file_range(self.fd, self.fd, length, source, target)
            self._put(target, bytes(self.model[source : source + done]))

    def reopen(self) -> None:
        """Close and open."""
        self._note("reopen")
        os.close(self.fd)
        self.fd = os.open(self.path, os.O_RDWR)

    def sync(self) -> None:
        """Call fsync or fdatasync."""
        self._note("sync")
        (os.fsync if self.rng.random() < 0.5 else os.fdatasync)(self.fd)

    def direct(self) -> None:
        """Write and read whole blocks past the page cache; buffered readers must see it."""
        try:
            fd = os.open(self.path, os.O_RDWR | os.O_DIRECT)
        except OSError as exc:
            if exc.errno != errno.EINVAL:
                raise
            return
        offset = self.rng.randrange(MAX_SIZE // BLOCK) * BLOCK
        with mmap.mmap(-1, BLOCK) as buffer:
            data = self.rng.randbytes(BLOCK)
            buffer[:] = data
            self._note(f"direct {offset}")
            try:
                os.pwritev(fd, [buffer], offset)
                self._put(offset, data)
                buffer[:] = bytes(BLOCK)
                os.preadv(fd, [buffer], offset)
                self._expect(buffer[:], offset, BLOCK, "direct read")
            finally:
                os.close(fd)
        self._expect(os.pread(self.fd, BLOCK, offset), offset, BLOCK, "read after direct write")


class Striper:
    """One of several processes that share a file; each owns some stripes."""

    def __init__(self, path: str, number: int, of: int, rng: random.Random) -> None:
        self.rng = rng
        self.fd = os.open(path, os.O_RDWR)
        self.history: collections.deque[str] = collections.deque(maxlen=REMEMBERED)
        size = os.fstat(self.fd).st_size
        starts = range(number * STRIPE, size - STRIPE, of * STRIPE)
        self.model = {start: os.pread(self.fd, STRIPE, start) for start in starts}

    def step(self) -> None:
        """Check a stripe, write another."""
        start = self.rng.choice(list(self.model))
        if os.pread(self.fd, STRIPE, start) != self.model[start]:
            raise Mismatch(f"the stripe at {start} is not what its owner wrote")
        start = self.rng.choice(list(self.model))
        data = self.rng.randbytes(STRIPE)
        self.history.append(f"stripe {start}")
        os.pwrite(self.fd, data, start)
        self.model[start] = data


def main() -> int:
    """Run the steps."""
    parser = argparse.ArgumentParser(prog="tests.load.fsx", description=__doc__)
    parser.add_argument("path")
    parser.add_argument("--alias", help="another hard link to the file")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--stripe", help="I/N: share the file")
    options = parser.parse_args()
    rng = random.Random(options.seed)
    exerciser: Exerciser | Striper
    if options.stripe:
        number, of = map(int, options.stripe.split("/"))
        exerciser = Striper(options.path, number, of, rng)
    else:
        exerciser = Exerciser(options.path, options.alias, rng)
    for step in range(options.steps):
        try:
            exerciser.step()
        except (Mismatch, OSError) as exc:
            last = "\n  ".join(exerciser.history)
            sys.stderr.write(f"{options.path}, seed {options.seed}, step {step}: {exc}\n  {last}\n")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
