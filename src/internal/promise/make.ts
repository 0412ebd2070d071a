/**
 * Implementation of the functions of the module `Promise`.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import * as Layer from "effect/Layer";
import type * as Scope from "effect/Scope";
import * as Arrays from "../../Array.ts";
import { type Backend, SpawnError } from "../../Backend.ts";
import * as Barriers from "../../Barrier.ts";
import * as Events from "../../Event.ts";
import * as Locks from "../../Lock.ts";
import * as Pipes from "../../Pipe.ts";
import * as Pools from "../../Pool.ts";
import * as Processes from "../../Process.ts";
import type * as Model from "../../Promise.ts";
import * as Queues from "../../Queue.ts";
import * as Semaphores from "../../Semaphore.ts";
import * as Memories from "../../SharedMemory.ts";
import * as SubprocessBackend from "../../SubprocessBackend.ts";
import type { Task } from "../../Task.ts";
import * as Values from "../../Value.ts";
import * as WorkerBackend from "../../WorkerBackend.ts";
import * as Arguments from "../os/arguments.ts";
import { Barrier, Connection, Event, Lock, Queue, Semaphore, SharedArray, SharedMemory, Value } from "./objects.ts";
import { Pool, Process } from "./processes.ts";
import { acquire, demand, settle } from "./settle.ts";

/** Provides the backend named by the options, while the scope is open. */
const on = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  { backend = "subprocess" }: Model.BackendOptions,
): Effect.Effect<A, unknown, Exclude<R, Backend> | Scope.Scope> => {
  const layer = backend === "subprocess"
    ? SubprocessBackend.layer()
    : backend === "worker"
    ? WorkerBackend.layer()
    : backend;
  if (Arguments.layer(layer) !== undefined) {
    return Effect.fail(
      new SpawnError({
        reason: "InvalidArgument",
        message: Arguments.invalidOption(
          "process",
          `backend must be "subprocess", "worker" or a Layer, received ${Arguments.show(backend)}`,
        ),
      }),
    );
  }
  return Effect.flatMap(Layer.build(layer), (context) => Effect.provide(effect, context));
};

/** The types of the arguments of {@link spawn} and {@link run}. */
const checks: Arguments.Checks = { args: Arguments.list, options: Arguments.record };

export const spawn = async <Args extends ReadonlyArray<unknown>, A, E>(
  task: Task<Args, A, E>,
  args: Args,
  options: Model.SpawnOptions,
): Promise<Process<A>> => {
  demand("spawn", { args, options }, checks);
  return new Process(await acquire(on(Processes.spawnWith(task, args, options), options), options));
};

export const run = async <Args extends ReadonlyArray<unknown>, A, E>(
  task: Task<Args, A, E>,
  args: Args,
  options: Model.RunOptions,
): Promise<A> => {
  demand("run", { args, options }, checks);
  return await settle(Effect.scoped(on(Processes.runWith(task, args, options), options)), options);
};

export const pool = async (options: Model.PoolOptions): Promise<Pool> => {
  demand("pool", { options }, { options: Arguments.record });
  return new Pool(await acquire(on(Pools.make(options), options), options));
};

export const queue = async <A>(options: Queues.Options): Promise<Queue<A>> => {
  const { close, value } = await acquire(Queues.make<A>(options));
  return new Queue(value, close);
};

export const pipe = async <A, B>(
  options: Omit<Pipes.Options, "duplex">,
): Promise<readonly [Connection<A, B>, Connection<B, A>]> => {
  const { close, value: [one, other] } = await acquire(Pipes.make<A, B>(options));
  // The pipe forwards messages between other processes, so it lives until both ends are disposed of.
  let open = 2;
  const release = (): Promise<void> => --open === 0 ? close() : Promise.resolve();
  return [new Connection(one, release), new Connection(other, release)];
};

export const lock = async (): Promise<Lock> => {
  const { close, value } = await acquire(Locks.make());
  return new Lock(value, close);
};

export const semaphore = async (options: Semaphores.Options): Promise<Semaphore> => {
  const { close, value } = await acquire(Semaphores.make(options));
  return new Semaphore(value, close);
};

export const event = async (): Promise<Event> => {
  const { close, value } = await acquire(Events.make());
  return new Event(value, close);
};

export const barrier = async (parties: number): Promise<Barrier> => {
  const { close, value } = await acquire(Barriers.make({ parties }));
  return new Barrier(value, close);
};

export const sharedMemory = async (size: number): Promise<SharedMemory> => {
  const { close, value } = await acquire(Memories.make({ size }));
  return new SharedMemory(value, close);
};

export const value = async <T extends Values.Type>(type: T, initial: Values.Values[T]): Promise<Value<T>> => {
  const made = await acquire(Values.make(type, initial));
  return new Value<T>(made.value, made.close);
};

export const array = async <T extends Arrays.Type>(
  type: T,
  initial: number | Iterable<Arrays.Values[T]>,
): Promise<SharedArray<T>> => {
  const { close, value } = await acquire(Arrays.make(type, initial));
  return new SharedArray<T>(value, close);
};
