/**
 * What this thread is at, for those who look after it: the registry when it dies, a peer when it is stuck in a handler.
 *
 *   NOTHING -> EVENT (one in hand) -> RUN (in a handler) -> EVENT (back from it) -> NOTHING
 *   RUN -> PEER (a peer takes over what else the thread has in hand) -> RUN
 *
 * A peer may touch the agenda and the held list of this thread only between RUN -> PEER and PEER -> RUN, and the thread
 * touches them only outside RUN: `leave` waits until no peer is at it.
 */
import {
  AT,
  AT_EVENT,
  AT_GENERATION,
  AT_MASK,
  AT_NOTHING,
  AT_RUN,
  AT_SLOT,
  RUNS,
} from '../../shared/service/layout.js';

/** How long a thread sleeps before it looks again; a peer that has done wakes it at once. */
const NAP = 20;

export class Position {
  readonly #words: Int32Array;

  constructor(words: Int32Array) {
    this.#words = words;
  }

  get slot(): number {
    return this.#words[AT_SLOT] ?? 0;
  }

  get generation(): number {
    return this.#words[AT_GENERATION] ?? 0;
  }

  get runs(): number {
    return this.#words[RUNS] ?? 0;
  }

  /** An event is in hand. */
  hold(slot: number, generation: number, mask: number): void {
    const words = this.#words;
    words[AT_SLOT] = slot;
    words[AT_GENERATION] = generation;
    words[AT_MASK] = mask;
    Atomics.store(words, AT, AT_EVENT);
  }

  /** Its handler begins. */
  enter(slot: number, generation: number, mask: number): void {
    const words = this.#words;
    this.hold(slot, generation, mask);
    Atomics.store(words, RUNS, (this.runs + 1) | 0);
    Atomics.store(words, AT, AT_RUN);
  }

  /** Back from the handler, or for a while from its pending promise. */
  leave(): void {
    const words = this.#words;
    for (;;) {
      const at = Atomics.compareExchange(words, AT, AT_RUN, AT_EVENT);
      if (at === AT_RUN) return;
      Atomics.wait(words, AT, at, NAP);
    }
  }

  /** Its promise is pending. */
  pend(): void {
    Atomics.store(this.#words, AT, AT_RUN);
  }

  clear(): void {
    Atomics.store(this.#words, AT, AT_NOTHING);
  }
}
