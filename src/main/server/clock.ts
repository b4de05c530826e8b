/**
 * A server's coarse clock, and what it has to say to connections: it goes by one tick at a time, however long that took, so that no
 * connection is ever taken to be silent for longer than it was. It only asks: the connection's next run looks whether it is so.
 */
import { clearInterval, setInterval } from 'node:timers';
import { hasPassed } from '../../shared/clock.js';
import * as L from '../../shared/server/layout.js';
import type { Book } from './book.js';

const LONGEST_TICK = 250;
const SHORTEST_TICK = 10;
/** So many ticks to the shortest time-out. */
const TICKS = 8;

export class Clock {
  readonly #memory: L.ServerMemory;
  readonly #book: Book;
  readonly #tick: number;
  readonly #idle: number;
  readonly #wake: (slot: number) => void;
  #timer: NodeJS.Timeout | undefined;

  /** Milliseconds; 0 for never. */
  constructor(memory: L.ServerMemory, book: Book, idle: number, handshake: number, wake: (slot: number) => void) {
    this.#memory = memory;
    this.#book = book;
    this.#wake = wake;
    const shortest = Math.min(LONGEST_TICK * TICKS, ...[idle, handshake].filter(ms => ms > 0));
    this.#tick = Math.max(SHORTEST_TICK, Math.min(LONGEST_TICK, shortest / TICKS));
    this.#idle = this.ticks(idle);
  }

  /** So many are at least as long; 0 for never. */
  ticks(ms: number): number {
    return ms === 0 ? 0 : Math.ceil(ms / this.#tick) + 1;
  }

  /** It need not go while there is no connection. Does not hold the process. */
  start(): void {
    this.#timer ??= setInterval(() => this.#advance(), this.#tick).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #advance(): void {
    const { header, words } = this.#memory;
    const tick = (Atomics.load(header, L.TICK) + 1) | 0;
    Atomics.store(header, L.TICK, tick);
    const idle = this.#idle;
    this.#book.sweep();
    // No iterator: it would make an object for each connection with each tick.
    for (let slot = this.#book.next(0); slot >= 0; slot = this.#book.next(slot + 1)) {
      const base = L.baseOf(slot);
      const flags = words[base + L.FLAGS] ?? 0;
      if ((flags & L.ENDED) !== 0) continue;
      const deadline = words[base + L.DEADLINE] ?? 0;
      if (deadline !== 0 && hasPassed(deadline)) this.#command(slot, base, L.COMMAND_LATE);
      const isAtRest = (flags & (L.OPENED | L.ENDING)) === L.OPENED && Atomics.load(words, base + L.AWAIT) === 0;
      if (idle !== 0 && isAtRest && ((tick - (words[base + L.ACTIVITY] ?? 0)) | 0) >= idle) {
        this.#command(slot, base, L.COMMAND_IDLE);
      }
    }
  }

  #command(slot: number, base: number, command: number): void {
    if ((Atomics.or(this.#memory.words, base + L.COMMANDS, command) & command) === 0) this.#wake(slot);
  }
}
