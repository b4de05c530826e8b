/** What a thread sends to the main thread: entries in its ring, values through its port, and the doorbell. */
import type { MessagePort } from 'node:worker_threads';
import { write } from '../../shared/kernel/syscalls.js';
import { type Parcel, packError } from '../../shared/service/error-transfer.js';
import * as L from '../../shared/service/layout.js';
import { RingWriter } from '../../shared/service/ring.js';

/** How many values of ready.post() may be on their way, of all threads together. */
const MOST_POSTS = 1024;
/** How long a thread sleeps before it looks at STOP again; taking an entry wakes it at once. */
const NAP = 100;

const BELL = new Uint8Array([1]);

export class Outbox {
  readonly #header: Int32Array;
  readonly #words: Int32Array;
  readonly #all: readonly Int32Array[];
  readonly #writer: RingWriter;
  readonly #port: MessagePort;
  readonly #bell: number;

  constructor(plan: L.Plan, index: number, port: MessagePort, bell: number) {
    const memory = L.threadOf(plan, index);
    this.#header = L.headerOf(plan);
    this.#words = memory.words;
    this.#all = Array.from({ length: plan.threads }, (_, i) => L.threadOf(plan, i).words);
    this.#writer = new RingWriter(memory);
    this.#port = port;
    this.#bell = bell;
  }

  /**
   * Puts an entry in the ring and rings. Waits for room, which the main thread makes; a service that is closing still
   * takes what its handlers ask.
   */
  push(op: number, slot: number, generation: number, fd = 0, mask = 0, low = 0, high = 0): void {
    const writer = this.#writer;
    let at = writer.reserve();
    while (at < 0) {
      this.ring();
      writer.sleep(NAP);
      at = writer.reserve();
    }
    const { ring } = writer;
    ring[at + L.OP] = op;
    ring[at + L.OP_SLOT] = slot;
    ring[at + L.OP_GENERATION] = generation;
    ring[at + L.OP_FD] = fd;
    ring[at + L.OP_MASK] = mask;
    ring[at + L.OP_LOW] = low;
    ring[at + L.OP_HIGH] = high;
    if (op === L.POST || op === L.ERROR) ring[at + L.OP_NOTED] = Atomics.add(this.#header, L.NOTED, 1);
    writer.commit();
    this.ring();
  }

  /** Waits until an entry can be put in the ring. False once the service stops, when nobody reads. */
  hasRoom(): boolean {
    while (this.#writer.reserve() < 0) {
      if (Atomics.load(this.#header, L.STOP) !== 0) return false;
      this.ring();
      this.#writer.sleep(NAP);
    }
    return true;
  }

  /**
   * A structured clone of `value` to the main thread; waits while too many are on their way. Each thread counts its own, so
   * that those of one that dies are known to the last.
   *
   * @throws DataCloneError
   */
  post(value: unknown): void {
    const header = this.#header;
    for (;;) {
      const seen = Atomics.load(header, L.POSTS);
      Atomics.add(this.#words, L.POSTED, 1);
      if (this.#onTheirWay() <= MOST_POSTS) break;
      Atomics.sub(this.#words, L.POSTED, 1);
      this.ring();
      Atomics.wait(header, L.POSTS, seen, NAP);
    }
    try {
      this.#port.postMessage({ post: value } satisfies Parcel);
    } catch (error) {
      Atomics.sub(this.#words, L.POSTED, 1);
      throw error;
    }
    this.push(L.POST, 0, 0);
  }

  #onTheirWay(): number {
    let count = 0;
    for (const words of this.#all) count += (Atomics.load(words, L.POSTED) - Atomics.load(words, L.TAKEN)) | 0;
    return count;
  }

  /** What a handler threw; the event that it was given is to be pushed after it, as an ERROR. */
  error(thrown: unknown): void {
    this.#port.postMessage({ error: packError(thrown) } satisfies Parcel);
  }

  /** Wakes the main thread, unless a wake-up is on its way. */
  ring(): void {
    const header = this.#header;
    if (Atomics.load(header, L.DOORBELL) === 0 && Atomics.exchange(header, L.DOORBELL, 1) === 0) {
      write(this.#bell, BELL, 1);
    }
  }
}
