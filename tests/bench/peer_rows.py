"""Python's side of each benchmark row: its unit and a function that takes samples.

A row's name, unit and load are the contract with the row of the same name in the TypeScript modules. KB and MB are powers of 1024.
"""

import math
import multiprocessing
import pathlib
import pickle
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from itertools import cycle
from multiprocessing.connection import Client, wait
from multiprocessing.managers import BaseManager
from multiprocessing import shared_memory
from statistics import median
from time import perf_counter

import peer_tasks

BUDGET = 0.4  # seconds for which one request measures, approximately
FEWEST = 3  # the least number of samples
BATCH = 0.05  # seconds: long enough that reading the clock does not count

KB = 1024
MB = 1024 * KB

# glibc maps every large block anew until a block of that size was freed. Without this line, pickling and loading 1 MB takes 420 us in a fresh process,
# and 33 us after a row that has freed more. A result must not depend on the rows before it, so Python always gets the better case.
bytes(31 * MB)

fork = multiprocessing.get_context("fork")
forkserver = multiprocessing.get_context("forkserver")
forkserver.set_forkserver_preload([peer_tasks.__name__])
spawn = multiprocessing.get_context("spawn")


def record(i):
    return {"id": i, "name": "item", "ok": True, "tags": ["a", "b"]}


def timed(operation):
    start = perf_counter()
    operation()
    return perf_counter() - start


def sampled(sample):
    sample()
    samples = []
    end = perf_counter() + BUDGET
    while len(samples) < FEWEST or perf_counter() < end:
        samples.append(sample())
    return samples


def per_call(operation):
    """Microseconds for one call, each sample the mean of a batch."""

    def batch(calls):
        start = perf_counter()
        for _ in range(calls):
            operation()
        return perf_counter() - start

    calls = 1
    while batch(calls) < BATCH:
        calls *= 2
    return sampled(lambda: batch(calls) / calls * 1e6)


def start(context):
    """The first sample, which is dropped, starts the forkserver."""

    def sample():
        process = context.Process(target=peer_tasks.nothing)
        process.start()
        process.join()

    return sampled(lambda: timed(sample) * 1e3)


def script(what):
    """Runs a separate program, as users do."""
    command = [sys.executable, str(pathlib.Path(__file__).with_name("peer_script.py")), what]
    return sampled(lambda: float(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout))


@contextmanager
def open_pool():
    with fork.Pool(2) as pool:
        yield pool
    pool.join()


def pool_apply():
    with open_pool() as pool:
        return per_call(lambda: pool.apply(peer_tasks.increment, (1,)))


def pool_map(count, chunksize):
    items = list(range(count))
    with open_pool() as pool:
        return sampled(lambda: count / timed(lambda: pool.map(peer_tasks.increment, items, chunksize)))


def pool_burst(count=20_000):
    """Takes one sample only, because it takes seconds."""

    def burst():
        for future in [pool.submit(peer_tasks.increment, n) for n in range(count)]:
            future.result()

    with ProcessPoolExecutor(2, mp_context=fork) as pool:
        list(pool.map(peer_tasks.increment, range(100)))
        return [count / timed(burst)]


def pool_imap(count=20_000):
    with open_pool() as pool:
        return sampled(lambda: count / timed(lambda: sum(pool.imap_unordered(peer_tasks.increment, range(count)))))


def pool_bytes():
    value = bytes(MB)
    with open_pool() as pool:
        return per_call(lambda: pool.apply(peer_tasks.same, (value,)))


def pool_fib(count=8):
    """Few tasks, because each takes a fifth of a second."""
    with open_pool() as pool:
        return [count / timed(lambda: pool.map(peer_tasks.fib, [30] * count, 1))]


def pool_factorial(count=100_000):
    """Takes one sample only, because it takes seconds."""
    with open_pool() as pool:
        pool.map(math.factorial, [1000] * 100)
        return [count / timed(lambda: pool.map(math.factorial, [1000] * count))]


def pool_grow():
    """An executor of processes that are spawned starts one when a task finds none idle."""
    with ProcessPoolExecutor(2, mp_context=spawn) as pool:
        pool.submit(peer_tasks.nothing).result()

        def both():
            for future in [pool.submit(peer_tasks.work) for _ in range(2)]:
                future.result()

        return [(timed(both) - 0.5) * 1e3]


def pool_recover():
    """Uses the executor, because `Pool` loses the task for ever. A death breaks the whole executor, and the user makes another one."""
    pools = [ProcessPoolExecutor(1, mp_context=fork)]

    def recover():
        try:
            pools[-1].submit(peer_tasks.die).result()
        except BrokenProcessPool:
            pools.append(ProcessPoolExecutor(1, mp_context=fork))
        pools[-1].submit(peer_tasks.increment, 1).result()

    def sample():
        taken = timed(recover)
        pools.pop(0).shutdown()
        return taken * 1e3

    pools[0].submit(peer_tasks.increment, 1).result()
    try:
        return sampled(sample)
    finally:
        pools.pop().shutdown()


def private_memory(pid):
    """Megabytes that the end of a process would free; see processes.ts."""
    with open(f"/proc/{pid}/smaps_rollup") as rollup:
        fields = (line.split() for line in rollup)
        return sum(int(field[1]) for field in fields if field[0] in ("Private_Clean:", "Private_Dirty:")) / 1024


def pool_memory():
    with spawn.Pool(4) as pool:
        pids = set(pool.map(peer_tasks.pid, range(64), 1))
        samples = [private_memory(pid) for pid in pids]
    pool.join()
    return samples


@contextmanager
def open_link(target):
    ours, theirs = fork.Pipe(duplex=True)
    child = fork.Process(target=target, args=(theirs,), daemon=True)
    child.start()
    theirs.close()
    try:
        yield ours
    finally:
        child.terminate()
        child.join()
        ours.close()


def link_rtt():
    with open_link(peer_tasks.echo) as link:

        def turn():
            link.send(1)
            link.recv()

        return per_call(turn)


def send_all(link, count, send, value):
    link.send(count)
    for _ in range(count):
        send(value)
    link.recv()


def link_throughput(value, count=20_000):
    with open_link(peer_tasks.drain) as link:
        return sampled(lambda: count / timed(lambda: send_all(link, count, link.send, value)))


def link_bytes(size, total, drain=peer_tasks.drain_bytes):
    count = total // size
    value = bytes(size)
    with open_link(drain) as link:
        return sampled(lambda: total / MB / timed(lambda: send_all(link, count, link.send_bytes, value)))


@contextmanager
def open_queues(count, *children):
    """Makes queues, and a child for each target, which receives the queues with the given numbers, and values."""
    queues = [fork.Queue() for _ in range(count)]
    processes = [
        fork.Process(target=target, args=(*(queues[n] for n in numbers), *values), daemon=True)
        for target, numbers, values in children
    ]
    for process in processes:
        process.start()
    try:
        yield queues
    finally:
        for process in processes:
            process.terminate()
            process.join()
        for queue in queues:
            queue.cancel_join_thread()
            queue.close()


def queue_rtt():
    with open_queues(2, (peer_tasks.queue_echo, (0, 1), ())) as (there, back):

        def turn():
            there.put(1)
            back.get()

        return per_call(turn)


def queue_throughput(value, count=20_000):
    def take(orders, queue):
        orders.put(count)
        for _ in range(count):
            queue.get()

    with open_queues(2, (peer_tasks.queue_fill, (0, 1), (value,))) as queues:
        return sampled(lambda: count / timed(lambda: take(*queues)))


def queue_get(count=20_000):
    def give(orders, queue, done):
        orders.put(count)
        for _ in range(count):
            queue.put(1)
        done.get()

    with open_queues(3, (peer_tasks.queue_drain, (0, 1, 2), ())) as queues:
        return sampled(lambda: count / timed(lambda: give(*queues)))


def queue_siblings(calls=1_000):
    def turn(orders, done):
        orders.put(calls)
        done.get()

    echo = (peer_tasks.queue_echo, (1, 2), ())
    turns = (peer_tasks.queue_turns, (0, 1, 2, 3), ())
    with open_queues(4, echo, turns) as (orders, _, _, done):
        return sampled(lambda: timed(lambda: turn(orders, done)) / calls * 1e6)


def queue_siblings_throughput(count=20_000):
    def move(filling, draining, done):
        filling.put(count)
        draining.put(count)
        done.get()

    fill = (peer_tasks.queue_fill, (0, 3), (1,))
    drain = (peer_tasks.queue_drain, (1, 3, 2), ())
    with open_queues(4, fill, drain) as (filling, draining, done, _):
        return sampled(lambda: count / timed(lambda: move(filling, draining, done)))


@contextmanager
def open_listener(family, target):
    """Returns the address of a child that handles each connection with the target."""
    mine, theirs = fork.Pipe(False)
    process = fork.Process(target=peer_tasks.listen, args=(family, theirs, target), daemon=True)
    process.start()
    try:
        yield mine.recv()
    finally:
        process.terminate()
        process.join()


@contextmanager
def open_client(family, target):
    with open_listener(family, target) as address, Client(address, authkey=peer_tasks.KEY) as connection:
        yield connection


def client_rtt(family):
    with open_client(family, peer_tasks.echo) as connection:

        def turn():
            connection.send(1)
            connection.recv()

        return per_call(turn)


def client_connect(family):
    with open_listener(family, peer_tasks.echo) as address:

        def turn():
            with Client(address, authkey=peer_tasks.KEY) as connection:
                connection.send(1)
                connection.recv()

        return per_call(turn)


def client_throughput(family, count=20_000):
    with open_client(family, peer_tasks.drain) as connection:
        return sampled(lambda: count / timed(lambda: send_all(connection, count, connection.send, 1)))


def client_bytes(size, total, family):
    count = total // size
    value = bytes(size)
    with open_client(family, peer_tasks.drain_bytes) as connection:
        return sampled(lambda: total / MB / timed(lambda: send_all(connection, count, connection.send_bytes, value)))


def client_rows():
    for name, family in (("unix", "AF_UNIX"), ("tcp", "AF_INET")):
        yield f"client.rtt.{name}", ("us", partial(client_rtt, family))
        yield f"client.connect.{name}", ("us", partial(client_connect, family))
        yield f"client.throughput.{name}", ("messages/s", partial(client_throughput, family))
        yield f"client.throughput.stream.{name}", ("messages/s", partial(client_throughput, family))
        yield f"client.bytes.1MB.{name}", ("MB/s", partial(client_bytes, MB, 128 * MB, family))
        yield f"client.bytes.16MB.{name}", ("MB/s", partial(client_bytes, 16 * MB, 128 * MB, family))
class Maths:
    def add(self, x, y):
        return x + y


class Managers(BaseManager):
    pass


Managers.register("Maths", Maths)


def manager_dict(operation):
    with fork.Manager() as manager:
        entries = manager.dict({n: n for n in range(1000)})
        count = iter(range(1 << 60))
        return per_call(lambda: operation(entries, next(count)))


def manager_call():
    with Managers(ctx=fork) as manager:
        maths = manager.Maths()
        return per_call(lambda: maths.add(1, 2))


def value_add():
    value = fork.Value("i", 0)

    def add():
        with value.get_lock():
            value.value += 1

    return per_call(add)


def value_contended(count=100_000):
    value = fork.Value("i", 0)

    def add(orders, done):
        value.value = 0
        for _ in range(2):
            orders.put(count)
        for _ in range(2):
            done.get()
        assert value.value == 2 * count

    children = [(peer_tasks.value_add, (0, 1), (value,))] * 2
    with open_queues(2, *children) as queues:
        return sampled(lambda: 2 * count / timed(lambda: add(*queues)))


def shm_create(size, name=None, fill=False):
    def create():
        block = shared_memory.SharedMemory(name, create=True, size=size)
        if fill:
            block.buf[:] = ones
        block.close()
        block.unlink()

    ones = bytes([1]) * size if fill else b""
    return per_call(create)


def shm_bandwidth(size=64 * MB):
    block = shared_memory.SharedMemory(create=True, size=size)
    ones, twos = bytes([1]) * size, bytes([2]) * size
    block.buf[:] = twos

    def copy():
        block.buf[:] = ones

    try:
        return sampled(lambda: size / MB / timed(copy))
    finally:
        block.close()
        block.unlink()


def array_sum(length=4 * MB):
    array = fork.RawArray("d", length)
    memoryview(array).cast("B").cast("d")[:] = memoryview(bytes(8 * length)).cast("d")
    array[0] = 0.5

    def both(orders, done):
        orders.put(0)
        orders.put(1)
        assert done.get() + done.get() == 0.5

    children = [(peer_tasks.array_sum, (0, 1), (array,))] * 2
    with open_queues(2, *children) as queues:
        return sampled(lambda: timed(lambda: both(*queues)) * 1e3)


def codec(value):
    return per_call(lambda: pickle.loads(pickle.dumps(value, protocol=5)))


def lock_uncontended():
    lock = multiprocessing.Lock()

    def pair():
        lock.acquire()
        lock.release()

    return per_call(pair)


@contextmanager
def open_other(target, *args):
    process = spawn.Process(target=target, args=args, daemon=True)
    process.start()
    try:
        yield
    finally:
        process.terminate()
        process.join()


def lock_contended(times=5_000):
    lock, start, done = spawn.Lock(), spawn.Event(), spawn.Event()

    def both():
        done.clear()
        start.set()
        for _ in range(times):
            with lock:
                pass
        done.wait()

    with open_other(peer_tasks.contend, lock, start, done, times):
        return sampled(lambda: 2 * times / timed(both))


def event_wakeup():
    there, back = spawn.Event(), spawn.Event()

    def turn():
        there.set()
        back.wait()
        back.clear()

    with open_other(peer_tasks.answer, there, back):
        return per_call(turn)


def wait_many(count, open_one):
    """One of many objects is ready when Python begins to wait, because Python has no fiber that could wait before."""
    opened = [open_one() for _ in range(count)]
    readers = [reader for reader, _, _ in opened]
    turns = cycle(opened)

    def turn():
        _, wake, rest = next(turns)
        wake()
        wait(readers)
        rest()

    return per_call(turn)


def wait_pipe():
    reader, writer = spawn.Pipe(False)
    return reader, partial(writer.send, 1), reader.recv


def wait_queue():
    queue = spawn.SimpleQueue()
    return queue._reader, partial(queue.put, 1), queue.get


ROWS = {
    "process.start.cold": ("ms", partial(start, spawn)),
    "process.start.script": ("ms", partial(script, "process")),
    "process.start.standby": ("ms", partial(start, forkserver)),
    "pool.start.script": ("ms", partial(script, "pool")),
    "pool.apply": ("us", pool_apply),
    "pool.map.chunk1": ("items/s", partial(pool_map, 10_000, 1)),
    "pool.map.auto": ("items/s", partial(pool_map, 1_000_000, None)),
    "pool.burst": ("tasks/s", pool_burst),
    "pool.imap": ("items/s", pool_imap),
    "pool.bytes": ("us", pool_bytes),
    "pool.fib": ("tasks/s", pool_fib),
    "pool.factorial": ("tasks/s", pool_factorial),
    "pool.grow": ("ms", pool_grow),
    "pool.recover": ("ms", pool_recover),
    "pool.memory": ("MB", pool_memory),
    "link.rtt": ("us", link_rtt),
    "link.throughput.int": ("messages/s", partial(link_throughput, 1)),
    "link.throughput.object": ("messages/s", lambda: link_throughput(record(1))),
    "link.throughput.1KB": ("messages/s", lambda: link_throughput(bytes(KB))),
    "link.bytes.1MB": ("MB/s", partial(link_bytes, MB, 128 * MB)),
    "link.bytes.16MB": ("MB/s", partial(link_bytes, 16 * MB, 128 * MB)),
    "lock.uncontended": ("us", lock_uncontended),
    "lock.contended": ("items/s", lock_contended),
    "event.wakeup": ("us", event_wakeup),
    "queue.rtt": ("us", queue_rtt),
    "queue.throughput.int": ("items/s", partial(queue_throughput, 1)),
    "queue.throughput.object": ("items/s", lambda: queue_throughput(record(1))),
    "queue.throughput.1KB": ("items/s", lambda: queue_throughput(bytes(KB))),
    "queue.get": ("items/s", queue_get),
    "queue.siblings": ("us", queue_siblings),
    "queue.siblings.throughput": ("items/s", queue_siblings_throughput),
    **{f"wait.many.pipe.{count}": ("us", partial(wait_many, count, wait_pipe)) for count in (10, 100, 1000)},
    **{f"wait.many.queue.{count}": ("us", partial(wait_many, count, wait_queue)) for count in (10, 100, 1000)},
    "manager.dict.set": ("us", lambda: manager_dict(lambda entries, n: entries.__setitem__(n % 1000, n))),
    "manager.dict.get": ("us", lambda: manager_dict(lambda entries, n: entries[n % 1000])),
    "manager.call": ("us", manager_call),
    "pipe.rtt": ("us", link_rtt),
    "pipe.bytes.1MB": ("MB/s", partial(link_bytes, MB, 128 * MB)),
    "pipe.bytes.16MB": ("MB/s", partial(link_bytes, 16 * MB, 128 * MB)),
    "pipe.bytes.into.1MB": ("MB/s", partial(link_bytes, MB, 128 * MB, peer_tasks.drain_bytes_into)),
    "pipe.bytes.into.16MB": ("MB/s", partial(link_bytes, 16 * MB, 128 * MB, peer_tasks.drain_bytes_into)),
    **dict(client_rows()),
    "value.atomicAdd": ("us", value_add),
    "value.contended": ("items/s", value_contended),
    "shm.create": ("us", partial(shm_create, 4096)),
    "shm.create.named": ("us", partial(shm_create, 4096, "mp_bench_python")),
    "shm.create.filled": ("us", partial(shm_create, 16 * MB, None, True)),
    "shm.bandwidth": ("MB/s", shm_bandwidth),
    "array.sum": ("ms", array_sum),
    "codec.int": ("us", partial(codec, 1)),
    "codec.object": ("us", lambda: codec(record(1))),
    "codec.array": ("us", lambda: codec(list(range(10_000)))),
    "codec.bytes1MB": ("us", lambda: codec(bytes(MB))),
    "codec.records": ("us", lambda: codec([record(i) for i in range(1000)])),
}


def answer(request):
    try:
        name = request["name"]
    except (KeyError, TypeError):
        return {"error": f'Cannot read a request: expected {{"name": ...}}, received {request!r}'}
    if name not in ROWS:
        return {"name": name, "error": f"Cannot measure {name!r}: Python has no such row"}
    unit, take = ROWS[name]
    try:
        samples = take()
    except Exception as error:
        return {"name": name, "error": f"Cannot measure {name!r}: {error!r}"}
    return {"name": name, "unit": unit, "value": median(samples), "samples": samples}
