"""Many random operations on shared names: `python -m tests.load.stress ROOT`.

After SGI's fsstress.  Threads of one process run the operations of the differential tests
without comparing them: in a race most errors are right answers.  A few never are.
"""

import argparse
import random
import sys
import threading

from tests.differential import handles as _handles  # noqa: F401 - enters its verbs
from tests.differential.deviations import inner
from tests.differential.generate import Generator
from tests.differential.operations import Op, Outcome, Tree, perform

# ESTALE and ELOOP are none of them: a name that is exchanged between lookup and open gives the
# first, symlinks that were made at random the second.
BROKEN = {"EIO", "ENOTCONN", "ECONNABORTED", "EFAULT", "ENOSYS", "ENOMEM", "EMFILE", "ENFILE"}
OBSERVE_EVERY = 100


def work(root: str, seed: str, steps: int, broken: list[tuple[Op, Outcome]]) -> None:
    """Do `steps` operations below `root`."""
    generator = Generator(random.Random(seed))
    tree = Tree(root)
    for step in range(steps):
        if step % OBSERVE_EVERY == 0:
            generator.observe(root)
        op = generator.next()
        while op[0] == "as_user":  # ids belong to the whole process, not to a thread
            op = op[-1]
        if inner(op)[0] == "mmap_write":
            continue  # others truncate the file under the mapping: SIGBUS, and rightly so
        outcome = perform(tree, op)
        generator.learn(op, outcome)
        if outcome[0] == "errno" and outcome[1] in BROKEN:
            broken.append((op, outcome))
    tree.drop_all()


def main() -> int:
    """Run the threads; status 1 if an operation failed as none should."""
    parser = argparse.ArgumentParser(prog="tests.load.stress", description=__doc__)
    parser.add_argument("root")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=1000, help="of one thread")
    parser.add_argument("--threads", type=int, default=3)
    options = parser.parse_args()
    broken: list[tuple[Op, Outcome]] = []
    threads = [
        threading.Thread(target=work, args=(options.root, f"{options.seed}/{n}", options.steps, broken))
        for n in range(options.threads)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for op, outcome in broken[:10]:
        sys.stderr.write(f"seed {options.seed}: {op!r}: {outcome}\n")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
