/**
 * What a service is made of, and how it runs: takes what the threads send, carries out what handlers ask, sees to dead
 * threads, and ends. What users see of it is in service.ts.
 */
import { receiveMessageOnPort } from 'node:worker_threads';
import * as claims from '../shared/claim.js';
import { unpackError } from '../shared/error-transfer.js';
import { EpollError } from '../shared/errors.js';
import { joinWord64 } from '../shared/events.js';
import * as L from '../shared/layout.js';
import type { Parcel } from '../shared/parcel.js';
import { RingReader } from '../shared/ring.js';
import { Consumer, eventOf, type HeldEvent, type ServiceEvent } from './consumer.js';
import { addExitHook, removeExitHook } from './exit-hook.js';
import type { CheckedOptions } from './options.js';
import { recover } from './recovery.js';
import { Registry } from './registry.js';
import { Requests } from './requests.js';
import { Resources } from './resources.js';
import { ThreadPool } from './thread-pool.js';

/** How many entries are taken from the rings before the event loop has a turn. */
const ENTRIES_A_TURN = 1024;
/** How many are taken from one ring before it is the next one's turn. */
const ENTRIES_A_RING = 64;

/** Where events go on the main thread. What it throws is an uncaught exception. */
export interface Sink {
  /** Whether `event` is to be called. */
  readonly wantsEvents: boolean;
  event(event: ServiceEvent): void;
  /** There may be something to `pull`. */
  pullable(): void;
  /** Whether it has an event that it pulled, and has not released. */
  holds(slot: number, generation: number): boolean;
  message(value: unknown): void;
  error(error: Error, event?: ServiceEvent): void;
}

interface Link {
  readonly memory: L.ThreadMemory;
  readonly ring: RingReader;
  /** Values of ready.post() that were taken. */
  received: number;
}

export class Core {
  readonly registry: Registry;
  readonly consumer: Consumer;
  readonly resources: Resources;
  readonly pool: ThreadPool;
  readonly links: readonly Link[];
  readonly #sink: Sink;
  readonly #header: Int32Array;
  readonly #requests: Requests;
  readonly #hasHandler: boolean;
  readonly #exit = (): void => this.#atExit();
  /** The ring whose turn it is. */
  #turn = 0;
  #scheduled = false;
  #onEnded: (() => void) | undefined;

  /** @throws EpollError, with nothing left open */
  constructor(options: CheckedOptions, sink: Sink) {
    const { plan, capacity, handler, handlerData, resourceLimits } = options;
    this.#sink = sink;
    this.#header = L.headerOf(plan);
    this.#hasHandler = handler !== undefined;
    this.links = Array.from({ length: plan.threads }, (_, index) => {
      const memory = L.threadOf(plan, index);
      return { memory, ring: new RingReader(memory), received: 0 };
    });
    this.resources = new Resources(() => this.#rung());
    const { epfd, exitFd, doorbell } = this.resources;
    this.registry = new Registry(plan, capacity, epfd, exitFd);
    this.consumer = new Consumer(this.registry);
    this.#requests = new Requests(this.registry, capacity, (error, event) => sink.error(error, event));
    const code = this.registry.addExit();
    if (code < 0) {
      this.resources.close();
      throw new EpollError(code, 'epoll_ctl', exitFd);
    }
    this.pool = new ThreadPool({
      plan,
      epfd,
      bell: doorbell.bell,
      handler,
      handlerData,
      resourceLimits,
      onDeath: (index, error) => this.#died(index, error),
    });
    addExitHook(this.#exit);
  }

  /** Node is about to end the threads: none may be in epoll_wait, or inside koffi's loading. */
  #atExit(): void {
    this.#halt();
    this.pool.settle();
  }

  #halt(): void {
    Atomics.store(this.#header, L.STOP, 1);
    this.resources.wakeAll();
    Atomics.notify(this.#header, L.POSTS);
    for (const { ring } of this.links) ring.wakeWriter();
  }

  /** A thread has rung. */
  #rung(): void {
    // Before the rings are looked at: what is put in after that look rings again.
    Atomics.store(this.#header, L.DOORBELL, 0);
    this.drain();
    this.#checkEnded();
  }

  /** Takes what the threads have sent, as far as somebody wants it. */
  drain(): void {
    let whole = false;
    try {
      whole = this.#takeAll(ENTRIES_A_TURN);
    } finally {
      // More than a turn's worth, or a listener threw: that is for the process to deal with, the rest goes on.
      if (!whole) this.drainSoon();
    }
    this.#sink.pullable();
  }

  /** The same, when the event loop comes round. */
  drainSoon(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.drain();
    });
  }

  /** False: there is more. */
  #takeAll(most: number): boolean {
    let left = most;
    for (let quiet = 0; quiet < this.links.length; ) {
      const taken = this.#takeFrom(this.#turn, Math.min(left, ENTRIES_A_RING)) + this.#takeDue();
      this.#turn = (this.#turn + 1) % this.links.length;
      quiet = taken === 0 ? quiet + 1 : 0;
      left -= taken;
      if (left <= 0) return false;
    }
    return true;
  }

  /** At most `most` entries of one ring. How many. */
  #takeFrom(index: number, most: number): number {
    const link = this.links[index];
    if (link === undefined) return 0;
    const { ring } = link;
    let taken = 0;
    for (; taken < most; taken++) {
      const at = ring.peek();
      if (at < 0) break;
      const entry = ring.ring;
      const op = entry[at + L.OP] ?? 0;
      const slot = entry[at + L.OP_SLOT] ?? 0;
      const generation = entry[at + L.OP_GENERATION] ?? 0;
      const mask = entry[at + L.OP_MASK] ?? 0;
      if (op === L.EVENT) {
        if (!this.#sink.wantsEvents) break;
        ring.shift();
        this.#deliver({ slot, generation, mask });
        continue;
      }
      const fd = entry[at + L.OP_FD] ?? 0;
      const low = (entry[at + L.OP_LOW] ?? 0) >>> 0;
      const high = (entry[at + L.OP_HIGH] ?? 0) >>> 0;
      ring.shift();
      this.#carryOut(index, link, op, slot, generation, fd, mask, low, high);
    }
    return taken;
  }

  #carryOut(
    index: number,
    link: Link,
    op: number,
    slot: number,
    generation: number,
    fd: number,
    mask: number,
    low: number,
    high: number,
  ): void {
    const requests = this.#requests;
    if (op === L.REARM) requests.rearm(slot, generation);
    else if (op === L.RELEASED) requests.released(slot, generation);
    else if (op === L.POST) this.#open(link, this.#receive(index));
    else if (op === L.REGISTER) requests.register(fd, mask, low, high);
    else if (op === L.MODIFY) requests.modify(slot, generation, fd, mask, low, high);
    else {
      const event = { fd, events: mask >>> 0, data: joinWord64(low, high) };
      if (op === L.ERROR) this.#open(link, this.#receive(index), slot, generation, event);
      else requests.remove(slot, generation, op === L.CLOSE, event);
    }
  }

  #receive(index: number): Parcel | undefined {
    const port = this.pool.portOf(index);
    const received: { message: Parcel } | undefined = port && receiveMessageOnPort(port);
    return received?.message;
  }

  /** @param event what was running when the handler threw */
  #open(link: Link, parcel: Parcel | undefined, slot = L.EXIT_SLOT, generation = 0, event?: ServiceEvent): void {
    if (parcel === undefined) return;
    if ('post' in parcel) {
      link.received++;
      Atomics.sub(this.#header, L.POSTS, 1);
      Atomics.notify(this.#header, L.POSTS);
      this.#sink.message(parcel.post);
      return;
    }
    this.registry.failed(slot, generation);
    this.#sink.error(unpackError(parcel.error), event);
  }

  /** An event for a listener; it is let go when the listener has returned, or thrown. */
  #deliver(held: HeldEvent): void {
    const event = this.consumer.open(held);
    if (event === undefined) return;
    try {
      this.#sink.event(event);
    } finally {
      this.consumer.release(held);
    }
  }

  /** What is due once more, while there is a listener. How many. */
  #takeDue(): number {
    let taken = 0;
    for (; taken < ENTRIES_A_RING && this.#sink.wantsEvents; taken++) {
      const held = this.consumer.shiftDue();
      if (held === undefined) break;
      this.#deliver(held);
    }
    return taken;
  }

  /** The next event, for a consumer that asks for them one by one. */
  pull(): HeldEvent | undefined {
    const due = this.consumer.shiftDue();
    if (due !== undefined) return due;
    for (let i = 0; i < this.links.length; i++) {
      const ring = this.links[this.#turn]?.ring;
      this.#turn = (this.#turn + 1) % this.links.length;
      const at = ring?.peek() ?? -1;
      if (ring === undefined || at < 0) continue;
      const [op, slot = 0, generation = 0] = ring.ring.subarray(at, at + 3);
      const mask = ring.ring[at + L.OP_MASK] ?? 0;
      if (op !== L.EVENT) continue;
      ring.shift();
      return { slot, generation, mask };
    }
    return undefined;
  }

  /** A thread is dead: what it has sent counts, what it had goes on elsewhere. */
  #died(index: number, error: Error): void {
    const link = this.links[index];
    if (link === undefined) return;
    const { memory, ring } = link;
    const failures: Array<() => void> = [];
    // Listeners may throw; that must not keep the rest from being taken over.
    const guarded = (call: () => unknown): void => {
      try {
        call();
      } catch (thrown) {
        failures.push(() => {
          throw thrown;
        });
      }
    };
    if (this.#hasHandler) while (ring.peek() >= 0) guarded(() => this.#takeFrom(index, 1));
    for (let parcel = this.#receive(index); parcel !== undefined; parcel = this.#receive(index)) {
      const last = parcel;
      const [slot = 0, generation = 0, mask = 0] = memory.words.subarray(L.AT_SLOT, L.AT_MASK + 1);
      const event = this.registry.table.isHeld(slot, generation) ? eventOf(this.registry, slot, mask) : undefined;
      guarded(() => this.#open(link, last, slot, generation, event));
    }
    Atomics.sub(this.#header, L.POSTS, (memory.words[L.POSTED] ?? 0) - link.received);
    link.received = memory.words[L.POSTED] ?? 0;
    Atomics.notify(this.#header, L.POSTS);
    const interrupted = recover(this.registry, memory, index + 1, (slot, generation) =>
      this.#recovered(slot, generation),
    );
    guarded(() => this.#sink.error(error, interrupted));
    this.#checkEnded();
    for (const fail of failures) setImmediate(fail);
  }

  /** An event that a dead thread had in hand. */
  #recovered(slot: number, generation: number): void {
    const { table } = this.registry;
    if (!this.#hasHandler && table.isCurrent(slot, generation) && !this.#isOnItsWay(slot, generation)) {
      // Claimed for the main thread, and never put in the ring.
      claims.seize(table.words, table.claimAt(slot), generation, claims.MAIN, claims.NOBODY);
      claims.wake(table.words, table.claimAt(slot), generation);
    }
    this.#requests.rearm(slot, generation);
  }

  #isOnItsWay(slot: number, generation: number): boolean {
    return (
      this.consumer.isDue(slot, generation) ||
      this.#sink.holds(slot, generation) ||
      this.links.some(({ ring }) => ring.has(L.EVENT, slot, generation))
    );
  }

  // ---- the end --------------------------------------------------------------------------------------------

  #checkEnded(): void {
    if (this.#onEnded !== undefined && this.pool.ended) this.#onEnded();
  }

  /** No handler starts any more. Resolves when none runs, or `expired` does. */
  async stop(expired: Promise<void>): Promise<void> {
    this.pool.stop();
    this.#halt();
    const ended = new Promise<void>(resolve => {
      this.#onEnded = resolve;
    });
    this.#checkEnded();
    await Promise.race([ended, expired]);
  }

  /** Joins the threads, takes what they have left, and closes everything. */
  async destroy(): Promise<void> {
    this.#halt();
    this.#drainQuietly();
    await this.pool.destroy(() => this.#drainQuietly());
    this.registry.releaseAll();
    removeExitHook(this.#exit);
    this.resources.close();
  }

  /** Whatever listeners throw is an uncaught exception, and the rest is taken all the same. */
  #drainQuietly(): void {
    for (;;) {
      try {
        if (this.#takeAll(ENTRIES_A_TURN)) return;
      } catch (error) {
        setImmediate(() => {
          throw error;
        });
      }
    }
  }
}
