/**
 * The server of a manager: keeps objects, and runs the calls of other processes on them.
 *
 * Other processes reach only the library's types, the types and tasks of the modules that the server was told of, and the
 * exposed methods of objects. Everything that they send is data.
 *
 * The parts of a server: `object_table.ts` (objects and their lives), `object_factory.ts` and `kinds.ts` (making objects),
 * `tasks.ts` (running tasks), `open_calls.ts` (calls that take time), `incoming_call.ts` (decoding a call and replying).
 *
 * @module
 */
import * as Context from "effect/Context";
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as Scope from "effect/Scope";
import * as Stream from "effect/Stream";
import type { Backend } from "../../../Backend.ts";
import { HandleId } from "../../objects/handles.ts";
import { QueueClient } from "../../queue/client.ts";
import { VarintReader } from "../../codec/varint.ts";
import { type Channel, LAST, type Receiver } from "../../rpc/link.ts";
import { CANCELLED, GONE, type Hosted, type Line } from "../../rpc/router.ts";
import { Credit, produce } from "../../rpc/streams.ts";
import * as Codec from "../../codec/codec.ts";
import { isInstance } from "../../codec/foreign.ts";
import type { Incoming } from "../../codec/message.ts";
import { ProtocolError } from "../../transport/frames.ts";
import { DeferredReceiver } from "../deferred_receiver.ts";
import { ManagerError } from "../errors.ts";
import * as P from "../protocol.ts";
import { foreignHooks } from "../proxies/make.ts";
import { DictHost } from "./dict.ts";
import { openQueue } from "./foreign_queue.ts";
import { IncomingCall } from "./incoming_call.ts";
import { ListHost } from "./list.ts";
import { ObjectFactory } from "./object_factory.ts";
import { type ManagedObject, ObjectTable, type ServerRef } from "./object_table.ts";
import { ignored, ServerCalls } from "./open_calls.ts";
import {
  andThen,
  asStream,
  asStreamOrIterable,
  evaluate,
  HandlesLoading,
  isPending,
  isReply,
  runLibraryCode,
  streamError,
  toEffect,
  unexpectedStream,
} from "./results.ts";
import { type Reference, Tasks } from "./tasks.ts";

/** Locks and barriers: a caller attaches to the object, and waits for its messages. */
interface Attachable {
  readonly attach: (line: Line, message: Incoming, numbers: VarintReader) => Receiver;
}

const isAttachable = ({ number, target }: ManagedObject): boolean => number !== 0 && "attach" in target;

/** Dicts and lists: a value that is taken out is put back if its taker dies before it has the value. */
interface Lending {
  /** Returns a `Loan`, or an Effect of one. */
  readonly lend: (method: string, args: ReadonlyArray<unknown>) => unknown;
}

const isLending = (target: object): target is Lending => target instanceof DictHost || target instanceof ListHost;

/** Whether the decoded content of a call names a method. */
const isCall = (value: unknown): value is [method: string, ...args: ReadonlyArray<unknown>] =>
  Array.isArray(value) && typeof value[0] === "string";

/** Options of a {@link ManagerServer}. */
export interface ServerOptions {
  /** URLs of the modules whose types and tasks may be used. */
  readonly modules: Iterable<string>;
  /** Types and tasks that other programs may use by name, since they may know the modules by other URLs. */
  readonly types?: ReadonlyArray<Reference>;
  readonly tasks?: ReadonlyArray<Reference>;
}

/** The server of a manager. */
export class ManagerServer implements Hosted {
  readonly tasks: Tasks;
  readonly #objects: ObjectTable;
  readonly #factory: ObjectFactory;
  readonly #calls: ServerCalls;
  readonly #services: Context.Context<Backend | Scope.Scope>;
  /** Opens, in order, the calls that wait until kinds of handles have been loaded. */
  #waiting: Array<() => void> | undefined;
  #count = 0;
  #closed = false;

  constructor({ modules, tasks, types }: ServerOptions, services: Context.Context<Backend | Scope.Scope>) {
    this.#services = services;
    this.tasks = new Tasks(new Set(modules), Context.get(services, Scope.Scope), tasks);
    this.#objects = new ObjectTable((object) => void Effect.runFork(Effect.provide(object.close(), services)));
    this.#calls = new ServerCalls(services, this.#objects);
    this.#factory = new ObjectFactory(
      {
        tasks: this.tasks,
        objects: this.#objects,
        provide: this.provide,
      },
      types,
    );
  }

  /** Called once the server is hosted at its place. */
  settle(ref: ServerRef): void {
    const methods = this.#ownMethods;
    this.#objects.settle(ref, {
      type: "Manager",
      target: methods,
      shape: undefined,
      exposed: new Set(Object.keys(methods)),
      returns: {},
      custom: false,
      close: () => Effect.void,
    });
  }

  /** Opens a call of a process of this family. */
  readonly open = (operation: number, line: Line, message: Incoming): Receiver =>
    this.#open(operation, new IncomingCall(line), message);

  /** Opens a call of another program. Its first byte is the operation. */
  readonly openForeign = (channel: Channel, { attachments, bytes }: Incoming): Receiver => {
    const message = { bytes: bytes.subarray(1), attachments };
    const receiver = this.#open(bytes[0], new IncomingCall(channel, this.#foreignHooks), message);
    return {
      ...receiver,
      credit: (count) => {
        if (count === LAST) channel.forget();
        receiver.credit?.(count);
      },
    };
  };

  /** Runs an Effect with the services of the server, in a scope of its own. */
  readonly provide = <A, E>(effect: Effect.Effect<A, E, Backend | Scope.Scope>): Effect.Effect<A, E> =>
    Effect.provide(Effect.scoped(effect), this.#services);

  /** Ends all calls, and frees all objects. */
  readonly close: Effect.Effect<void> = Effect.suspend(() => {
    this.#closed = true;
    this.#calls.end();
    return this.#objects.close;
  });

  /** Objects of this server travel to other programs and back by their number. No other handle can be sent there. */
  readonly #foreignHooks = foreignHooks(
    (value) => {
      const object = this.#objects.findHandle(value);
      if (object === undefined) return undefined;
      const { handle, number, shape, type } = object;
      if (!(handle instanceof QueueClient)) return [number, type, shape];
      const { ahead, capacity, confirm, maxBytes, ordered, redeliver } = handle[HandleId].encode();
      return [number, type, { ahead, capacity, confirm, maxBytes, ordered, redeliver }];
    },
    ([number]) => {
      const object = this.#objects.find(number);
      if (object === undefined) throw new TypeError(`there is no object ${number}`);
      return object.handle as object;
    },
  );

  /** The methods of the server itself, which is its own object 0. */
  readonly #ownMethods: Readonly<Record<string, (...args: ReadonlyArray<never>) => unknown>> = {
    statistics: () => ({ ...this.#objects.statistics, calls: this.#count, pending: this.#calls.size }),
    debug: () => this.#objects.list(),
    value: (number: number) => valueOf(this.#objects.get(number)),
    inspect: (number: number) => Deno.inspect(valueOf(this.#objects.get(number)), { depth: 4 }),
    lease: (number: number, millis: number) => this.#objects.lease(this.#objects.get(number), millis),
    publish: (name: string, value: unknown) => this.#objects.publish(name, value),
    find: (name: string) => this.#objects.published(name)?.handle,
  };

  #open(operation: number, call: IncomingCall, message: Incoming): Receiver {
    if (this.#waiting !== undefined) return this.#openLater(this.#waiting, operation, call, message);
    if (this.#closed) {
      call.end(GONE);
      return ignored;
    }
    this.#count++;
    try {
      return this.#dispatch(operation, call, message);
    } catch (error) {
      if (isInstance(error, HandlesLoading)) {
        this.#count--;
        return this.#openLater(this.#waitFor(error.done), operation, call, message);
      }
      if (isInstance(error, ProtocolError)) throw error;
      // An argument that throws when it is used is a defect of this call only.
      call.fail(error, isReply(error) ? Exit.fail(error) : Exit.die(error));
      return ignored;
    }
  }

  #dispatch(operation: number, call: IncomingCall, message: Incoming): Receiver {
    switch (operation) {
      case P.CALL:
        return this.#call(call, message);
      case P.CREATE:
        return this.#calls.retain(call, () => this.#create(call, message));
      case P.CALL_KEPT:
        return this.#calls.retain(call, () => this.#callKept(call, message));
      case P.RETAIN:
        return this.#calls.retain(call, () => this.#find(new VarintReader(message.bytes, 0)));
      case P.STREAM:
        return this.#stream(call, message);
      case P.TAKE:
        return this.#take(call, message);
      case P.ATTACH:
        return this.#attach(call, message);
      case P.QUEUE:
        return this.#queue(call, message);
      default:
        throw new ProtocolError(`Cannot read from the peer: a manager has no operation ${operation}`);
    }
  }

  /** Postpones all calls until kinds of handles have been loaded. */
  #waitFor(loaded: Promise<void>): Array<() => void> {
    const waiting: Array<() => void> = this.#waiting = [];
    loaded.then(() => {
      this.#waiting = undefined;
      for (const open of waiting) open();
    });
    return waiting;
  }

  /** Opens a call after the calls that came before it. */
  #openLater(waiting: Array<() => void>, operation: number, call: IncomingCall, message: Incoming): Receiver {
    const deferred = new DeferredReceiver();
    waiting.push(() => {
      try {
        deferred.open(this.#open(operation, call, message));
      } catch (error) {
        if (!(error instanceof ProtocolError)) throw error;
        call.end(GONE);
        deferred.open(ignored);
      }
    });
    return deferred;
  }

  #find(numbers: VarintReader): ManagedObject {
    return this.#objects.get(numbers.next());
  }

  #parse(
    call: IncomingCall,
    message: Incoming,
  ): readonly [object: ManagedObject, method: string, args: ReadonlyArray<unknown>] {
    const numbers = new VarintReader(message.bytes, 0);
    const object = this.#find(numbers);
    const content = call.decode(message, numbers.at);
    if (!isCall(content)) throw new ManagerError("InvalidArguments", "Cannot read the call: it names no method");
    const [method, ...args] = content;
    return [object, method, args];
  }

  /** Calls a method. Returns its result; see `results.ts`. */
  #invoke(call: IncomingCall, object: ManagedObject, method: string, args: ReadonlyArray<unknown>): unknown {
    const { custom, exposed, number, target, type } = object;
    if (!exposed.has(method) || (call.isForeign && number === 0 && method === "publish")) {
      throw new ManagerError("NotExposed", `Cannot call ${type}.${method}: it exposes ${[...exposed].join(", ")}`);
    }
    const run = (): unknown =>
      (target as Record<string, (...args: ReadonlyArray<unknown>) => unknown>)[method](...args);
    return custom ? evaluate(`${type}.${method}`, run) : runLibraryCode(`call ${type}.${method}`, run);
  }

  #call(call: IncomingCall, message: Incoming): Receiver {
    const [object, method, args] = this.#parse(call, message);
    const value = this.#invoke(call, object, method, args);
    if (isPending(value)) return this.#calls.run(call, Effect.scoped(value));
    if (asStream(value) !== undefined) throw unexpectedStream(object.type, method);
    call.succeed(value);
    return ignored;
  }

  #create(call: IncomingCall, message: Incoming): unknown {
    const content = call.decode(message, 0);
    if (!isCall(content) || typeof content[1] !== "string") {
      throw new ManagerError("InvalidArguments", "Cannot make an object: the call names no type");
    }
    const [url, name, ...args] = content;
    return this.#factory.make(url, name, args, call.isForeign);
  }

  #callKept(call: IncomingCall, message: Incoming): unknown {
    const [object, method, args] = this.#parse(call, message);
    const type = Object.hasOwn(object.returns, method) ? object.returns[method] : undefined;
    if (type === undefined) {
      throw new ManagerError(
        "InvalidResult",
        `Cannot keep the result of ${object.type}.${method}: name the method in the \`returns\` of its type`,
      );
    }
    return andThen(this.#invoke(call, object, method, args), (value) => this.#factory.adoptResult(type, value));
  }

  #take(call: IncomingCall, message: Incoming): Receiver {
    const [{ target, type }, method, args] = this.#parse(call, message);
    if (!isLending(target)) throw new ManagerError("NotExposed", `Cannot take anything out of a ${type}`);
    return this.#calls.lend(call, () => runLibraryCode(`call ${type}.${method}`, () => target.lend(method, args)));
  }

  #attach(call: IncomingCall, message: Incoming): Receiver {
    const numbers = new VarintReader(message.bytes, 0);
    const object = this.#find(numbers);
    if (!isAttachable(object)) {
      throw new ManagerError("NotExposed", `Cannot wait for a ${object.type}: it is not a lock or a barrier`);
    }
    return (object.target as Attachable).attach(call.line, message, numbers);
  }

  #queue(call: IncomingCall, message: Incoming): Receiver {
    const numbers = new VarintReader(message.bytes, 0);
    const object = this.#find(numbers);
    return openQueue(object, call.line, message, numbers.at);
  }

  /** Runs the Stream that a method returns, once the caller has given credit. */
  #stream(call: IncomingCall, message: Incoming): Receiver {
    const [object, method, args] = this.#parse(call, message);
    const name = `${object.type}.${method}`;
    const result = toEffect(() => this.#invoke(call, object, method, args));
    const elements = Stream.unwrap(Effect.flatMap(result, (value) => {
      const stream = asStreamOrIterable(value);
      if (stream === undefined) {
        return Effect.fail(
          new ManagerError("InvalidResult", `Cannot read ${name}: its result is neither a Stream nor iterable`),
        );
      }
      return Effect.succeed(
        object.custom ? Stream.mapError(stream, (error) => streamError(name, value, error)) : stream,
      );
    }));
    const credit = new Credit();
    const produced = produce(elements, call.line, credit, (batch) =>
      Effect.try({
        try: () => Codec.encode(batch, { hooks: call.hooks, root: "element" }),
        catch: (error) => error,
      }));
    let running: Receiver | undefined;
    return {
      credit: (count) => {
        credit.add(count);
        running ??= this.#calls.run(call, Effect.scoped(produced));
      },
      cancel: () => {
        if (running === undefined) call.end(CANCELLED);
        else running.cancel?.();
      },
      closed: (reason) => running?.closed(reason),
    };
  }
}

/** The content of an object, for diagnosis. */
const valueOf = ({ custom, target }: ManagedObject): unknown => {
  if (custom) return { ...target };
  return "value" in target && typeof target.value === "function" ? target.value() : undefined;
};
