/** The values in the threads' ports: what their handlers posted, and what they threw. Taken when a ring says so. */
import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { unpackError } from '../../../shared/service/error-transfer.js';
import * as L from '../../../shared/service/layout.js';
import type { Parcel } from '../../../shared/service/parcel.js';
import type { Registry } from '../registry/registry.js';
import type { ServiceEvent } from './consumer.js';

/** Where they go on the main thread. What it throws is an uncaught exception. */
export interface MailSink {
  message(value: unknown): void;
  error(error: Error, event?: ServiceEvent): void;
  /** Thread `index` is dead; its successor has not begun. */
  died?(index: number): void;
}

export class Mail {
  readonly #header: Int32Array;
  readonly #registry: Registry;
  readonly #sink: MailSink;
  readonly #portOf: (index: number) => MessagePort | undefined;
  /** How many values of ready.post() were taken, for each thread. */
  readonly #received: number[];

  constructor(plan: L.Plan, registry: Registry, sink: MailSink, portOf: (index: number) => MessagePort | undefined) {
    this.#header = L.headerOf(plan);
    this.#registry = registry;
    this.#sink = sink;
    this.#portOf = portOf;
    this.#received = new Array<number>(plan.threads).fill(0);
  }

  /** The next value of thread `index`. */
  receive(index: number): Parcel | undefined {
    const port = this.#portOf(index);
    const received: { message: Parcel } | undefined = port && receiveMessageOnPort(port);
    return received?.message;
  }

  /**
   * Passes a value of thread `index` on.
   *
   * @param event what was running when the handler threw
   */
  open(index: number, parcel: Parcel | undefined, slot = L.EXIT_SLOT, generation = 0, event?: ServiceEvent): void {
    if (parcel === undefined) return;
    if ('post' in parcel) {
      this.#received[index] = (this.#received[index] ?? 0) + 1;
      this.#free(1);
      this.#sink.message(parcel.post);
      return;
    }
    this.#registry.failed(slot, generation);
    this.#sink.error(unpackError(parcel.error), event);
  }

  /** Thread `index` has ended and posted `posted` values in all: those that never came are not waited for. */
  settle(index: number, posted: number): void {
    this.#free(posted - (this.#received[index] ?? 0));
    this.#received[index] = posted;
  }

  /** Lets threads that wait for room post that many more values. */
  #free(count: number): void {
    Atomics.sub(this.#header, L.POSTS, count);
    Atomics.notify(this.#header, L.POSTS);
  }
}
