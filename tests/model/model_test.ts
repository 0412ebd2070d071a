/**
 * The protocols of shared objects, explored in all orders of the steps of several processes, with a death before any
 * step.
 *
 * @module
 */
import { Barrier, type BarrierOutcome, sizeFor as barrierSize } from "../../src/internal/sync/protocol/barrier.ts";
import { Condition, sizeFor as conditionSize } from "../../src/internal/sync/protocol/condition.ts";
import { Event, SIZE as EVENT } from "../../src/internal/sync/protocol/event.ts";
import { Lock, SIZE as LOCK } from "../../src/internal/sync/protocol/lock.ts";
import { BUSY } from "../../src/internal/sync/protocol/monitor.ts";
import { ReadWriteLock, type Side, sizeFor as readersSize } from "../../src/internal/sync/protocol/read_write_lock.ts";
import { Semaphore, sizeFor as semaphoreSize } from "../../src/internal/sync/protocol/semaphore.ts";
import { assert } from "../support/assert.ts";
import { storming, testFunction } from "../support/tier.ts";
import { type Actor, explore, type Model, type World } from "./model.ts";

const test = (name: string, model: Model): void =>
  testFunction(`in all orders: ${name}`, () => {
    const { endings, states } = explore(model);
    if (Deno.env.get("MODEL") !== undefined) console.log(name, { endings, states });
    assert(endings > 0);
  });

// Three models have very many orders, so a quick run explores fewer of them.

/** Maximum number of patrols, which look for the dead. */
const PATROLS = storming ? 2 : 1;

/** Number of times that each process takes a lock. */
const TIMES = storming ? 2 : 1;

// Lock

/** The process in the critical section; 0 if there is none. */
const INSIDE = LOCK;

/** Whether a process died inside. Written for later holders. */
const enter = ({ participants, sure, words }: World, outcome: string): void => {
  const found = words.exchange(INSIDE, participants.self);
  sure(
    found === 0 ? outcome === "held" || outcome === "abandoned" : outcome === "abandoned",
    `${outcome}, but ${found} is inside`,
  );
  if (found !== 0) sure(!participants.alive(found), "two at once");
};

const leave = ({ participants, sure, words }: World): void =>
  sure(words.exchange(INSIDE, 0) === participants.self, "somebody else was inside");

const take = (lock: Lock, world: World): string => {
  if (lock.tryTake()) return lock.abandoned ? "abandoned" : "held";
  let outcome = "";
  lock.wait((result) => outcome = `${result}`);
  world.until(() => outcome !== "");
  return outcome;
};

const section = (lock: Lock, world: World): void => {
  enter(world, take(lock, world));
  leave(world);
  world.sure(lock.release(), "not released");
};

const locker = (slot: number, rounds = 1, more: Partial<Actor> = {}): Actor => ({
  slot,
  run: (world) => {
    const lock = new Lock(world.words, 0, world.participants);
    for (let i = 0; i < rounds; i++) section(lock, world);
  },
  ...more,
});

/** The lock is free, unless its last owner died. */
const free: Model["end"] = (load, dead) => {
  if (!dead.includes(true)) assert(load(0) === 0, `the lock is left ${load(0)}`);
};

test("two processes and a lock, several times each (storm)", {
  words: LOCK + 1,
  actors: [locker(1, TIMES), locker(2, 2)],
  patrols: PATROLS,
  end: free,
});

test("three processes and a lock (full)", {
  words: LOCK + 1,
  actors: [locker(1), locker(33), locker(2, 1, { mortal: false })],
  patrols: 0,
  end: free,
});

/** Registers a wait, and is interrupted at once. */
const quitter = (slot: number): Actor => ({
  slot,
  run: (world) => {
    const lock = new Lock(world.words, 0, world.participants);
    let has = false;
    const leave = lock.wait(() => has = true);
    if (leave()) return;
    world.sure(has, "it neither waits nor has it");
    enter(world, lock.abandoned ? "abandoned" : "held");
    leave_(world, lock);
  },
});

const leave_ = (world: World, lock: Lock): void => {
  leave(world);
  world.sure(lock.release(), "not released");
};

test("a lock, and a process that waits for it and leaves", {
  words: LOCK + 1,
  actors: [locker(1), quitter(2)],
  patrols: 2,
  end: free,
});

test("a lock that is released while two wait for it and leave (full)", {
  words: LOCK + 1,
  begin: (words) => words.store(0, 259 << 8 | 1),
  actors: [quitter(1), quitter(2), {
    slot: 3,
    run: (world) => world.sure(new Lock(world.words, 0, world.participants).release(), "not released"),
  }],
  deaths: 0,
  end: free,
});

test("a lock that is released while one waits for it, and another one leaves", {
  words: LOCK + 1,
  begin: (words) => words.store(0, 259 << 8 | 1),
  actors: [quitter(1), locker(2), {
    slot: 3,
    run: (world) => world.sure(new Lock(world.words, 0, world.participants).release(), "not released"),
  }],
  deaths: 0,
  end: free,
});

test("a lock, and two waiters of one process (full)", {
  words: LOCK + 1,
  actors: [
    locker(1),
    {
      slot: 2,
      run: (world) => {
        const lock = new Lock(world.words, 0, world.participants);
        const outcomes: Array<string> = [];
        for (let i = 0; i < 2; i++) lock.wait((outcome) => outcomes.push(`${outcome}`));
        for (let i = 0; i < 2; i++) {
          world.until(() => outcomes.length > i);
          enter(world, outcomes[i]);
          leave_(world, lock);
        }
      },
    },
  ],
  end: free,
});

test("a lock, and a process that gets the slot of a dead one", {
  words: LOCK + 1,
  actors: [locker(1), locker(2), locker(2, 1, { generation: 2, after: 1, mortal: false })],
  end: free,
});

test("a lock that no longer exists: all its waiters are told", {
  words: LOCK + 2,
  gone: LOCK + 1,
  actors: [1, 2].map((slot): Actor => ({
    slot,
    run: (world) => {
      const lock = new Lock(world.words, 0, world.participants);
      const outcome = take(lock, world);
      if (outcome === "gone") return;
      enter(world, outcome);
      // The maker of the lock closes it, and rings all waiters.
      world.words.store(LOCK + 1, 1);
      world.participants.ring(257);
      world.participants.ring(258);
    },
  })),
});

// Semaphore

const SLOTS = 4;
const SEMAPHORE = semaphoreSize(SLOTS);
const permits = (world: World, reclaim: boolean, bound: number): Semaphore =>
  new Semaphore(world.words, 0, world.participants, { reclaim, bound });

/** Permits in use: living processes count them, in a word each. */
const immortal = { mortal: false };

const user = (slot: number, wanted: number, total: number, more: Partial<Actor> = {}): Actor => ({
  slot,
  run: (world) => {
    const semaphore = permits(world, true, total);
    if (semaphore.tryTake(wanted) !== true) {
      let has = false;
      semaphore.wait(wanted, () => has = true);
      world.until(() => has);
    }
    world.words.store(SEMAPHORE + slot, wanted);
    let used = 0;
    for (let other = 1; other < SLOTS; other++) {
      const theirs = world.words.load(SEMAPHORE + other);
      if (theirs > 0 && (other === slot || world.participants.alive(256 | other))) used += theirs;
    }
    world.sure(used <= total, `${used} of ${total} permits are in use`);
    world.words.store(SEMAPHORE + slot, 0);
    world.sure(semaphore.release(wanted) === true, "not released");
  },
  ...more,
});

/** Index of the number of free permits. */
const PERMITS = 66;

const semaphoreModel = (total: number, actors: ReadonlyArray<Actor>, more: Partial<Model> = {}): Model => ({
  words: SEMAPHORE + SLOTS,
  actors,
  begin: (words, participants) => new Semaphore(words, 0, participants, { reclaim: true, bound: total }).begin(total),
  end: (load, dead) => {
    const free = load(PERMITS);
    assert(dead.includes(true) ? free <= total : free === total, `${free} of ${total} permits are left`);
  },
  ...more,
});

test(
  "a semaphore of one (storm)",
  semaphoreModel(1, [user(1, 1, 1), user(2, 1, 1)], storming ? { patrols: 2 } : { guard: 0, patrols: 1 }),
);

test(
  "a semaphore of two, for one and for two",
  semaphoreModel(2, [user(1, 1, 2), user(2, 2, 2)], { guard: 0, patrols: 1 }),
);

test(
  "a semaphore, and a process that gets the slot of a dead one (full) (storm)",
  semaphoreModel(1, [
    user(1, 1, 1, { mortal: storming }),
    user(2, 1, 1),
    user(2, 1, 1, { generation: 2, after: 1, mortal: false }),
  ], {
    guard: 0,
  }),
);

test(
  "a semaphore, and a process that waits for it and leaves (full)",
  semaphoreModel(1, [user(1, 1, 1, immortal), {
    slot: 2,
    run: (world) => {
      const semaphore = permits(world, true, 1);
      let has = false;
      const leave = semaphore.wait(1, () => has = true);
      if (leave()) return;
      world.sure(has, "it neither waits nor has it");
      semaphore.release(1);
    },
  }], { guard: 0 }),
);

test("a semaphore as a signal: what was given is taken once", {
  words: SEMAPHORE + SLOTS,
  guard: 0,
  actors: [
    {
      slot: 1,
      mortal: false,
      run: (world) => {
        const semaphore = permits(world, false, 100);
        semaphore.release(1);
      },
    },
    ...[2].map((slot): Actor => ({
      slot,
      run: (world) => {
        const semaphore = permits(world, false, 100);
        let has = false;
        semaphore.wait(1, () => has = true);
        world.until(() => has);
      },
    })),
  ],
});

// Condition

const CONDITION = conditionSize(SLOTS);
/** A word that the condition protects. */
const READY = CONDITION;

const sleeper = (slot: number, more: Partial<Actor> = {}): Actor => ({
  slot,
  run: (world) => {
    const condition = new Condition(world.words, 0, world.participants);
    // There is no lock: a process that is notified before it waits sees the word.
    let heard = false;
    const leave = condition.wait(() => heard = true);
    if (leave === BUSY) throw new Error("busy");
    if (world.words.load(READY) === 0) world.until(() => heard);
    else leave();
  },
  ...more,
});

const notifier = (slot: number, count: number): Actor => ({
  slot,
  mortal: false,
  run: (world) => {
    world.words.store(READY, 1);
    new Condition(world.words, 0, world.participants).notify(count, () => {});
  },
});

test("a condition: every waiter is told when all are notified", {
  words: CONDITION + 1,
  guard: 0,
  actors: [notifier(1, 2), sleeper(2), sleeper(3)],
});

/** Notifies one waiter, but only when both wait, because otherwise no waiter may be left. */
const waitsForTwo: Actor = {
  slot: 1,
  mortal: false,
  run: (world) => {
    const condition = new Condition(world.words, 0, world.participants);
    if (condition.sleeping < 2) {
      world.words.store(READY, 1);
      return condition.notify(2, () => {});
    }
    let told = -1;
    condition.notify(1, (count) => told = count);
    world.sure(told >= 0, "it is not notified");
  },
};

test("a condition: a notification is passed on if its receiver died before it received the notification (full)", {
  words: CONDITION + 1,
  guard: 0,
  actors: [
    waitsForTwo,
    sleeper(2),
    sleeper(3, { mortal: false }),
  ],
  // One waiter was notified and not killed after that, so it has ended.
  stuck: (_, dead) => !dead[1],
});

test("a condition: a waiter that leaves passes its notification on (full)", {
  words: CONDITION + 1,
  guard: 0,
  deaths: 0,
  actors: [waitsForTwo, {
    slot: 2,
    run: (world) => {
      const condition = new Condition(world.words, 0, world.participants);
      let heard = false;
      const leave = condition.wait(() => heard = true);
      if (leave === BUSY) throw new Error("busy");
      if (leave()) return;
      world.sure(heard, "it neither waits nor has heard");
      condition.notify(1, () => {});
    },
  }, sleeper(3)],
});

// Event

test("an event: every waiter is told that it is set, though it is cleared at once", {
  words: EVENT + 1,
  actors: [
    {
      slot: 1,
      mortal: false,
      run: (world) => {
        const event = new Event(world.words, 0, world.participants);
        // All processes that wait at this moment.
        const waited = world.words.load(EVENT);
        event.set();
        if (waited === 3) event.clear();
      },
    },
    ...[2, 3].map((slot): Actor => ({
      slot,
      run: (world) => {
        const event = new Event(world.words, 0, world.participants);
        let heard = false;
        event.wait(() => heard = true);
        world.words.or(EVENT, slot - 1);
        world.until(() => heard);
      },
    })),
  ],
});

test("an event: a waiter that leaves takes nothing from the others", {
  words: EVENT,
  actors: [1, 2].map((slot): Actor => ({
    slot,
    run: (world) => {
      const event = new Event(world.words, 0, world.participants);
      let first = false;
      let second = false;
      const leave = event.wait(() => first = true);
      event.wait(() => second = true);
      world.sure(leave() !== first, "it has left and heard, or neither");
      event.set();
      world.until(() => second);
    },
  })),
});

// Barrier

const BARRIER = barrierSize(SLOTS);
/** Index of the first row. */
const ROWS = 78;

const arrive = (barrier: Barrier, world: World, runs = false): BarrierOutcome => {
  let outcome: BarrierOutcome | undefined;
  barrier.wait(runs, (result) => outcome = result);
  world.until(() => outcome !== undefined, false);
  return outcome!;
};

/** Arrives `rounds` times, and counts the parties that have passed each round. */
const party = (slot: number, rounds: number, parties: number, action = false): Actor => ({
  slot,
  run: (world) => {
    const barrier = new Barrier(world.words, 0, world.participants, parties);
    for (let round = 0; round < rounds; round++) {
      const outcome = arrive(barrier, world, action);
      if (outcome._tag === "Broken") return world.sure(outcome.reason === "PartyDied", outcome.reason);
      if (outcome._tag === "Run") {
        let ended = "";
        barrier.finish("Passed", (how) => ended = how);
        if (ended === "PartyDied") return;
        world.sure(ended === "Passed", ended);
      }
      const index = outcome._tag === "WaitFailure" ? -1 : outcome.index;
      const others = world.words.or(BARRIER + round, 1 << index);
      world.sure((others >>> index & 1) === 0, `two have the place ${index} in round ${round}`);
    }
  },
});

const barrierModel = (actors: ReadonlyArray<Actor>, more: Partial<Model> = {}): Model => ({
  words: BARRIER + 4,
  actors,
  // The others wait for a party that died before it arrived, but not for a party that died after its arrival.
  stuck: (load, dead) =>
    dead.includes(true) && actors.every(({ slot }, i) => !dead[i] || load(ROWS + 4 * slot + 1) === 0),
  ...more,
});

test("a barrier for two, twice (full)", barrierModel([party(1, 2, 2), party(2, 2, 2)], { guard: 0, deaths: 0 }));

test("a barrier for two", barrierModel([party(1, 1, 2), party(2, 1, 2)], { guard: 0, patrols: 1 }));

test("a barrier with an action", barrierModel([party(1, 1, 2, true), party(2, 1, 2, true)], { guard: 0 }));

test(
  "a barrier, and a party that comes and leaves",
  barrierModel([
    {
      slot: 1,
      run: (world) => {
        const barrier = new Barrier(world.words, 0, world.participants, 2);
        let outcome: BarrierOutcome | undefined;
        const leave = barrier.wait(false, (result) => outcome = result);
        if (leave()) return;
        world.sure(outcome !== undefined, "it neither waits nor knows");
      },
    },
    {
      slot: 2,
      run: (world) => {
        const outcome = arrive(new Barrier(world.words, 0, world.participants, 2), world);
        if (outcome._tag === "Passed") world.words.store(BARRIER, 1);
        else world.sure(outcome._tag === "Broken", outcome._tag);
      },
    },
  ], { guard: 0 }),
);

// ReadWriteLock and writers

const READERS = readersSize(SLOTS);

const visitor = (slot: number, side: Side, more: Partial<Actor> = {}): Actor => ({
  slot,
  run: (world) => {
    const lock = new ReadWriteLock(world.words, 0, world.participants);
    if (lock.tryTake(side) !== true) {
      let has = false;
      lock.wait(side, () => has = true);
      world.until(() => has);
    }
    world.words.store(READERS + slot, side === "write" ? 2 : 1);
    for (let other = 1; other < SLOTS; other++) {
      if (other === slot) continue;
      const theirs = world.words.load(READERS + other);
      if (theirs === 0 || theirs === 1 && side === "read") continue;
      world.sure(!world.participants.alive(256 | other), `${side} beside one who ${theirs === 1 ? "reads" : "writes"}`);
      if (theirs === 2) world.sure(lock.abandoned, "a writer has died, and it is not said");
    }
    world.words.store(READERS + slot, 0);
    world.sure(lock.release(side) === true, "not released");
  },
  ...more,
});

const readersModel = (actors: ReadonlyArray<Actor>, more: Partial<Model> = {}): Model => ({
  words: READERS + SLOTS,
  actors,
  ...more,
});

test("a reader and a writer", readersModel([visitor(1, "read"), visitor(2, "write")], { guard: 0 }));

test("two writers", readersModel([visitor(1, "write"), visitor(2, "write")], { guard: 0 }));
