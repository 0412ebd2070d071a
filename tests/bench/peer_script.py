"""A program of one file that prints how many milliseconds it waits for its first process, or for the first result of its pool of two."""

import multiprocessing
import sys
from time import perf_counter


def increment(n):
    return n + 1


def process():
    child = multiprocessing.Process(target=increment, args=(1,))
    child.start()
    child.join()


def pool():
    with multiprocessing.Pool(2) as workers:
        workers.map(increment, [1, 2])


if __name__ == "__main__":
    multiprocessing.set_start_method("spawn")
    start = perf_counter()
    {"process": process, "pool": pool}[sys.argv[1]]()
    print((perf_counter() - start) * 1e3)
