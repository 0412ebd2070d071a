/**
 * Mends what the death of a server or of a program has left in the streams of a pool.
 *
 * - A server that is killed may forget that it has removed an acknowledged task (2.9 does). The task never comes again, and would count as
 *   waiting for ever. It has an outcome, and is removed.
 * - A server that loses its last writes with its machine may take a new task for one that was given out or acknowledged. Such a task has no
 *   outcome, and nobody has it: it is stored again.
 * - The parts of a task whose program was killed before it had stored the task itself, or whose dead letter has expired, are removed.
 *
 * @module
 */
import { type JetStream, JetStreamError, REFUSED_BY_LIMIT, type Stored } from "../jetstream.ts";
import { pack, unpack } from "../packing.ts";
import type { Task } from "./messages.ts";
import { LANES, type Names } from "./names.ts";
import { infoOf } from "../streams.ts";
import { consumerOf } from "./streams.ts";

/** How old parts without a task must be, in milliseconds. */
const OLD = 600_000;

/** Mends the streams of a pool. */
export const mend = async (js: JetStream, names: Names, log: (message: string) => void): Promise<void> => {
  for (let lane = 0; lane < LANES; lane++) await mendLane(js, names, lane, log);
  await removeParts(js, names);
};

const mendLane = async (js: JetStream, names: Names, lane: number, log: (message: string) => void): Promise<void> => {
  const next = (from: number): Promise<Stored | undefined> =>
    js.persist(() => js.next(names.tasks, names.task(lane, "*"), from));
  const { ack_floor, delivered, num_ack_pending } = await consumerOf(js, names, lane);
  for (let task = await next(1); task !== undefined; task = await next(task.sequence + 1)) {
    const { data, sequence, subject } = task;
    if (sequence > delivered.stream_seq) return;
    const id = names.idOf(subject);
    if (!await hasOutcome(js, names, id, task.time)) {
      const isPending = num_ack_pending > 0 && sequence > ack_floor.stream_seq;
      if (isPending) continue;
      log(`the server has lost track of the task ${id}: it is stored again`);
      await storeAgain(js, names, (lane + 1) % LANES, id, data);
    }
    await js.persist(() => js.delete(names.tasks, sequence));
  }
};

/** Whether a task that was stored at this time has an outcome. An older dead letter is one that is tried again. */
const hasOutcome = async (js: JetStream, names: Names, id: string, time: number): Promise<boolean> => {
  if (await js.persist(() => js.find(names.results, names.result(id))) !== undefined) return true;
  const letter = await js.persist(() => js.last(names.dead, names.deadLetter(id)));
  return letter !== undefined && letter.time >= time;
};

/** Stores a task in another lane, so that it is in the stream at any time. */
const storeAgain = async (
  js: JetStream,
  names: Names,
  lane: number,
  id: string,
  data: Uint8Array,
): Promise<void> => {
  const { head, ...body } = unpack<Task>(data);
  try {
    await js.persist(() => js.store(names.task(lane, id), pack({ ...head, check: true } satisfies Task, body)));
  } catch (error) {
    // It is there already. In a full queue there is no room for it until later.
    const isThere = error instanceof JetStreamError && error.code === REFUSED_BY_LIMIT &&
      error.message.includes("per subject");
    if (!isThere) throw error;
  }
};

const removeParts = async (js: JetStream, names: Names): Promise<void> => {
  if (((await infoOf(js, names.parts))?.state.messages ?? 0) === 0) return;
  const checked = new Set<string>();
  for (let from = 1;;) {
    const part = await js.persist(() => js.next(names.parts, `${names.part("*")}.>`, from));
    if (part === undefined || Date.now() - part.time < OLD) return;
    from = part.sequence + 1;
    const id = part.subject.slice(names.part("").length).split(".")[0];
    if (checked.has(id)) continue;
    checked.add(id);
    const used = await js.persist(() => js.find(names.tasks, names.task("*", id))) ??
      await js.persist(() => js.find(names.dead, names.deadLetter(id)));
    if (used === undefined) await js.persist(() => js.purge(names.parts, `${names.part(id)}.>`));
  }
};
