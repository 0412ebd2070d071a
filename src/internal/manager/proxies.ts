/**
 * Makes the proxy of an object from what its handle says.
 *
 * @module
 */
import { foreign, HandleId, type ObjectHook, register } from "../objects/handles.ts";
import { QueueClient } from "../queue/client.ts";
import { address, call, GONE, host, retire } from "../rpc/router.ts";
import { ask, kept, type Place, speak, stream } from "./calls.ts";
import { DictProxy, NamespaceProxy } from "./dict.ts";
import { passOn } from "../rpc/relay.ts";
import { ListProxy } from "./list.ts";
import { ManagerProxy } from "./manager.ts";
import { PoolProxy } from "./pool.ts";
import * as P from "./protocol.ts";
import { isProxy, type Proxy, Remote, TypeId } from "./remote.ts";
import {
  BarrierProxy,
  ConditionProxy,
  type ConditionShape,
  EventProxy,
  LockProxy,
  RLockProxy,
  SemaphoreProxy,
} from "./sync.ts";
import { isReachable } from "./types.ts";
import { NumbersProxy, ValueProxy } from "./value.ts";

/** What the proxy of a type of the user's has: no process needs the type's module to use it. */
export interface Methods {
  /** The methods that can be called. */
  readonly methods: ReadonlyArray<string>;
  /** Those whose result is a Stream. */
  readonly streams: ReadonlyArray<string>;
  /** Those whose result is kept at the server. */
  readonly kept: ReadonlyArray<string>;
}

/** What a handle says besides where the object is. */
export type Shape = Methods | ConditionShape;

/** What a handle says. */
export interface Described extends Place {
  readonly shape: Shape | undefined;
}

type Class = new (place: Described) => Proxy;

const classes: Readonly<Record<string, Class>> = {
  dict: DictProxy,
  list: ListProxy,
  Namespace: NamespaceProxy as Class,
  Value: ValueProxy,
  Array: NumbersProxy,
  Lock: LockProxy,
  RLock: RLockProxy,
  Semaphore: SemaphoreProxy,
  BoundedSemaphore: SemaphoreProxy,
  Condition: ConditionProxy as unknown as Class,
  Event: EventProxy,
  Barrier: BarrierProxy,
  Pool: PoolProxy,
  Manager: ManagerProxy,
};

const custom = (place: Described, { kept: keeping, methods, streams }: Methods): Proxy => {
  const proxy = new class extends Remote {}(place);
  for (const method of methods) {
    if (!isReachable(method)) continue;
    const call = streams.includes(method) ? stream : keeping.includes(method) ? kept : ask;
    Object.defineProperty(proxy, method, {
      value: (...args: ReadonlyArray<unknown>) => call(proxy[TypeId], method, ...args),
      enumerable: true,
    });
  }
  return proxy;
};

const isMethods = (shape: Shape | undefined): shape is Methods => shape !== undefined && "methods" in shape;

/** The proxy of an object. */
export const proxy = (place: Described): Proxy => {
  const { shape, type } = place;
  if (isMethods(shape)) return custom(place, shape);
  if (!Object.hasOwn(classes, type)) throw new TypeError(`this process knows no managed type "${type}"`);
  return new classes[type](place);
};

register("proxy", (from) => proxy(from as Described));

/** What is said of a queue to other programs. */
interface QueueShape {
  readonly capacity: number;
  readonly maxBytes: number;
  readonly ordered: boolean;
  readonly ahead: boolean;
  readonly redeliver: boolean;
  readonly confirm: boolean;
}

/** What is said of an object to another program, which knows where its server is. */
export type Abroad = readonly [number: number, type: string, shape: Shape | QueueShape | undefined];

const [refusing, ...data] = foreign;

/**
 * How objects travel to and from another program: those of the one server that both know, by their number. Whatever else has
 * a handle is refused.
 */
export const abroad = (
  describe: (value: object) => unknown,
  find: (described: Abroad) => object,
): ReadonlyArray<ObjectHook> => [{
  ...refusing,
  encode: (value, onSend) => describe(value) ?? refusing.encode(value, onSend),
  decode: (described) => find(described as Abroad),
}, ...data];

/** Whether two objects are those of one server. */
export const together = (a: Place, b: Place): boolean => a.gate === b.gate && a.address === b.address;

/** What this process knows of the server of another program. */
class Embassy {
  readonly hooks: ReadonlyArray<ObjectHook>;
  /** The objects by which its queues are reached from here, by their numbers there; and the other way round. */
  readonly #queues = new Map<number, number>();
  readonly #numbers = new Map<number, number>();

  constructor(gate: Place) {
    this.hooks = abroad(
      (value) => {
        if (isProxy(value)) return together(value[TypeId], gate) ? [value[TypeId].number] : undefined;
        if (!(value instanceof QueueClient)) return undefined;
        const { address: where, object } = value[HandleId].encode();
        const number = where === address() ? this.#numbers.get(object) : undefined;
        return number === undefined ? undefined : [number];
      },
      ([number, type, shape]) =>
        isQueueShape(shape)
          ? new QueueClient<unknown>({
            ...shape,
            address: address(),
            object: this.#queue(gate, number),
            host: gate.host,
            stranger: true,
          })
          : proxy({ ...gate, number, type, shape }),
    );
  }

  /** The connection is no more. */
  close(): void {
    for (const object of this.#numbers.keys()) retire(object);
  }

  #queue(gate: Place, number: number): number {
    let object = this.#queues.get(number);
    if (object === undefined) {
      object = host({
        open: (operation, line, { attachments, bytes }) =>
          passOn(line, GONE, (receiver) =>
            call({ address: gate.address, object: gate.gate }, P.QUEUE, (writer) => {
              writer.varint(number);
              writer.byte(operation);
              writer.bytes(bytes);
              return attachments.length === 0 ? undefined : { attachments, onSend: [] };
            }, receiver)),
      });
      this.#queues.set(number, object);
      this.#numbers.set(object, number);
    }
    return object;
  }
}

const isQueueShape = (shape: Abroad[2]): shape is QueueShape => shape !== undefined && "capacity" in shape;

const embassies = new Map<string, Embassy>();

const keyOf = ({ address, gate }: Place): string => `${address}/${gate}`;

/** Forgets the server of another program. */
export const forget = (place: Place): void => {
  const key = keyOf(place);
  embassies.get(key)?.close();
  embassies.delete(key);
};

speak((place) => {
  const key = keyOf(place);
  let embassy = embassies.get(key);
  if (embassy === undefined) embassies.set(key, embassy = new Embassy(place));
  return embassy.hooks;
});
