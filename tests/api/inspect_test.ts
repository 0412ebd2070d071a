/**
 * What the objects of the library have in common with those of Effect.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import {
  Array as SharedArray,
  Barrier,
  Condition,
  Event,
  Listener,
  Lock,
  Manager,
  Pipe,
  Pool,
  Process,
  Queue,
  ReadWriteLock,
  RLock,
  Semaphore,
  ShareableList,
  SharedMemory,
  SharedMemoryManager,
  Value,
  WorkerBackend,
} from "../../mod.ts";
import { assertEquals } from "../support/assert.ts";
import { test } from "../support/suite.ts";
import * as Tasks from "../support/lifetime_tasks.ts";

test(
  "an object can be piped, and is printed by its kind and its plain properties, as objects of Effect are",
  Effect.gen(function* () {
    const process = yield* Process.spawnWith(Tasks.linger, [], { name: "child", daemon: true });
    const manager = yield* Manager.make();
    const { host } = manager[Manager.TypeId];
    const objects: ReadonlyArray<readonly [object, string]> = [
      [yield* Pool.make({ size: 1 }), '{ _id: "Pool", size: 1 }'],
      [process, `{ _id: "Process", name: "child", daemon: true, pid: ${Deno.pid} }`],
      [process.handle, '{ _id: "ProcessHandle", host: "MainProcess" }'],
      [yield* Queue.make(), '{ _id: "Queue" }'],
      [(yield* Pipe.make())[0], '{ _id: "Connection", readable: true, writable: true }'],
      [yield* Listener.make({ authKey: false }), '{ _id: "Listener" }'],
      [yield* Lock.make(), '{ _id: "Lock" }'],
      [yield* RLock.make(), '{ _id: "RLock" }'],
      [yield* ReadWriteLock.make(), '{ _id: "ReadWriteLock" }'],
      [yield* Semaphore.make(), '{ _id: "Semaphore" }'],
      [yield* Condition.make(), '{ _id: "Condition" }'],
      [yield* Event.make(), '{ _id: "Event" }'],
      [yield* Barrier.make({ parties: 2 }), '{ _id: "Barrier", parties: 2 }'],
      [yield* SharedMemory.make({ size: 8 }), '{ _id: "SharedMemory" }'],
      [yield* SharedMemoryManager.make(), '{ _id: "SharedMemoryManager" }'],
      [yield* Value.make("i32"), '{ _id: "Value", type: "i32" }'],
      [yield* Value.struct({ x: "i32" }), '{ _id: "Struct" }'],
      [yield* Value.bytes(8), '{ _id: "Bytes", capacity: 8 }'],
      [yield* SharedArray.make("u8", 3), '{ _id: "Array", type: "u8", length: 3 }'],
      [yield* ShareableList.make([1]), '{ _id: "ShareableList", length: 1 }'],
      [manager, `{ _id: "Proxy", type: "Manager", host: "${host}", number: 0 }`],
      [yield* manager.dict(), `{ _id: "Proxy", type: "dict", host: "${host}", number: 1 }`],
    ];
    assertEquals(objects.map(([object]) => Deno.inspect(object)), objects.map(([_, text]) => text));
    const [pool] = objects.map(([object]) => object as Pool.Pool);
    assertEquals(yield* pool.pipe(({ statistics }) => statistics, Effect.map(({ size }) => size)), 1);
    for (const [object] of objects) assertEquals(typeof (object as Pool.Pool).pipe, "function");
    assertEquals(JSON.stringify(objects[0][0]), '{"_id":"Pool","size":1}');
    assertEquals(String(objects[0][0]), '{"_id":"Pool","size":1}');
    assertEquals([String(objects[3][0]), String(objects.at(-1)![0])], ["Queue(MainProcess)", `dict(${host}#1)`]);
  }).pipe(Effect.scoped, Effect.provide(WorkerBackend.layer())),
);
