/**
 * The states of shared locks and semaphores, written by programs whose messages are late and whose clocks say different times. A virtual
 * server decides by compare-and-set; chance decides what happens next.
 */
import { advance, holdingOf, type Room, roomOf } from "../../src/internal/nats/shared/room.ts";
import { assert, assertEquals } from "../support/assert.ts";
import { below, random, restart, rounds, seed } from "../support/chance.ts";

const LEASE = 100;
const SAFE = 0.9;

interface Write {
  readonly after: number;
  readonly room: Room;
  readonly sentAt: number;
  readonly takes: number;
  readonly granted: boolean;
  readonly lost: boolean;
  readonly clears: boolean;
  answer: "none" | "stored" | "refused";
  sequence: number;
}

/** One lock or semaphore, and its programs. */
class World {
  now = 0;
  sequence = 0;
  room: Room | undefined;
  readonly programs: ReadonlyArray<Program>;
  readonly capacity: number;
  readonly grants: Array<string> = [];

  constructor(count: number, capacity: number) {
    this.capacity = capacity;
    this.programs = Array.from({ length: count }, (_, i) => new Program(this, `p${i}`));
  }

  /** Checks what programs believe to hold. */
  check(): void {
    const held = this.programs.reduce((sum, program) => sum + program.believes, 0);
    assert(held <= this.capacity, `${held} permits of ${this.capacity} are held at once (seed ${seed})`);
    const { holders, line } = roomOf(this.room);
    assert(holders.reduce((sum, { permits }) => sum + permits, 0) <= this.capacity, `seed ${seed}`);
    assertEquals(new Set(line.map(({ program }) => program)).size, line.length, `seed ${seed}`);
  }
}

/** A program, as `lease.ts` has it, without its fibers. */
class Program {
  readonly #world: World;
  readonly name: string;
  #known: { readonly sequence: number; readonly room: Room | undefined } | undefined;
  readonly #signs = new Map<string, number>();
  #write: Write | undefined;
  #beats = 0;
  #leaseEnds = 0;
  #sentAt = 0;
  #wasLost = false;
  #clears = false;
  held = 0;
  isStopped = false;
  readonly requests: Array<number> = [];

  constructor(world: World, name: string) {
    this.#world = world;
    this.name = name;
  }

  /** What its fibers hold, in its own view. One that is stopped runs none. */
  get believes(): number {
    return this.isStopped || this.#world.now >= this.#leaseEnds ? 0 : this.held;
  }

  get isBusy(): boolean {
    return this.#write !== undefined || this.held > 0 || this.requests.length > 0 ||
      JSON.stringify(roomOf(this.#world.room)).includes(`"${this.name}"`);
  }

  release(): void {
    if (this.believes === 0) return;
    this.held = 0;
    this.#clears = true;
  }

  #lose(): void {
    if (this.held > 0) this.#wasLost = true;
    this.held = 0;
  }

  look(): void {
    const { now, room, sequence } = this.#world;
    if (this.#write !== undefined || this.isStopped) return;
    this.#learn({ sequence, room }, now);
  }

  #learn(version: { readonly sequence: number; readonly room: Room | undefined }, now: number): void {
    this.#known = version;
    const beats = roomOf(version.room).holders.filter(({ program }) => program !== this.name).map(({ beat }) => beat);
    for (const beat of [...this.#signs.keys()]) if (!beats.includes(beat)) this.#signs.delete(beat);
    for (const beat of beats) if (!this.#signs.has(beat)) this.#signs.set(beat, now);
    if (holdingOf(version.room, this.name) === undefined) this.#lose();
  }

  /** Sends a write, has it decided, or hears the answer. */
  step(): void {
    const { now } = this.#world;
    const write = this.#write;
    if (write !== undefined && write.answer === "none") {
      // A message on its way arrives also if its sender is stopped.
      write.answer = write.after === this.#world.sequence ? "stored" : "refused";
      if (write.answer === "stored") {
        this.#world.room = write.room;
        write.sequence = ++this.#world.sequence;
      }
      return;
    }
    if (this.isStopped) return;
    if (now >= this.#leaseEnds) this.#lose();
    if (write !== undefined) return this.#answered(write);
    if (this.#known === undefined) return this.look();
    const takes = this.requests[0] ?? 0;
    const next = advance(this.#known.room, {
      program: this.name,
      pid: 1,
      lease: LEASE,
      beat: `${this.name}.${++this.#beats}`,
      capacity: this.#world.capacity,
      keeps: this.held,
      takes,
      waits: true,
      next: this.requests[1] ?? 0,
      renews: this.held > 0 && now >= this.#sentAt + LEASE / 3,
      clears: this.#clears,
      lost: this.#wasLost,
      isSilent: ({ beat, lease, offered }) =>
        now >= (this.#signs.get(beat) ?? Infinity) + (offered === true ? lease / 3 : lease),
    });
    if (next === undefined) {
      this.#clears = this.#wasLost = false;
      return;
    }
    const { granted, room } = next;
    const [lost, clears] = [this.#wasLost, this.#clears];
    this.#write = {
      after: this.#known.sequence,
      room,
      sentAt: now,
      takes,
      granted,
      lost,
      clears,
      answer: "none",
      sequence: 0,
    };
  }

  #answered(write: Write): void {
    const { now } = this.#world;
    this.#write = undefined;
    if (write.answer === "refused") {
      this.#known = undefined;
      return;
    }
    if (write.lost) this.#wasLost = false;
    if (write.clears) this.#clears = false;
    this.#learn({ sequence: write.sequence, room: write.room }, now);
    if (holdingOf(write.room, this.name) !== undefined) {
      this.#sentAt = write.sentAt;
      this.#leaseEnds = write.sentAt + SAFE * LEASE;
    }
    if (write.granted && this.requests[0] === write.takes && now < this.#leaseEnds) {
      this.held += write.takes;
      this.requests.shift();
      this.#world.grants.push(this.name);
    }
  }
}

const act = (world: World, program: Program, isCalm: boolean): void => {
  const chance = random();
  if (chance < 0.55) program.step();
  else if (chance < 0.7) program.look();
  else if (chance < 0.85) program.release();
  else if (!isCalm && chance < 0.93 && program.requests.length < 3) program.requests.push(1 + below(world.capacity));
  else if (!isCalm && chance < 0.95) program.requests.splice(below(3), 1);
  else if (!isCalm && chance < 0.97) program.isStopped = !program.isStopped;
};

for (const [what, capacity] of [["lock", 1], ["semaphore", 3]] as const) {
  Deno.test(`a shared ${what} is never held by too many programs, whatever is late or stops, and each request is served`, () => {
    restart(seed);
    for (let round = 0; round < 20 * rounds(5, 200); round++) {
      const world = new World(2 + below(3), capacity);
      for (let i = 0; i < 400; i++) {
        if (random() < 0.3) world.now += below(random() < 0.05 ? 200 : 10);
        act(world, world.programs[below(world.programs.length)], false);
        world.check();
      }
      // From now on nothing breaks: all are served.
      for (const program of world.programs) program.isStopped = false;
      let left = 100_000;
      while (world.programs.some(({ isBusy }) => isBusy)) {
        assert(--left > 0, `seed ${seed}: ${JSON.stringify(world.room)}`);
        if (random() < 0.3) world.now += below(5);
        act(world, world.programs[below(world.programs.length)], true);
        world.check();
      }
    }
  });
}

Deno.test("programs that wait for a shared lock are served in the order of their requests", () => {
  restart(seed);
  for (let round = 0; round < 100; round++) {
    const world = new World(4, 1);
    const order = world.programs.map(({ name }) => name).toSorted(() => random() - 0.5);
    const find = (name: string) => world.programs.find((program) => program.name === name)!;
    for (const name of order) {
      find(name).requests.push(1);
      // It has lined up, or has the lock.
      for (let i = 0; i < 20; i++) find(name).step();
    }
    for (let i = 0; world.grants.length < 4; i++) {
      assert(i < 10_000);
      act(world, world.programs[below(4)], true);
    }
    assertEquals(world.grants, order);
  }
});
