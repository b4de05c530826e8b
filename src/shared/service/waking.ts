/** Puts what is due where any thread finds it, and wakes one that sleeps. For every thread, and for the main one. */
import { type Memory, write } from '../kernel/syscalls.js';
import * as claims from './claim.js';
import * as L from './layout.js';
import { RunQueue } from './run-queue.js';

const ONE: Memory = new BigUint64Array([1n]);

export class Waking {
  readonly queue: RunQueue;
  readonly #slots: Int32Array;
  readonly #count: number;
  readonly #header: Int32Array;
  readonly #wakeFd: number;

  /** @param wakeFd the eventfd in the instance, edge-triggered: one thread gets each write */
  constructor(plan: L.Plan, wakeFd: number) {
    this.#header = L.headerOf(plan);
    this.#slots = L.slotsOf(plan);
    this.#count = plan.slots;
    this.#wakeFd = wakeFd;
    this.queue = new RunQueue(L.queueOf(plan), plan.slots, this.#header, L.CURSOR);
  }

  /** The slot is due: any thread may take it from now on. */
  share(slot: number): void {
    this.queue.push(slot);
    this.kick();
  }

  /**
   * Wakes a thread, if one sleeps. After the queue was filled: a thread counts itself among the sleepers before it looks at
   * the queue for the last time, so one of the two sees the other.
   *
   * Once only until a thread has come back from the kernel, however many are to run: that one looks at the queue after it has taken
   * CALLED back, so it sees what was put there by whoever found CALLED set; and it calls the next if there is more than it takes.
   */
  kick(): void {
    const header = this.#header;
    if (Atomics.load(header, L.IDLE) > 0 && Atomics.exchange(header, L.CALLED, 1) === 0) write(this.#wakeFd, ONE, 8);
  }

  /** A thread has come back from the kernel with something, perhaps with that call. Before it looks at the queue. */
  came(): void {
    if (Atomics.load(this.#header, L.CALLED) !== 0) Atomics.store(this.#header, L.CALLED, 0);
  }

  /** One more run for that registration; `slot` is the id's. False: there is none any more. */
  wakeId(slot: number, id: number): boolean {
    const generation = Atomics.load(this.#slots, slot * L.SLOT_WORDS + L.GENERATION);
    return L.idOf(slot, generation) === id && this.wake(slot, generation);
  }

  /** One more run for that registration. False: there is none any more. */
  wake(slot: number, generation: number): boolean {
    if (!(slot >= 0 && slot < this.#count) || generation === 0) return false;
    const base = slot * L.SLOT_WORDS;
    for (;;) {
      // The word first: if the slot is recycled after the comparison, the exchange fails.
      const word = Atomics.load(this.#slots, base + L.CLAIM);
      if (Atomics.load(this.#slots, base + L.GENERATION) !== generation || claims.isClosing(word)) return false;
      const next = claims.woken(word);
      if (next !== word && !claims.exchange(this.#slots, base, word, next)) continue;
      if (claims.isDue(next)) this.share(slot);
      return true;
    }
  }
}
