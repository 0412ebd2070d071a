/**
 * A watch of the last messages of subjects: all that there are, and then each new one, in their order.
 *
 * The server pushes the messages, and tells how many it has sent. After a gap, a silence or a new connection the watch begins anew with all
 * last messages; its receiver compares them with the messages that it has seen. So no change is lost, and none is told twice.
 *
 * @module
 */
import type { Msg, Subscription } from "@nats-io/nats-core";
import { after } from "../os/timer.ts";
import { Closed, Delivery, type JetStream, type Stored } from "./jetstream.ts";
import { nanos } from "./streams.ts";

/** Interval in which the server gives a sign of life, in milliseconds. After two without one, the watch begins anew. */
const SIGN = 2000;

/** Receives the messages of a watch. */
export interface Viewer {
  /** The watch begins, or begins anew: all last messages follow. */
  readonly begun: () => void;
  readonly seen: (message: Stored) => void;
  /** All last messages were seen. */
  readonly complete: () => void;
  /** The watch has ended, because the server refuses it. */
  readonly failed: (error: unknown) => void;
}

/** A watch. */
export class Watch {
  readonly #js: JetStream;
  readonly #inbox: string;
  readonly #stream: string;
  readonly #filter: string;
  readonly #viewer: Viewer;
  readonly #stopHearing: () => void;
  #subscription: Subscription | undefined;
  #consumer: string | undefined;
  #count = 0;
  #place = 0;
  #isComplete = false;
  #closed = false;
  #heard = 0;
  #stopListening: () => void = () => {};

  /** Watches the subjects that match `filter`. Messages come to subjects below `inbox`, which no other watch has. */
  constructor(js: JetStream, inbox: string, stream: string, filter: string, viewer: Viewer) {
    this.#js = js;
    this.#inbox = inbox;
    this.#stream = stream;
    this.#filter = filter;
    this.#viewer = viewer;
    this.#stopHearing = js.server.onReconnected(() => void this.#begin());
    void this.#begin();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#stopHearing();
    this.#leave();
  }

  #leave(): void {
    this.#stopListening();
    this.#subscription?.unsubscribe();
    this.#subscription = undefined;
    // The server removes it by itself when nobody listens any more.
    if (this.#consumer !== undefined) {
      this.#js.tell(`$JS.API.CONSUMER.DELETE.${this.#stream}.${this.#consumer}`, new Uint8Array());
    }
    this.#consumer = undefined;
  }

  async #begin(): Promise<void> {
    this.#leave();
    // Its object has been told.
    if (this.#js.server.connection.isClosed()) return;
    const count = ++this.#count;
    const isOver = (): boolean => this.#closed || count !== this.#count;
    this.#place = 0;
    this.#isComplete = false;
    this.#viewer.begun();
    const subject = `${this.#inbox}.${count}`;
    this.#subscription = this.#js.server.connection.subscribe(subject, {
      callback: (error, message) => {
        if (error === null && !isOver()) this.#received(message);
      },
    });
    try {
      const { name, num_pending } = await this.#js.persist(async () => {
        if (isOver()) throw new Closed("the watch has ended");
        return await this.#js.api<{ readonly name: string; readonly num_pending: number }>(
          `CONSUMER.CREATE.${this.#stream}`,
          {
            stream_name: this.#stream,
            config: {
              deliver_subject: subject,
              deliver_policy: "last_per_subject",
              filter_subject: this.#filter,
              ack_policy: "none",
              replay_policy: "instant",
              max_deliver: 1,
              idle_heartbeat: nanos(SIGN),
              flow_control: true,
              mem_storage: true,
              num_replicas: 1,
            },
          },
        );
      });
      if (isOver()) return;
      this.#consumer = name;
      this.#heard = performance.now();
      this.#listen();
      if (num_pending === 0 && this.#place === 0) this.#completed();
    } catch (error) {
      if (isOver() || error instanceof Closed) return;
      this.close();
      this.#viewer.failed(error);
    }
  }

  #received(message: Msg): void {
    this.#heard = performance.now();
    const { headers, reply } = message;
    if (headers?.code === 100) {
      // The server waits for an answer before it sends more.
      const asked = headers.get("Nats-Consumer-Stalled") || reply;
      if (asked) this.#js.server.publish(asked, new Uint8Array());
      const last = headers.get("Nats-Last-Consumer");
      if (last !== "" && Number(last) !== this.#place) void this.#begin();
      return;
    }
    if (reply === undefined || !reply.startsWith("$JS.ACK.")) return;
    const delivery = new Delivery(message, this.#js.server);
    if (delivery.place !== this.#place + 1) return void this.#begin();
    this.#place++;
    this.#viewer.seen(delivery);
    if (delivery.pending === 0 && !this.#isComplete) this.#completed();
  }

  #completed(): void {
    this.#isComplete = true;
    this.#viewer.complete();
  }

  #listen(): void {
    this.#stopListening();
    this.#stopListening = after(SIGN, () => {
      if (performance.now() - this.#heard <= 2 * SIGN) this.#listen();
      else void this.#begin();
    });
  }
}
