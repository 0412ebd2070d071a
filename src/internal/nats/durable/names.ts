/**
 * The streams and subjects of a durable pool. A part in capitals stands for a name.
 *
 * | subject, after `mp.SPACE` | stream, after `mp+SPACE+` | content |
 * | --- | --- | --- |
 * | `.p.POOL.task.LANE.ID` | `tasks+POOL` | a task that has no result yet. One message at most for an id and lane: a second one is refused |
 * | `.p.POOL.part.ID.RUN.N` | `parts+POOL` | a part of a task that is larger than a message |
 * | `.p.POOL.out.ID` | `results+POOL` | the result of a task: the first one that is stored |
 * | `.p.POOL.out.ID.RUN.N` | `results+POOL` | a part of a result that is larger than a message |
 * | `.p.POOL.dead.ID` | `dead+POOL` | a task that was given up, with its deaths |
 * | `.p.POOL.told.CALLER.ID` | | a result or a dead letter, for the programs that wait for it |
 * | `.p.POOL.stop` | | the ids of tasks that agents are to stop |
 * | `.pools` | | a pool was made: agents look for it |
 * | `.f.HASH` | `files` | the program of a task: its modules and the list of its files |
 * | `.f.HASH.N` | `files` | a part of a file, or of a large program |
 *
 * @module
 */

/** Number of lanes: a task with a priority above zero is in the first one, one below zero in the last one. */
export const LANES = 3;

/** The lane of a priority. */
export const laneOf = (priority: number): number => priority > 0 ? 0 : priority < 0 ? 2 : 1;

/** The names of a pool. */
export interface Names {
  readonly pool: string;
  readonly tasks: string;
  readonly parts: string;
  readonly results: string;
  readonly dead: string;
  /** What all subjects of the pool begin with. */
  readonly base: string;
  /** The name of the consumer of a lane. */
  readonly lane: (lane: number) => string;
  readonly task: (lane: number | "*", id: string) => string;
  /** The id and the lane in the subject of a task. */
  readonly idOf: (subject: string) => string;
  readonly laneOf: (subject: string) => number;
  readonly part: (id: string) => string;
  readonly result: (id: string) => string;
  readonly deadLetter: (id: string) => string;
  readonly told: (caller: string, id: string) => string;
  readonly stop: string;
}

export const namesOf = (space: string, pool: string): Names => {
  const base = `mp.${space}.p.${pool}`;
  const stream = (kind: string): string => `mp+${space}+${kind}+${pool}`;
  return {
    pool,
    tasks: stream("tasks"),
    parts: stream("parts"),
    results: stream("results"),
    dead: stream("dead"),
    base,
    lane: (lane) => `lane${lane}`,
    idOf: (subject) => subject.slice(subject.lastIndexOf(".") + 1),
    laneOf: (subject) => Number(subject.split(".").at(-2)),
    task: (lane, id) => `${base}.task.${lane}.${id}`,
    part: (id) => `${base}.part.${id}`,
    result: (id) => `${base}.out.${id}`,
    deadLetter: (id) => `${base}.dead.${id}`,
    told: (caller, id) => `${base}.told.${caller}.${id}`,
    stop: `${base}.stop`,
  };
};

/** The names that all pools of a space share. */
export const shared = (space: string) => ({
  files: `mp+${space}+files`,
  file: (hash: string): string => `mp.${space}.f.${hash}`,
  pools: `mp.${space}.pools`,
  /** The subjects of the tasks of all pools. */
  tasks: `mp.${space}.p.*.task.*.*`,
});
