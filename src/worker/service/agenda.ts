/**
 * The events that one thread has fetched, as the kernel wrote them, in shared memory: its agenda. The thread deals with them one
 * by one; what it does not get to, a peer takes. Whoever exchanges an entry's stamp for 0 has the event. Most stamps are alike, so
 * a peer that was held up between reading an entry and that exchange must not meet another event in it: while one is at it
 * (TAKER) the thread fetches nothing.
 *
 * Whenever a thread dies, the event is in an agenda, or named in its words as the one in hand, until it is in a claim word or
 * its run has begun.
 */
import { EVENT_WORDS } from '../../shared/kernel/syscalls.js';
import * as L from '../../shared/service/layout.js';

/** How long to wait for a peer that takes events: it is at it, or waits for a core, or is dead, which the registry sees to. */
const TAKER_MS = 1;

export class Agenda {
  readonly entries: Int32Array;
  readonly #words: Int32Array;
  slot = 0;
  stamp = 0;
  mask = 0;

  /** @param entries whose agenda it is @param words those of the thread that takes */
  constructor(entries: Int32Array, words: Int32Array) {
    this.entries = entries;
    this.#words = words;
  }

  /** Takes entry `i`, if it still is there: `slot`, `stamp` and `mask` say what it is. The caller calls `done` after it. */
  take(i: number): boolean {
    const { entries } = this;
    const words = this.#words;
    const at = i * EVENT_WORDS;
    const stamp = entries[at + L.AGENDA_STAMP] ?? 0;
    if (stamp === 0) return false;
    this.slot = entries[at + L.AGENDA_SLOT] ?? 0;
    this.mask = entries[at] ?? 0;
    this.stamp = stamp;
    // Named before it is taken.
    words[L.EVENT_SLOT] = this.slot;
    words[L.EVENT_MASK] = this.mask;
    words[L.EVENT_STAMP] = stamp;
    if (Atomics.exchange(entries, at + L.AGENDA_STAMP, 0) === stamp) return true;
    this.done();
    return false;
  }

  /** Whether entry `i` is there, and is not about one of the service's own eventfds. */
  isOthers(i: number): boolean {
    const at = i * EVENT_WORDS;
    return this.entries[at + L.AGENDA_STAMP] !== 0 && (this.entries[at + L.AGENDA_SLOT] ?? 0) >= 0;
  }

  /** For the thread whose agenda it is: whether it may be filled. Waits a moment for a peer that takes from it. */
  mayFill(): boolean {
    const words = this.#words;
    const taker = Atomics.load(words, L.TAKER);
    if (taker === 0) return true;
    Atomics.wait(words, L.TAKER, taker, TAKER_MS);
    return Atomics.load(words, L.TAKER) === 0;
  }

  /** The event is seen to. */
  done(): void {
    this.#words[L.EVENT_STAMP] = 0;
  }
}
