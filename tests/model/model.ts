/**
 * Explores all orders of the steps of several processes, with a death before any step.
 *
 * The model runs the library's own code on words that count each access as a step. At a step without an answer the code
 * is stopped by an exception. When its turn comes, it runs again from its beginning with the answers that it had. So
 * the only input of a process must be its world. A state that was visited before, with the same memory and the same
 * answers, is not visited again.
 *
 * @module
 */
import type { Participants } from "../../src/internal/sync/protocol/participants.ts";
import { type Words, words as wordsOf } from "../../src/internal/os/atomics.ts";

/** The environment of a process of the model. */
export interface World {
  readonly words: Words;
  readonly participants: Participants;
  /**
   * Waits, answering rings and looking for the dead, until `done` holds. A `steady` wait has the same local state
   * whenever `done` does not hold; its answers without effect are dropped.
   */
  readonly until: (done: () => boolean, steady?: boolean) => void;
  /** A step that fails the model if the condition does not hold. */
  readonly sure: (holds: boolean, what: string) => void;
}

/** A process: its slot and its code. */
export interface Actor {
  readonly slot: number;
  readonly generation?: number;
  /** Begins when the actor with this index is dead, and may use its slot. */
  readonly after?: number;
  /** Whether it may be killed. @default true */
  readonly mortal?: boolean;
  readonly run: (world: World) => void;
}

export interface Model {
  /** Number of words. All are 0 at first. */
  readonly words: number;
  readonly actors: ReadonlyArray<Actor>;
  /** Makes the object, before any actor has it. */
  readonly begin?: (words: Words, participants: Participants) => void;
  /** Maximum number of deaths. @default 1 */
  readonly deaths?: number;
  /**
   * Maximum number of patrols, which look for the dead, before all actors wait without effect.
   * @default 1, with a guard 0
   */
  readonly patrols?: number;
  /**
   * The guard of a monitor. A change under the guard is one step, and so is a sequence of reads. Used by models that
   * are too large otherwise.
   * @default each access is a step of its own
   */
  readonly guard?: number;
  /** The word to which actors write to close the object. */
  readonly gone?: number;
  /** Whether the remaining actors may wait for ever in this state. @default never */
  readonly stuck?: (load: (at: number) => number, dead: ReadonlyArray<boolean>) => boolean;
  /** The invariant after all have ended. `load` reads a word; `dead` marks the killed actors. */
  readonly end?: (load: (at: number) => number, dead: ReadonlyArray<boolean>) => void;
}

export interface Explored {
  readonly states: number;
  readonly endings: number;
}

type Step =
  | {
    readonly kind: "access";
    readonly name: string;
    readonly reads: boolean;
    readonly act: (memory: Int32Array) => number;
  }
  | { readonly kind: "alive"; readonly participant: number }
  | { readonly kind: "at"; readonly slot: number }
  | { readonly kind: "hold"; readonly at: number; readonly holder: number }
  | { readonly kind: "now" }
  | { readonly kind: "sleep"; /** So many of its answers are all that matters. */ readonly from: number };

/** Whether a step changes nothing. */
const looks = (step: Step | undefined): step is Exclude<Step, { readonly kind: "hold" | "sleep" | "now" }> =>
  step !== undefined && (step.kind === "access" ? step.reads : step.kind === "alive" || step.kind === "at");

interface Local {
  readonly answers: ReadonlyArray<number>;
  /** The next step; `undefined` if the process has ended. */
  readonly step: Step | undefined;
  readonly dead: boolean;
  readonly hash: number;
  readonly hash2: number;
}

/** The number of steps after which a path counts as endless. */
const LONGEST = 1500;

/** Words of the journal of a monitor. */
const JOURNAL = 64;

const RUNG = 1;
const PATROL = 2;
const GONE_DEAD = 3;

class Suspended {}
const suspended = new Suspended();

/** The participant that makes the object while no other participant exists. */
const maker: Participants = {
  self: 1 << 8,
  alive: () => true,
  at: () => 0,
  ring: () => {},
  watch: () => () => {},
  exists: () => true,
  now: () => 0,
  hold: () => "again",
};

/** A violation of the model, with the path to it. */
export class Violation extends Error {
  override readonly name = "Violation";
}

export const explore = (model: Model): Explored => {
  const { actors } = model;
  const maxDeaths = model.deaths ?? 1;
  const maxPatrols = model.patrols ?? (model.guard === undefined ? 1 : 0);
  /** The words after those of the model: a bell for each actor. */
  const bells = model.words;
  const tokens = actors.map(({ generation = 1, slot }) => generation << 8 | slot);
  const seen = new Set<number>();
  const path: Array<readonly [actor: number, what: string, answer: number]> = [];
  let endings = 0;

  const fail = (what: string): never => {
    throw new Violation(`${what}\n${path.map(([actor, step, answer]) => `${actor}: ${step} -> ${answer}`).join("\n")}`);
  };

  /** For each actor, a world that replays the answers of its last run. */
  const players = actors.map((actor, index) => {
    let given: ReadonlyArray<number> = [];
    let cursor = 0;
    let pending: Step | undefined;
    const ask = (step: Step): number => {
      if (pending !== undefined) throw suspended;
      if (cursor < given.length) return given[cursor++];
      pending = step;
      throw suspended;
    };
    /** Most calls are answered from memory, so the step is created only when it is needed. */
    const access = (name: string, at: number, act: (memory: Int32Array) => number): number => {
      if (pending === undefined && cursor < given.length) return given[cursor++];
      return ask({ kind: "access", name: `${name} ${at}`, reads: name === "load", act });
    };
    const put = (name: string, at: number, change: (word: number) => number): number =>
      access(name, at, (memory) => {
        const found = memory[at];
        memory[at] = change(found);
        return found;
      });
    const words: Words = {
      load: (at) => access("load", at, (memory) => memory[at]),
      store: (at, value) => void put(`store ${value} in`, at, () => value),
      swap: (at, expected, value) =>
        put(`swap ${expected} for ${value} in`, at, (word) => word === expected ? value : word),
      exchange: (at, value) => put(`exchange for ${value} in`, at, () => value),
      add: (at, value) => put(`add ${value} to`, at, (word) => word + value | 0),
      and: (at, value) => put(`and ${value} to`, at, (word) => word & value),
      or: (at, value) => put(`or ${value} to`, at, (word) => word | value),
    };
    const checks = new Set<(patrol: boolean) => boolean>();
    const shared = new Set(
      actors.flatMap(({ slot }, i) => actors.some((a, j) => j !== i && a.slot === slot) ? [slot] : []),
    );
    const participants: Participants = {
      self: tokens[index],
      alive: (participant) => ask({ kind: "alive", participant }) === 1,
      at: (slot) => shared.has(slot) ? ask({ kind: "at", slot }) : tokens.find((token) => (token & 0xff) === slot) ?? 0,
      ring: (participant) => {
        const other = tokens.indexOf(participant);
        if (other >= 0) put("ring", bells + other, () => 1);
      },
      watch: (check) => {
        checks.add(check);
        if (check(false)) checks.delete(check);
        return () => void checks.delete(check);
      },
      now: () => ask({ kind: "now" }),
      exists: () => model.gone === undefined || words.load(model.gone) === 0,
      hold: (at, holder) => ask({ kind: "hold", at, holder }) === GONE_DEAD ? "dead" : "again",
    };
    const world: World = {
      words,
      participants,
      until: (done, steady = true) => {
        const begun = cursor;
        while (!done()) {
          const patrol = ask({ kind: "sleep", from: steady ? begun : cursor }) === PATROL;
          for (const check of checks) if (check(patrol)) checks.delete(check);
        }
      },
      sure: (holds, what) => {
        if (!holds) fail(`actor ${index}: ${what}`);
      },
    };
    /** Runs the actor with the answers that it has, up to its next step. */
    return (answers: ReadonlyArray<number>): Step | undefined => {
      given = answers;
      cursor = 0;
      pending = undefined;
      checks.clear();
      try {
        actor.run(world);
      } catch (error) {
        if (error instanceof Violation) throw error;
        if (pending === undefined) fail(`actor ${index} throws ${error instanceof Error ? error.stack : error}`);
      }
      return pending;
    };
  });

  const hashed = (answers: ReadonlyArray<number>): { readonly hash: number; readonly hash2: number } => {
    let hash = 7;
    let hash2 = 11;
    for (const answer of answers) {
      hash = Math.imul(hash, 0x01000193) ^ answer;
      hash2 = Math.imul(hash2 ^ answer, 0x85ebca6b) + 1 | 0;
    }
    return { hash, hash2 };
  };

  const answered = (index: number, local: Local, answer: number): Local => {
    const answers = [...local.answers, answer];
    const step = players[index](answers);
    if (step?.kind === "sleep" && step.from < answers.length) {
      const kept = answers.slice(0, step.from);
      return { answers: kept, step, dead: false, ...hashed(kept) };
    }
    return {
      answers,
      step,
      dead: false,
      hash: Math.imul(local.hash, 0x01000193) ^ answer,
      hash2: Math.imul(local.hash2 ^ answer, 0x85ebca6b) + 1 | 0,
    };
  };

  const begun = (locals: ReadonlyArray<Local>, index: number): boolean => {
    const { after } = actors[index];
    return after === undefined || locals[after].dead;
  };

  const living = (locals: ReadonlyArray<Local>, participant: number): boolean => {
    const index = tokens.indexOf(participant);
    return index >= 0 && begun(locals, index) && !locals[index].dead;
  };

  const inSlot = (locals: ReadonlyArray<Local>, slot: number): number => {
    let token = 0;
    for (let i = 0; i < actors.length; i++) if (actors[i].slot === slot && begun(locals, i)) token = tokens[i];
    return token;
  };

  const visit = (
    memory: Int32Array,
    locals: ReadonlyArray<Local>,
    deaths: number,
    patrols: number,
    /** The actors that have looked for the dead since all began to wait, and the memory at that time. */
    vain: number,
    before: Int32Array | undefined,
    /** The actor that has just read a word. */
    spared: number,
  ): void => {
    let hash = patrols << 8 | vain;
    let other = 0;
    const mix = (word: number): void => {
      hash = Math.imul(hash ^ word, 0x9e3779b1) ^ hash >>> 15;
      other = Math.imul(other + word | 0, 0x85ebca6b) ^ other >>> 13;
    };
    for (let at = 0; at < memory.length; at++) {
      // Words after the end of a journal are never read.
      if (model.guard !== undefined && at === model.guard + 2 && memory[at - 1] === 0) at += JOURNAL;
      mix(memory[at]);
    }
    for (const local of locals) {
      mix(local.dead ? 1 : local.hash);
      mix(local.dead ? 2 : local.hash2);
    }
    const key = (hash >>> 0) * 2 ** 21 + (other >>> 11);
    if (seen.has(key)) return;
    seen.add(key);
    if (path.length > LONGEST) fail("this does not end");

    const go = (
      index: number,
      answer: number,
      changed: Int32Array,
      label: string,
      patrol: "no" | "early" | "late" = "no",
    ): void => {
      const depth = path.length;
      path.push([index, label, answer]);
      let local = answered(index, locals[index], answer);
      // A change under the guard, or a sequence of reads, is one step.
      for (const { guard } = model; guard !== undefined;) {
        const { step } = local;
        const inside = changed[guard] === tokens[index];
        if (step === undefined || step.kind === "sleep" || step.kind === "hold" || step.kind === "now") break;
        if (!inside && !(changed === memory && looks(step))) break;
        if (changed === memory && !looks(step)) changed = memory.slice();
        const seen = step.kind === "access"
          ? step.act(changed)
          : Number(step.kind === "alive" ? living(locals, step.participant) : inSlot(locals, step.slot));
        path.push([index, step.kind === "access" ? step.name : step.kind, seen]);
        local = answered(index, local, seen);
      }
      visit(
        changed,
        locals.with(index, local),
        deaths,
        patrol === "early" ? patrols + 1 : patrols,
        patrol === "late" ? vain | 1 << index : vain,
        patrol === "late" ? memory : before,
        changed === memory ? index : -1,
      );
      path.length = depth;
    };

    let enabled = false;
    let ended = true;
    for (let i = 0; i < actors.length; i++) {
      const { dead, step } = locals[i];
      if (dead || step === undefined || !begun(locals, i)) continue;
      ended = false;
      switch (step.kind) {
        case "access": {
          enabled = true;
          if (step.reads) {
            go(i, step.act(memory), memory, step.name);
            break;
          }
          const copy = memory.slice();
          const answer = step.act(copy);
          go(i, answer, copy.every((word, at) => word === memory[at]) ? memory : copy, step.name);
          break;
        }
        case "alive":
          enabled = true;
          go(i, living(locals, step.participant) ? 1 : 0, memory, `alive ${step.participant}`);
          break;
        case "at":
          enabled = true;
          go(i, inSlot(locals, step.slot), memory, `at ${step.slot}`);
          break;
        case "now":
          enabled = true;
          for (const millis of [0, 1000]) go(i, millis, memory, "the clock shows");
          break;
        case "hold":
          if (memory[step.at] !== step.holder) {
            enabled = true;
            go(i, 0, memory, "guard changes");
          } else if (!living(locals, step.holder)) {
            enabled = true;
            go(i, GONE_DEAD, memory, "guard of a dead one");
          }
          break;
        case "sleep":
          if (memory[bells + i] !== 0) {
            enabled = true;
            const copy = memory.slice();
            copy[bells + i] = 0;
            go(i, RUNG, copy, "wakes");
          } else if (deaths > 0 && patrols < maxPatrols) {
            go(i, PATROL, memory, "looks for the dead", "early");
          }
      }
    }
    if (ended) {
      endings++;
      model.end?.((at) => memory[at], locals.map(({ dead }) => dead));
    } else if (!enabled) {
      const fine = model.stuck?.((at) => memory[at], locals.map(({ dead }) => dead)) === true;
      if (deaths === 0 && !fine) fail("all wait, and nobody rings");
      let looked = false;
      const same = before !== undefined && memory.every((word, at) => word === before[at]);
      for (let i = 0; i < actors.length; i++) {
        const { dead, step } = locals[i];
        if (dead || step?.kind !== "sleep" || !begun(locals, i) || same && (vain >>> i & 1) !== 0) continue;
        looked = true;
        if (!same) vain = 0;
        go(i, PATROL, memory, "looks for the dead", "late");
      }
      if (!looked && !fine) fail("all wait, and have looked for the dead in vain");
    }
    if (deaths < maxDeaths) {
      for (let i = 0; i < actors.length; i++) {
        const { dead, step } = locals[i];
        // A death before a step without a change is equivalent to a death after it.
        if (dead || step === undefined || i === spared || actors[i].mortal === false || !begun(locals, i)) continue;
        path.push([i, "dies", 0]);
        visit(memory, locals.with(i, { ...locals[i], dead: true }), deaths + 1, patrols, 0, undefined, -1);
        path.pop();
      }
    }
  };

  const start = actors.map((_, index): Local => ({
    answers: [],
    step: players[index]([]),
    dead: false,
    hash: 7,
    hash2: 11,
  }));
  const memory = new Int32Array(new SharedArrayBuffer((model.words + actors.length) * 4));
  model.begin?.(wordsOf(memory.buffer), maker);
  visit(memory.slice(), start, 0, 0, 0, undefined, -1);
  return { states: seen.size, endings };
};
