/**
 * Making proxies from handles, and the handles that travel to and from other programs.
 *
 * @module
 */
import { foreign, HandleId, type ObjectHook, register } from "../../objects/handles.ts";
import { QueueClient } from "../../queue/client.ts";
import { address, call, GONE, host, retire } from "../../rpc/router.ts";
import { ask, askKept, askStream, type ObjectRef, registerForeignHooks, serverOf } from "../calls.ts";
import { DictProxy, NamespaceProxy } from "./dict.ts";
import { forward, resend } from "../../rpc/call.ts";
import { ListProxy } from "./list.ts";
import { ManagerProxy } from "../manager.ts";
import { PoolProxy } from "./pool.ts";
import * as P from "../protocol.ts";
import { isProxy, type Proxy, Remote, TypeId } from "./remote.ts";
import { syncProxies, type SyncShape } from "./sync.ts";
import { isReachable } from "../types.ts";
import { NumbersProxy, ValueProxy } from "./value.ts";

/** The methods of an object of a user's type. A process needs nothing else to use it, not even the type's module. */
export interface Methods {
  /** The methods that can be called. */
  readonly methods: ReadonlyArray<string>;
  /** Methods whose result is a Stream. */
  readonly streams: ReadonlyArray<string>;
  /** Methods whose result stays at the server. */
  readonly kept: ReadonlyArray<string>;
}

/** Data of a handle that depends on the type. */
export type ProxyShape = Methods | SyncShape;

/** The data of a handle. */
export interface ProxyData extends ObjectRef {
  readonly shape: ProxyShape | undefined;
}

type ProxyClass = new (data: ProxyData) => Proxy;

const isMethods = (shape: ProxyShape | undefined): shape is Methods => shape !== undefined && "methods" in shape;

const classes: Readonly<Record<string, ProxyClass>> = {
  dict: DictProxy,
  list: ListProxy,
  Namespace: NamespaceProxy as ProxyClass,
  Value: ValueProxy,
  Array: NumbersProxy,
  Pool: PoolProxy,
  Manager: ManagerProxy,
};

const customProxy = (data: ProxyData, { kept, methods, streams }: Methods): Proxy => {
  const proxy = new class extends Remote {}(data);
  for (const method of methods) {
    if (!isReachable(method)) continue;
    const call = streams.includes(method) ? askStream : kept.includes(method) ? askKept : ask;
    Object.defineProperty(proxy, method, {
      value: (...args: ReadonlyArray<unknown>) => call(proxy[TypeId], method, ...args),
      enumerable: true,
    });
  }
  return proxy;
};

/** Makes the proxy of an object. */
export const proxy = (data: ProxyData): Proxy => {
  const { shape, type } = data;
  if (isMethods(shape)) return customProxy(data, shape);
  if (Object.hasOwn(syncProxies, type)) return syncProxies[type](data);
  if (!Object.hasOwn(classes, type)) throw new TypeError(`this process knows no managed type "${type}"`);
  return new classes[type](data);
};

register("proxy", (data) => proxy(data as ProxyData));

/** Data of a queue's handle that another program needs. */
interface QueueShape {
  readonly capacity: number;
  readonly maxBytes: number;
  readonly ordered: boolean;
  readonly ahead: boolean;
  readonly redeliver: boolean;
  readonly confirm: boolean;
}

/** A handle between two programs, which both know the server. Type and shape are missing on the way to the server. */
export type ForeignHandle = readonly [number: number, type: string, shape: ProxyShape | QueueShape | undefined];

const [refusing, ...dataHooks] = foreign;

/**
 * The hooks by which objects travel between two programs: the objects of one server, by number. `describe` returns `undefined`
 * for any other handle, which is refused.
 */
export const foreignHooks = (
  describe: (value: object) => unknown,
  find: (handle: ForeignHandle) => object,
): ReadonlyArray<ObjectHook> => [{
  ...refusing,
  encode: (value, onSend) => describe(value) ?? refusing.encode(value, onSend),
  decode: (handle) => find(handle as ForeignHandle),
}, ...dataHooks];

/** Whether two references have the same server. */
export const isSameServer = (
  a: Pick<ObjectRef, "address" | "server">,
  b: Pick<ObjectRef, "address" | "server">,
): boolean => a.server === b.server && a.address === b.address;

/** The server of another program, as this process sees it: proxies refer to the server's connection in this process. */
class ForeignServer {
  readonly hooks: ReadonlyArray<ObjectHook>;
  /** The numbers under which this process hosts the queues of the server, by their numbers there, and the reverse. */
  readonly #hosted = new Map<number, number>();
  readonly #numbers = new Map<number, number>();

  constructor(server: ObjectRef) {
    this.hooks = foreignHooks(
      (value) => {
        if (isProxy(value)) return isSameServer(value[TypeId], server) ? [value[TypeId].number] : undefined;
        if (!(value instanceof QueueClient)) return undefined;
        const { address: process, object } = value[HandleId].encode();
        const number = process === address() ? this.#numbers.get(object) : undefined;
        return number === undefined ? undefined : [number];
      },
      ([number, type, shape]) =>
        isQueueShape(shape)
          ? new QueueClient<unknown>({
            ...shape,
            address: address(),
            object: this.#hostQueue(server, number),
            host: server.host,
            stranger: true,
          })
          : proxy({ ...server, number, type, shape }),
    );
  }

  /** The connection was closed. */
  close(): void {
    for (const object of this.#numbers.keys()) retire(object);
  }

  /** Hosts an object that passes on the calls of a queue. */
  #hostQueue(server: ObjectRef, number: number): number {
    const known = this.#hosted.get(number);
    if (known !== undefined) return known;
    const object = host({
      open: (operation, line, message) =>
        forward(line, GONE, (receiver) =>
          call(serverOf(server), P.QUEUE, (writer) => {
            writer.varint(number);
            writer.byte(operation);
            return resend(message)(writer);
          }, receiver)),
    });
    this.#hosted.set(number, object);
    this.#numbers.set(object, number);
    return object;
  }
}

const isQueueShape = (shape: ForeignHandle[2]): shape is QueueShape => shape !== undefined && "capacity" in shape;

const foreignServers = new Map<string, ForeignServer>();

const keyOf = ({ address, server }: ObjectRef): string => `${address}/${server}`;

/** Forgets the server of another program. */
export const forgetServer = (ref: ObjectRef): void => {
  const key = keyOf(ref);
  foreignServers.get(key)?.close();
  foreignServers.delete(key);
};

registerForeignHooks((ref) => {
  const key = keyOf(ref);
  let server = foreignServers.get(key);
  if (server === undefined) foreignServers.set(key, server = new ForeignServer(ref));
  return server.hooks;
});
