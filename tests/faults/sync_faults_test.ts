/**
 * Shared objects whose users are killed at random moments: no object stays taken, no surviving process waits for ever,
 * no permit is lost, and only a holder that was told of the death finds incomplete data under a lock.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import type * as Layer from "effect/Layer";
import { type Backend, Barrier, Process, SubprocessBackend, WorkerBackend } from "../../mod.ts";
import * as Capabilities from "../../src/internal/child/capabilities.ts";
import { assertEquals } from "../support/assert.ts";
import { rounds as length, seed } from "../support/chance.ts";
import { test, warmUp } from "../support/suite.ts";
import { amongWorkers, meetings, rounds } from "./sync_rounds.ts";
import * as Sync from "../api/sync_tasks.ts";
import { repeated, repeating } from "../support/tier.ts";

/** Number of kills on a backend, and of sets of objects in use at each. */
const KILLS = length(3, 13);
const SETS = 40;

const suite = (
  name: string,
  layer: Layer.Layer<Backend.Backend>,
  { killBusy }: { readonly killBusy: boolean },
): void => {
  test(
    `sync faults on ${name}: users of ${SETS} sets of objects that are killed at random moments (full) (storm)`,
    Effect.provide(rounds({ kills: KILLS, sets: SETS, killBusy }), layer),
  );

  test(
    `sync faults on ${name}: parties of a barrier that are killed break it, and it can be used again`,
    Effect.provide(meetings(3), layer),
  );
};

/** The same, but the processes that are killed use the objects by messages. */
const byMessages = (name: string, layer: Layer.Layer<Backend.Backend>, killBusy: boolean): void => {
  const carrier = "messages";
  test(
    `sync faults on ${name}: users of ${SETS} sets of objects by messages that are killed at random moments (full) (storm)`,
    Effect.provide(rounds({ kills: KILLS, sets: SETS, killBusy, carrier }), layer),
  );

  test(
    `sync faults on ${name}: parties of a barrier by messages that are killed break it, and it can be used again (full)`,
    Effect.provide(meetings(3, { carrier }), layer),
  );
};

const subprocess = SubprocessBackend.layer();
const worker = WorkerBackend.layer();

const warm = Effect.flatMap(Barrier.make({ parties: 1 }), (barrier) => Process.run(Sync.meets, barrier, 1));
await warmUp(Effect.provide(warm, subprocess));
if (repeating) await warmUp(Effect.provide(warm, worker));

suite("subprocess", subprocess, Capabilities.subprocess);
repeated(() => suite("worker", worker, Capabilities.worker));
byMessages("subprocess", subprocess, Capabilities.subprocess.killBusy);
byMessages("worker", worker, Capabilities.worker.killBusy);

test(
  `sync faults on worker, without --allow-ffi: users of ${SETS} sets of objects, and parties of a barrier (full) (storm)`,
  Effect.gen(function* () {
    assertEquals(yield* Process.run(amongWorkers, { kills: KILLS, sets: SETS, killBusy: false }, seed), "denied");
  }).pipe(Effect.provide(SubprocessBackend.layer({ permissions: { read: true, write: true } }))),
);
