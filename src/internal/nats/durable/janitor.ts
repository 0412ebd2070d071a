/**
 * Removes what a pool does not need any more, and what nobody else removes.
 *
 * - A server that is killed may forget that it has removed an acknowledged task (2.9 does). The task never comes again, and would count as
 *   waiting for ever.
 * - The parts of a task whose program was killed before it had stored the task itself, or whose dead letter has expired.
 *
 * @module
 */
import type { Found, JetStream } from "../jetstream.ts";
import { LANES, type Names } from "./names.ts";
import { consumerOf, infoOf } from "./streams.ts";

/** How old parts without a task must be, in milliseconds. */
const OLD = 600_000;

/** Cleans the streams of a pool. */
export const clean = async (js: JetStream, names: Names): Promise<void> => {
  for (let lane = 0; lane < LANES; lane++) await removeAcknowledged(js, names, lane);
  await removeParts(js, names);
};

const removeAcknowledged = async (js: JetStream, names: Names, lane: number): Promise<void> => {
  const first = (): Promise<Found | undefined> => js.persist(() => js.find(names.tasks, names.task(lane, "*"), true));
  let task = await first();
  if (task === undefined) return;
  // All tasks up to this number were acknowledged.
  const floor = (await consumerOf(js, names, lane)).ack_floor.stream_seq;
  while (task !== undefined && task.seq <= floor) {
    const { seq } = task;
    await js.persist(() => js.delete(names.tasks, seq));
    task = await first();
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
