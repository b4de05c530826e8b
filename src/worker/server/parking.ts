/**
 * What a server's threads do when `concurrency` promises are pending in each of them. What settles a promise may be a connection's
 * run (room in the socket for an answer that is streamed, a peer that has gone): if no thread ran any, none might ever settle.
 *
 * A thread is full from the moment at which it has as many promises as may be until one of them settles, or rests (an event
 * stream that waits for its next event: promises.ts); its word IS_FULL says so. When those that rest go on there may be more than may be.
 *   full, others are not   it suspends: they do all runs (WaitLoop.#suspend)
 *   all are full           it goes on, and begins no message: a connection that has input is parked (its slot is put into a set, a
 *                          RunQueue), and the run ends without a read
 *   not full               it serves
 * A thread that dies counts as full (the main thread says so) until its successor begins.
 *
 * Of the parked, one at a time is woken, by `admit`: whoever has settled a promise, and whoever has ended a run, wakes one if there is
 * one and not all are full. So a message costs a run or two however many wait; a run that begins none is followed by the next one's.
 * They come in turn, by their slots: while any is parked, who comes later, or once more, is parked too, until it is its turn
 * (COMMAND_ADMIT). Else those whose answers make them ask again would have all the room there ever is. More may be woken than there
 * is room for: those that find none are the first to be woken then.
 *
 * None is forgotten. A full thread marks itself before it looks at the others, so the last one to become full sees that all are,
 * and goes on. For the parked it holds that, unless all are full, a run of one that was woken is on its way, or a thread is on its
 * way to `admit`: who parks has the slot in the set before it looks at each thread's word, at the end of its run. If it finds one
 * that is not full, it wakes one. If it finds none, then each thread was full when it looked there, and goes, when that ends, through
 * `emptied` and `admit` (or its successor does): that looks into the set after it has changed its word, hence after the slot was there.
 * (test/model-parking.test.ts goes through the interleavings.) Who dies between taking a slot and waking it: the main thread
 * wakes all that have input. A slot that was used again is woken in vain, and its run, or the next slot, goes on.
 */
import * as L from '../../shared/server/layout.js';
import { RunQueue } from '../../shared/service/run-queue.js';

export class Parking {
  readonly #threads: readonly L.ThreadMemory[];
  readonly #own: Int32Array | undefined;
  readonly #words: Int32Array;
  /** Those of the parked whose turn it was already, and the others. */
  readonly #first: RunQueue;
  readonly #parked: RunQueue;
  /** Whether a run will follow. */
  readonly #wake: (slot: number) => boolean;

  /** @param index the thread's own */
  constructor(memory: L.ServerMemory, index: number, wake: (slot: number) => boolean) {
    const { threads, header, slots } = memory;
    this.#threads = threads;
    this.#own = threads[index]?.words;
    this.#words = memory.words;
    this.#first = new RunQueue(memory.first, slots, header, L.FIRST_FROM);
    this.#parked = new RunQueue(memory.parked, slots, header, L.PARKED_FROM);
    this.#wake = wake;
  }

  get areAllFull(): boolean {
    for (const { words } of this.#threads) if (Atomics.load(words, L.IS_FULL) === 0) return false;
    return true;
  }

  /** This thread has as many promises as may be. */
  filled(): void {
    if (this.#own !== undefined) Atomics.store(this.#own, L.IS_FULL, 1);
  }

  /** It has fewer again, or has just begun. `admit` follows. */
  emptied(): void {
    if (this.#own !== undefined) Atomics.store(this.#own, L.IS_FULL, 0);
  }

  get isEmpty(): boolean {
    return this.#parked.isEmpty && this.#first.isEmpty;
  }

  /** The connection's input waits. `admit` follows, at the end of the run. @param again it was its turn, and all were full again */
  park(slot: number, again: boolean): void {
    (again ? this.#first : this.#parked).push(slot);
  }

  /** One that is parked has a run, unless all are full. */
  admit(): void {
    if (this.isEmpty || this.areAllFull) return;
    for (let slot = this.#pop(); slot >= 0; slot = this.#pop()) {
      Atomics.or(this.#words, L.baseOf(slot) + L.COMMANDS, L.COMMAND_ADMIT);
      if (this.#wake(slot)) return;
    }
  }

  #pop(): number {
    const slot = this.#first.pop();
    return slot >= 0 ? slot : this.#parked.pop();
  }
}
