/**
 * Handlers' promises that are pending in this thread. A connection's AWAIT names the thread for as long as its promise is; its next
 * message waits, and nothing else does: not its run, so that others send to it and its end is noticed. The service counts them.
 */
import * as L from '../../shared/server/layout.js';
import type { ThreadServices } from '../service/handler.js';
import type { Connection } from './connection.js';
import type { LoadedModule } from './module.js';
import type { Parking } from './parking.js';
import type { ProtocolHooks } from './protocols/protocol.js';
import type { Reader } from './reader.js';
import type { ServerTask } from './thread-setup.js';

/** How often it is looked whether peers have gone whose handlers want to know. */
const LOOK_MS = 100;

interface Pending {
  readonly slot: number;
  readonly connection: Connection;
  readonly message: unknown;
  /** What the message may lie in. */
  buffer: Buffer | undefined;
  /** Which of the flags HANGING and ENDED were told. */
  told: number;
  /** Whether it does not count. */
  rests: boolean;
}

export interface PromiseParts {
  readonly task: ServerTask;
  readonly memory: L.ServerMemory;
  readonly module: LoadedModule;
  readonly thread: ThreadServices;
  readonly parking: Parking;
}

export interface PromiseSink {
  /** What is to be told of it. Before the connection can end for it. */
  threw(slot: number, error: unknown): void;
  /** The handler's part is over. */
  settled(slot: number, failed: boolean): void;
}

export class Promises {
  readonly #words: Int32Array;
  readonly #owner: number;
  readonly #thread: ThreadServices;
  readonly #hooks: ProtocolHooks<unknown>;
  readonly #sink: PromiseSink;
  readonly #pending = new Set<Pending>();
  readonly #concurrency: number;
  readonly #parking: Parking;
  /** How many of them do not count. */
  #resting = 0;
  /** The one that was added last, if its message lies in the reader's buffer. */
  #borrower: Pending | undefined;
  #reader: Reader | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor({ memory, thread, module, task, parking }: PromiseParts, sink: PromiseSink) {
    this.#words = memory.words;
    this.#owner = thread.index + 1;
    this.#thread = thread;
    this.#hooks = module.hooks;
    this.#concurrency = task.concurrency;
    this.#parking = parking;
    this.#sink = sink;
  }

  /** As many are pending as may be: no further message begins in this thread. */
  get isFull(): boolean {
    return this.#pending.size - this.#resting >= this.#concurrency;
  }

  /** @param lent whether the message may lie in the reader's buffer: `lend` must follow */
  add(slot: number, connection: Connection, message: unknown, promise: PromiseLike<unknown>, lent: boolean): void {
    const pending: Pending = { slot, connection, message, buffer: undefined, told: 0, rests: false };
    Atomics.store(this.#words, L.baseOf(slot) + L.AWAIT, this.#owner);
    this.#pending.add(pending);
    this.#thread.hold();
    if (this.isFull) this.#parking.filled();
    if (lent) this.#borrower = pending;
    if (this.#hooks.gone !== undefined) this.#timer ??= setInterval(() => this.#look(), LOOK_MS).unref();
    this.#hooks.pending?.(message, rests => this.#rests(pending, rests));
    Promise.resolve(promise).then(
      () => this.#settle(pending, false, undefined),
      error => this.#settle(pending, true, error),
    );
  }

  /** The reader has done with its buffer: the message may have it for as long as its promise is pending. */
  lend(reader: Reader): void {
    if (this.#borrower === undefined) return;
    this.#reader = reader;
    this.#borrower.buffer = reader.lend();
    this.#borrower = undefined;
  }

  #settle(pending: Pending, failed: boolean, error: unknown): void {
    let isFailed = failed;
    // What the protocol says of it may end the connection before this has.
    if (failed) {
      Atomics.store(this.#words, L.baseOf(pending.slot) + L.FAILING, 1);
      this.#sink.threw(pending.slot, error);
    }
    try {
      this.#hooks.settled?.(pending.message, pending.connection, failed);
    } catch (thrown) {
      if (!failed) {
        isFailed = true;
        this.#sink.threw(pending.slot, thrown);
      }
    }
    const wasFull = this.isFull;
    this.#pending.delete(pending);
    if (pending.rests) {
      this.#resting--;
      this.#thread.goesOn();
    }
    if (wasFull && !this.isFull) this.#parking.emptied();
    this.#giveBack(pending);
    if (this.#pending.size === 0) {
      clearInterval(this.#timer);
      this.#timer = undefined;
    }
    this.#sink.settled(pending.slot, isFailed);
    this.#thread.release();
    this.#parking.admit();
  }

  #rests(pending: Pending, rests: boolean): void {
    if (!this.#pending.has(pending) || pending.rests === rests) return;
    pending.rests = rests;
    if (!rests) {
      this.#resting--;
      this.#thread.goesOn();
      // There may be more than may be: no message begins until enough of them have settled, or rest again.
      if (this.isFull) this.#parking.filled();
      return;
    }
    this.#giveBack(pending);
    const wasFull = this.isFull;
    this.#resting++;
    if (wasFull && !this.isFull) this.#parking.emptied();
    this.#thread.rests();
    this.#parking.admit();
  }

  #giveBack(pending: Pending): void {
    if (pending.buffer !== undefined) this.#reader?.giveBack(pending.buffer);
    pending.buffer = undefined;
  }

  /** Tells handlers whose peers have ended their side, or whose connections have ended. */
  #look(): void {
    for (const pending of this.#pending) {
      const flags = (this.#words[L.baseOf(pending.slot) + L.FLAGS] ?? 0) & (L.HANGING | L.ENDED);
      if ((flags & ~pending.told) === 0) continue;
      pending.told |= flags;
      try {
        this.#hooks.gone?.(pending.message, pending.connection, (flags & L.ENDED) !== 0);
      } catch {
        // The package's own; its handler hears of it by its promise.
      }
    }
  }
}
