"""The code of Python's children. It is not in peer.py, because spawn imports the module of its target, and the import of anything else should not be measured."""

import os
import signal
from multiprocessing.connection import Listener
from time import perf_counter

KEY = bytes(32)

def nothing():
    pass


def increment(n):
    return n + 1


def same(value):
    return value


def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)


def work():
    end = perf_counter() + 0.5
    while perf_counter() < end:
        pass


def pid(_):
    return os.getpid()


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def echo(connection):
    while True:
        connection.send(connection.recv())


def drain(connection):
    """Receives a count, then that many messages, then acknowledges; again and again, so one child serves all samples."""
    while True:
        count = connection.recv()
        for _ in range(count):
            connection.recv()
        connection.send(count)


def drain_bytes(connection):
    while True:
        count = connection.recv()
        for _ in range(count):
            connection.recv_bytes()
        connection.send(count)


def drain_bytes_into(connection):
    buffer = bytearray(16 * 1024 * 1024)
    while True:
        count = connection.recv()
        for _ in range(count):
            connection.recv_bytes_into(buffer)
        connection.send(count)


def queue_echo(there, back):
    while True:
        back.put(there.get())


def queue_fill(orders, queue, value):
    while True:
        for _ in range(orders.get()):
            queue.put(value)


def queue_drain(orders, queue, done):
    while True:
        count = orders.get()
        for _ in range(count):
            queue.get()
        done.put(count)


def queue_turns(orders, there, back, done):
    while True:
        count = orders.get()
        for _ in range(count):
            there.put(1)
            back.get()
        done.put(count)


def listen(family, found, handle):
    with Listener(family=family, authkey=KEY, backlog=64) as listener:
        found.send(listener.address)
        while True:
            with listener.accept() as connection:
                try:
                    handle(connection)
                except EOFError:
                    pass


def value_add(orders, done, value):
    while True:
        count = orders.get()
        for _ in range(count):
            with value.get_lock():
                value.value += 1
        done.put(count)


def array_sum(orders, done, array):
    half = len(array) // 2
    numbers = memoryview(array).cast("B").cast("d")
    while True:
        n = orders.get()
        done.put(sum(numbers[n * half : (n + 1) * half]))


def contend(lock, start, done, times):
    while True:
        start.wait()
        start.clear()
        for _ in range(times):
            with lock:
                pass
        done.set()


def answer(there, back):
    while True:
        there.wait()
        there.clear()
        back.set()
