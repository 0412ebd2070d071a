/**
 * The server of a manager: keeps objects for others, and does to them what others ask for.
 *
 * How long an object lives: it is held by whoever made it, until his scope closes or he dies, and by whoever retains it, in the
 * same way; a hold is a call that stays open (see `protocol.ts`). An object without holds is freed, whatever refers to it: a
 * handle, in a message or in another object, does not keep it, so nothing is kept for the dead, cycles are no trouble, and
 * whoever meets a handle of what is gone is told so. Who gives a handle away and does not wait until it has arrived keeps the object
 * for a while with a lease.
 *
 * What others can reach: the types of the library, the types and tasks of the modules that this server was told of, of an object
 * the methods that are exposed. All that comes is data.
 *
 * @module
 */
import * as Context from "effect/Context";
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as Scope from "effect/Scope";
import * as Stream from "effect/Stream";
import type { Backend } from "../../../Backend.ts";
import { foreign, HandleId } from "../../objects/handles.ts";
import { unpack } from "../../objects/packets.ts";
import { QueueClient } from "../../queue/client.ts";
import { VarintReader } from "../../codec/varint.ts";
import { CONFIRMED_ITEMS, ITEMS, PUT } from "../../queue/protocol.ts";
import { type Channel, LAST, type Receiver } from "../../rpc/link.ts";
import { CANCELLED, GONE, type Hosted, type Line, local } from "../../rpc/router.ts";
import { Credit, produce } from "../../rpc/streams.ts";
import { after } from "../../os/timer.ts";
import * as Codec from "../../codec/codec.ts";
import { pretty } from "../../codec/cause.ts";
import { isInstance, messageOf } from "../../codec/foreign.ts";
import { ProtocolError } from "../../transport/frames.ts";
import type { Incoming } from "../../codec/message.ts";
import type { Place } from "../calls.ts";
import { ManagerError } from "../errors.ts";
import * as P from "../protocol.ts";
import { abroad, proxy, type Shape, together } from "../proxies.ts";
import { isProxy, TypeId } from "../remote.ts";
import * as Types from "../types.ts";
import { Caller, Freed, Loading } from "./caller.ts";
import { DictHost } from "./dict.ts";
import { kinds, type Made } from "./kinds.ts";
import { ListHost } from "./list.ts";
import { asSteps, asStream, unnamed, wrapped } from "./results.ts";
import { isPending, lifted, type Reference, settled, Tasks, then, Thrown } from "./tasks.ts";
import { type Held, Underway } from "./open_calls.ts";

/** An object, and what is known of it. */
export interface Entry extends Held {
  readonly number: number;
  readonly type: string;
  readonly target: object;
  /** What its handle says besides. */
  readonly shape: Shape | undefined;
  readonly exposed: ReadonlySet<string>;
  readonly returns: Types.Definition["returns"];
  /** How its methods are called in messages. */
  readonly custom: boolean;
  /** Closes what it has of its own. */
  readonly close: () => Effect.Effect<unknown>;
}

/** What can be called on an object that waits for its methods: nothing of this is asked of others. */
export interface Attachable {
  readonly attach: (line: Line, numbers: VarintReader) => Receiver;
}

const isAttachable = (target: object): target is Attachable => "attach" in target;

/** What others can take something out of, without a loss if they die meanwhile. */
interface Lending {
  /** Gives a {@link Lent}, or an Effect of one. */
  readonly lend: (method: string, args: ReadonlyArray<unknown>) => unknown;
}

const isLending = (target: object): target is Lending => target instanceof DictHost || target instanceof ListHost;

/** The end of a call from the caller's side. */
const deaf: Receiver = { closed: () => {} };

/** Whether a method is named; others are the fault of the caller. */
const isCall = (value: unknown): value is [method: string, ...args: ReadonlyArray<unknown>] =>
  Array.isArray(value) && typeof value[0] === "string";

/** Where a server stands, for the handles of its objects. */
export interface Position {
  readonly address: string;
  readonly gate: number;
  readonly host: string;
}

/** Options of a {@link Server}. */
export interface Options {
  /** URLs of the modules whose types and tasks may be used. */
  readonly modules: Iterable<string>;
  /** Types and tasks that may be used besides, by their names: for programs that know their modules by other URLs. */
  readonly types?: ReadonlyArray<Reference>;
  readonly tasks?: ReadonlyArray<Reference>;
}

/** The objects of a manager. */
export class Server implements Hosted {
  readonly tasks: Tasks;
  readonly #objects = new Map<number, Entry>();
  readonly #numbers = new WeakMap<object, Entry>();
  /** Queues by the object that hosts them. */
  readonly #queues = new Map<number, Entry>();
  readonly #types: ReadonlyMap<string, Reference>;
  readonly #published = new Map<string, Entry>();
  readonly #underway: Underway<Entry>;
  /** What stops the timers of leases. */
  readonly #leases = new Set<() => void>();
  readonly #services: Context.Context<Backend | Scope.Scope>;
  readonly #scope: Scope.Scope;
  #position: Position = { address: "", gate: 0, host: "" };
  #next = 0;
  #made = 0;
  #calls = 0;
  /** What opens the calls that wait until kinds of handles have been loaded, in order. */
  #postponed: Array<() => void> | undefined;
  #closed = false;

  constructor(options: Options, services: Context.Context<Backend | Scope.Scope>) {
    this.#services = services;
    this.#underway = new Underway(services, (entry) => this.unhold(entry));
    this.#scope = Context.get(services, Scope.Scope);
    this.tasks = new Tasks(new Set(options.modules), this.#scope, options.tasks);
    this.#types = new Map((options.types ?? []).map((type) => [type[1], type]));
  }

  /** Objects of this server go to other programs and come from there by their number; nothing else of this family does. */
  readonly #abroad = abroad(
    (value) => {
      const entry = this.#owned(value);
      if (entry === undefined) return undefined;
      if (entry.number === 0) return [0, entry.type, undefined];
      if (!(entry.handle instanceof QueueClient)) return [entry.number, entry.type, entry.shape];
      const { ahead, capacity, confirm, maxBytes, ordered, redeliver } = entry.handle[HandleId].encode();
      return [entry.number, entry.type, { ahead, capacity, confirm, maxBytes, ordered, redeliver }];
    },
    ([number]) => {
      const entry = number === 0 ? this.#self : this.#objects.get(number);
      if (entry === undefined) throw new TypeError(`there is no object ${number}`);
      return entry.handle as object;
    },
  );

  /** The object of this server that a handle stands for. */
  #owned(value: unknown): Entry | undefined {
    if (isProxy(value)) {
      const place = value[TypeId];
      if (!together(place, { ...this.#position, number: 0, type: "" })) return undefined;
      return place.number === 0 ? this.#self : this.#objects.get(place.number);
    }
    if (!(value instanceof QueueClient)) return undefined;
    const { address, object } = value[HandleId].encode();
    return address === this.#position.address ? this.#queues.get(object) : undefined;
  }

  /** Called once it is hosted. */
  settle(position: Position): void {
    this.#position = position;
    this.#self = { ...this.#self, handle: proxy({ ...position, number: 0, type: "Manager", shape: undefined }) };
  }

  /** A call of somebody of the family. */
  readonly open = (operation: number, line: Line, message: Incoming): Receiver =>
    this.#open(operation, new Caller(line), message);

  /** A call of another program: its first byte is the operation. */
  readonly openForeign = (channel: Channel, { attachments, bytes }: Incoming): Receiver => {
    const message = { bytes: bytes.subarray(1), attachments };
    const receiver = this.#open(bytes[0], new Caller(channel, this.#abroad), message);
    return {
      ...receiver,
      credit: (count) => {
        if (count === LAST) channel.forget();
        receiver.credit?.(count);
      },
    };
  };

  #open(operation: number, caller: Caller, message: Incoming): Receiver {
    if (this.#postponed !== undefined) return this.#postpone(this.#postponed, operation, caller, message);
    if (this.#closed) {
      caller.end(GONE);
      return deaf;
    }
    this.#calls++;
    try {
      switch (operation) {
        case P.CALL:
          return this.#call(caller, message);
        case P.CREATE:
          return this.#underway.keep(caller, () => this.#create(caller, caller.decode(message, 0)));
        case P.CALL_KEPT:
          return this.#underway.keep(caller, () => this.#callKept(caller, message));
        case P.RETAIN:
          return this.#underway.keep(caller, () => this.#find(new VarintReader(message.bytes, 0)));
        case P.STREAM:
          return this.#stream(caller, message);
        case P.TAKE:
          return this.#take(caller, message);
        case P.ATTACH:
          return this.#attach(caller, message);
        case P.QUEUE:
          return this.#queue(caller, message);
      }
    } catch (error) {
      if (isInstance(error, Loading)) {
        this.#calls--;
        const postponed = this.#postponed = [];
        error.done.then(() => {
          this.#postponed = undefined;
          for (const open of postponed as ReadonlyArray<() => void>) open();
        });
        return this.#postpone(postponed, operation, caller, message);
      }
      if (isInstance(error, ProtocolError)) throw error;
      // A value that throws when it is touched is a defect of this call, and of no other.
      caller.refuse(error, isOurs(error) ? Exit.fail(error) : Exit.die(error));
      return deaf;
    }
    throw new ProtocolError(`Cannot read from the peer: a manager has no operation ${operation}`);
  }

  /** Opens a call when those before it have been opened. */
  #postpone(
    postponed: Array<() => void>,
    operation: number,
    caller: Caller,
    message: Incoming,
  ): Receiver {
    let receiver: Receiver | undefined;
    const heard: Array<(receiver: Receiver) => void> = [];
    const hear = (action: (receiver: Receiver) => void): void => {
      if (receiver === undefined) heard.push(action);
      else action(receiver);
    };
    postponed.push(() => {
      try {
        receiver = this.#open(operation, caller, message);
      } catch (error) {
        if (!(error instanceof ProtocolError)) throw error;
        caller.end(GONE);
        receiver = deaf;
      }
      for (const action of heard) action(receiver);
    });
    return {
      data: (message) => hear((receiver) => receiver.data?.(message)),
      credit: (count) => hear((receiver) => receiver.credit?.(count)),
      cancel: () => hear((receiver) => receiver.cancel?.()),
      closed: (reason) => hear((receiver) => receiver.closed(reason)),
    };
  }

  /** Ends a call with what became of it; handles are not for everybody. */
  readonly answer = (line: Line, exit: Exit.Exit<unknown, unknown>): void => new Caller(line, foreign).answer(exit);

  /** Runs as methods do. */
  provided<A, E>(effect: Effect.Effect<A, E, Backend | Scope.Scope>): Effect.Effect<A, E> {
    return Effect.provide(Effect.scoped(effect), this.#services);
  }

  /** Keeps an object of this server for another one. `undefined` if it is none of this server. */
  hold({ address, gate, number }: Place): Entry | undefined {
    if (address !== this.#position.address || gate !== this.#position.gate) return undefined;
    const entry = this.#entry(number);
    entry.holds++;
    return entry;
  }

  /** Gives a hold back. The last one frees the object. */
  unhold(entry: Entry): void {
    if (--entry.holds > 0 || !this.#objects.delete(entry.number)) return;
    if (entry.handle instanceof QueueClient) this.#queues.delete(entry.handle[HandleId].encode().object);
    Effect.runFork(Effect.provide(entry.close(), this.#services));
  }

  /** Frees all objects: whoever waits for something is told that it is gone. */
  readonly release: Effect.Effect<void> = Effect.suspend(() => {
    this.#closed = true;
    this.#underway.end();
    for (const stop of this.#leases) stop();
    const entries = [...this.#objects.values()];
    this.#objects.clear();
    return Effect.forEach(entries, ({ close }) => close(), { discard: true });
  });

  /** The answers of the server itself, as the object 0. */
  readonly #own: Readonly<Record<string, (...args: ReadonlyArray<never>) => unknown>> = {
    statistics: () => this.#statistics(),
    debug: () => Array.from(this.#objects.values(), ({ holds, number, type }) => ({ object: number, type, holds })),
    value: (object: number) => valueOf(this.#entry(object)),
    inspect: (object: number) => Deno.inspect(valueOf(this.#entry(object)), { depth: 4 }),
    lease: (object: number, millis: number) => this.#lease(this.#entry(object), millis),
    publish: (name: string, value: unknown) => this.#publish(name, value),
    find: (name: string) => this.#published.get(name)?.handle,
  };

  #publish(name: string, value: unknown): void {
    const entry = value === undefined ? undefined : this.#owned(value);
    if (typeof name !== "string" || (value !== undefined && (entry === undefined || entry.number === 0))) {
      throw new ManagerError("InvalidArguments", "Cannot publish it: it must be an object of this manager");
    }
    const before = this.#published.get(name);
    this.#published.delete(name);
    if (entry !== undefined) {
      entry.holds++;
      this.#published.set(name, entry);
    }
    if (before !== undefined) this.unhold(before);
  }

  #self: Entry = {
    number: 0,
    type: "Manager",
    target: this.#own,
    shape: undefined,
    exposed: new Set(Object.keys(this.#own)),
    returns: {},
    custom: false,
    handle: undefined as unknown,
    close: () => Effect.void,
    holds: 1,
  };

  #statistics(): unknown {
    const types: Record<string, number> = {};
    let holds = 0;
    for (const entry of this.#objects.values()) {
      types[entry.type] = (types[entry.type] ?? 0) + 1;
      holds += entry.holds;
    }
    const { size } = this.#objects;
    return { objects: size, types, holds, made: this.#made, calls: this.#calls, pending: this.#underway.size };
  }

  #lease(entry: Entry, millis: number): void {
    if (!(millis > 0)) throw new ManagerError("InvalidArguments", "Cannot keep the object: the time must be positive");
    entry.holds++;
    const stop = after(millis, () => {
      this.#leases.delete(stop);
      this.unhold(entry);
    });
    this.#leases.add(stop);
  }

  #entry(number: number): Entry {
    const entry = number === 0 ? this.#self : this.#objects.get(number);
    if (entry === undefined) throw new Freed();
    return entry;
  }

  #find(numbers: VarintReader): Entry {
    return this.#entry(numbers.next());
  }

  #parse(caller: Caller, message: Incoming): readonly [entry: Entry, method: string, args: ReadonlyArray<unknown>] {
    const numbers = new VarintReader(message.bytes, 0);
    const entry = this.#find(numbers);
    const call = caller.decode(message, numbers.at);
    if (!isCall(call)) throw new ManagerError("InvalidArguments", "Cannot read the call: it names no method");
    const [method, ...args] = call;
    return [entry, method, args];
  }

  #invoke(caller: Caller, entry: Entry, method: string, args: ReadonlyArray<unknown>): unknown {
    const { custom, exposed, target, type } = entry;
    if (!exposed.has(method) || (caller.stranger && entry === this.#self && method === "publish")) {
      throw new ManagerError("NotExposed", `Cannot call ${type}.${method}: it exposes ${[...exposed].join(", ")}`);
    }
    const call = (): unknown =>
      (target as Record<string, (...args: ReadonlyArray<unknown>) => unknown>)[method](...args);
    if (custom) return settled(`${type}.${method}`, call);
    return checked(`call ${type}.${method}`, call);
  }

  #call(caller: Caller, message: Incoming): Receiver {
    const [entry, method, args] = this.#parse(caller, message);
    const value = this.#invoke(caller, entry, method, args);
    if (isPending(value)) return this.#underway.run(caller, Effect.scoped(value));
    if (asStream(value) !== undefined) throw unnamed(entry.type, method);
    caller.value(value);
    return deaf;
  }

  #create(caller: Caller, call: unknown): unknown {
    if (!isCall(call) || typeof call[1] !== "string") {
      throw new ManagerError("InvalidArguments", "Cannot make an object: no type is named");
    }
    const [url, name, ...args] = call;
    if (url === P.BUILTIN) {
      const kind = Object.hasOwn(kinds, name) ? kinds[name] : undefined;
      if (kind === undefined) throw new ManagerError("UnknownType", `Cannot make a ${name}: there is no such type`);
      if (caller.stranger && kind.family === true) {
        throw new ManagerError("NotExposed", `Cannot make a ${name} for another program`);
      }
      const number = ++this.#next;
      const make = (): unknown => checked(`make a ${name}`, () => kind.make(this, number, args));
      return then(make(), (made) => {
        const { close, handle, shape, target } = made as Made;
        return this.#register({
          number,
          type: name,
          target,
          shape,
          exposed: kind.exposed,
          returns: {},
          custom: false,
          handle,
          close: () => close ?? Effect.void,
        });
      });
    }
    const found = this.tasks.knows(url) ? [url, name] as const : this.#types.get(name);
    const [home, own] = found ?? [url, name];
    const loading = found && this.tasks.import(home);
    const definition = loading && Types.lookup(home, own);
    if (definition !== undefined) return this.#construct(definition, args);
    const unknown = new ManagerError(
      "UnknownType",
      `Cannot make a ${name} in the manager's server: ${
        loading === undefined
          ? `it was not told of ${url}; name the module in the options of the manager`
          : `${url} defines no such type at its top level`
      }`,
    );
    if (loading === undefined) throw unknown;
    return then(loading, () => {
      const definition = Types.lookup(home, own);
      if (definition === undefined) throw unknown;
      return this.#construct(definition, args);
    });
  }

  #construct(definition: Types.Definition, args: ReadonlyArray<unknown>): unknown {
    const { isClass, make, name } = definition;
    const Class = make as unknown as new (...args: ReadonlyArray<unknown>) => unknown;
    const call = make as (...args: ReadonlyArray<unknown>) => unknown;
    const value = settled(isClass ? `new ${name}` : name, () => isClass ? new Class(...args) : call(...args));
    if (!isPending(value)) return this.#adopt(definition, value, undefined);
    // What it needs a scope for lives as long as the object does.
    return Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(Scope.make(), (scope) =>
        Effect.onError(
          Effect.flatMap(
            restore(Effect.provideService(value, Scope.Scope, scope)),
            (value) => lifted(() => this.#adopt(definition, value, scope)),
          ),
          (cause) => Scope.close(scope, Exit.failCause(cause)),
        ))
    );
  }

  /** Makes an object of what a constructor or a method gave. */
  #adopt(definition: Types.Definition, value: unknown, scope: Scope.CloseableScope | undefined): Entry {
    const { exposed, name, returns, streams } = definition;
    if (typeof value !== "object" || value === null) {
      throw new ManagerError("InvalidResult", `Cannot keep a ${name}: it must be an object, received ${typeof value}`);
    }
    const known = this.#numbers.get(value);
    if (known !== undefined && known.type === name && this.#objects.has(known.number)) return known;
    const methods = own(
      name,
      () =>
        (exposed ?? Types.publicMethods(value)).filter((method) => typeof Reflect.get(value, method) === "function"),
    );
    const entry = this.#register({
      number: ++this.#next,
      type: name,
      target: value,
      shape: { methods, streams, kept: Object.keys(returns) },
      exposed: new Set(methods),
      returns,
      custom: true,
      handle: undefined,
      close: () =>
        Effect.zipRight(dispose(name, value), scope === undefined ? Effect.void : Scope.close(scope, Exit.void)),
    });
    this.#numbers.set(value, entry);
    return entry;
  }

  #register(entry: Omit<Entry, "holds">): Entry {
    const { number, shape, type } = entry;
    const handle = entry.handle ?? proxy({ ...this.#position, number, type, shape });
    const registered = { ...entry, handle, holds: 0 };
    this.#objects.set(number, registered);
    if (handle instanceof QueueClient) this.#queues.set(handle[HandleId].encode().object, registered);
    this.#made++;
    return registered;
  }

  #callKept(caller: Caller, message: Incoming): unknown {
    const [entry, method, args] = this.#parse(caller, message);
    const type = Object.hasOwn(entry.returns, method) ? entry.returns[method] : undefined;
    if (type === undefined) {
      throw new ManagerError(
        "InvalidResult",
        `Cannot keep what ${entry.type}.${method} returns: it is not in \`returns\``,
      );
    }
    return then(this.#invoke(caller, entry, method, args), (value) => {
      const definition = Types.lookup(type.url, type.name);
      if (definition === undefined) {
        throw new ManagerError("UnknownType", `Cannot keep a ${type.name}: it is not defined`);
      }
      return this.#adopt(definition, value, undefined);
    });
  }

  #take(caller: Caller, message: Incoming): Receiver {
    const [{ target, type }, method, args] = this.#parse(caller, message);
    if (!isLending(target)) throw new ManagerError("NotExposed", `Cannot take anything out of a ${type}`);
    return this.#underway.lend(caller, () => checked(`call ${type}.${method}`, () => target.lend(method, args)));
  }

  #attach(caller: Caller, message: Incoming): Receiver {
    const numbers = new VarintReader(message.bytes, 0);
    const { target, type } = this.#find(numbers);
    if (!isAttachable(target) || type === "Manager") {
      throw new ManagerError("NotExposed", `Cannot wait for a ${type}: it is no lock`);
    }
    return target.attach(caller.line, numbers);
  }

  /** A call of a queue, from another program: its items are data, also for those of this family who take them. */
  #queue(caller: Caller, { attachments, bytes }: Incoming): Receiver {
    const numbers = new VarintReader(bytes, 0);
    const { handle, type } = this.#find(numbers);
    const operation = bytes[numbers.at];
    const place = handle instanceof QueueClient ? local(handle[HandleId].encode()) : undefined;
    if (place === undefined || operation === undefined) {
      throw new ManagerError("NotExposed", `Cannot use a ${type} as a queue: it is none`);
    }
    const checked = (message: Incoming): Incoming => {
      if (operation === PUT && (message.bytes[0] === ITEMS || message.bytes[0] === CONFIRMED_ITEMS)) {
        for (const { bytes } of unpack(message, 1, "message")) {
          if (!Codec.requires(bytes).includes("handle")) continue;
          throw new ProtocolError("Cannot read from the peer: it puts a handle into a queue of another program");
        }
      }
      return message;
    };
    const first = checked({ attachments, bytes: bytes.subarray(numbers.at + 1) });
    const receiver = place.open(operation, caller.line, first, false);
    return { ...receiver, data: (message) => receiver.data?.(checked(message)) };
  }

  #stream(caller: Caller, message: Incoming): Receiver {
    const [entry, method, args] = this.#parse(caller, message);
    const made = lifted(() => this.#invoke(caller, entry, method, args));
    const stream = Stream.unwrap(Effect.flatMap(made, (value) => {
      const stream = asStream(value) ?? asSteps(value);
      return stream === undefined
        ? Effect.fail(
          new ManagerError("InvalidResult", `Cannot read ${entry.type}.${method}: what it returned is no Stream`),
        )
        : Effect.succeed(
          entry.custom ? Stream.mapError(stream, (error) => wrapped(entry.type, method, value, error)) : stream,
        );
    }));
    const credit = new Credit();
    const produced = produce(stream, caller.line, credit, (elements) =>
      Effect.try({
        try: () => Codec.encode(elements, { hooks: caller.hooks, root: "element" }),
        catch: (error) => error,
      }));
    let receiver: Receiver | undefined;
    return {
      credit: (count) => {
        credit.add(count);
        receiver ??= this.#underway.run(caller, Effect.scoped(produced));
      },
      cancel: () => {
        if (receiver === undefined) caller.end(CANCELLED);
        else receiver.cancel?.();
      },
      closed: (reason) => receiver?.closed(reason),
    };
  }
}

/** Whether an exception says by itself how the call ends. */
const isOurs = (error: unknown): boolean =>
  isInstance(error, ManagerError) || isInstance(error, Freed) || isInstance(error, Thrown);

/** Touches an object of the user's. */
const own = <A>(name: string, touch: () => A): A => {
  try {
    return touch();
  } catch (error) {
    throw new Thrown(name, error);
  }
};

/** What the library's own types throw is the fault of the arguments. */
const checked = (what: string, call: () => unknown): unknown => {
  try {
    return call();
  } catch (error) {
    if (isOurs(error)) throw error;
    throw new ManagerError("InvalidArguments", `Cannot ${what} with these arguments: ${messageOf(error)}`);
  }
};

const valueOf = ({ custom, target }: Entry): unknown => {
  if (custom) return { ...target };
  return "value" in target && typeof target.value === "function" ? target.value() : undefined;
};

const dispose = (name: string, value: object): Effect.Effect<unknown> =>
  Effect.catchAllCause(
    Effect.suspend(() => {
      const method: unknown = Reflect.get(value, Symbol.asyncDispose) ?? Reflect.get(value, Symbol.dispose);
      return typeof method === "function" ? Effect.promise(async () => void await method.call(value)) : Effect.void;
    }),
    (cause) => Effect.logError(`disposing of a ${name} failed: ${pretty(cause)}`),
  );
