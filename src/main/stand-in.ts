/**
 * The main thread in the place of the threads of a service without a handler. What they fetch is for it alone, so while
 * it is awake it asks the kernel itself, in turn with the rings, and the threads stay out of the way: no ring, no
 * doorbell, no switch of threads for each event.
 *
 * AWAKE is 1 from when the main thread has been woken until it has found nothing more. A thread that is about to block
 * in epoll_wait sleeps on that word instead. Whatever becomes ready after the main thread's last look is still the
 * kernel's when AWAKE becomes 0, and the next thread in epoll_wait gets it: the one that is woken here, or one that sees
 * the 0 before it sleeps. The main thread claims as the threads do, in its own name; what it cannot deliver goes back to
 * the kernel: before the registration whose listener threw, so that the others come first the next time.
 */
import * as claims from '../shared/claim.js';
import { EPOLLERR, EPOLLHUP, EPOLLONESHOT, READINESS } from '../shared/flags.js';
import * as L from '../shared/layout.js';
import { EVENT_WORDS, epollWait } from '../shared/syscalls.js';
import type { HeldEvent } from './consumer.js';
import type { Registry } from './registry.js';
import type { Requests } from './requests.js';

export class StandIn {
  readonly #header: Int32Array;
  readonly #epfd: number;
  readonly #registry: Registry;
  readonly #requests: Requests;
  readonly #agenda: Int32Array;
  readonly #most: number;
  /** What counts for each thread beside what it has counted itself: every look is one thread's, in turn. */
  readonly stats: readonly Float64Array[];
  #turn = 0;
  /** The next entry of the agenda, and how many there are. */
  #next = 0;
  #count = 0;

  /** @param most how many events it fetches at once */
  constructor(plan: L.Plan, epfd: number, registry: Registry, requests: Requests, most: number) {
    this.#header = L.headerOf(plan);
    this.#epfd = epfd;
    this.#registry = registry;
    this.#requests = requests;
    this.#most = Math.min(most, plan.batch);
    this.#agenda = new Int32Array(this.#most * EVENT_WORDS);
    this.stats = Array.from({ length: plan.threads }, () => new Float64Array(L.STATS_DOUBLES));
  }

  /** The threads that are about to wait are to leave it to the main thread. Not once the service stops. */
  begin(): void {
    const header = this.#header;
    if (Atomics.load(header, L.STOP) === 0) Atomics.store(header, L.AWAKE, 1);
  }

  /** One of the threads goes back to the kernel; the others find out by themselves, soon enough for what they are for. */
  end(): void {
    if (Atomics.exchange(this.#header, L.AWAKE, 0) === 1) Atomics.notify(this.#header, L.AWAKE, 1);
  }

  /**
   * Fetches what is ready, at most `most`, and delivers it for as long as it is wanted. How many there were.
   *
   * @param deliver takes an event that the main thread holds; may throw
   */
  take(most: number, isWanted: () => boolean, deliver: (held: HeldEvent) => void): number {
    if (Atomics.load(this.#header, L.AWAKE) === 0 || !isWanted()) return 0;
    const n = Math.max(0, epollWait(this.#epfd, this.#agenda, Math.min(most, this.#most), 0));
    const stats = this.stats[this.#turn];
    this.#turn = (this.#turn + 1) % this.stats.length;
    count(stats, L.WAITS, 1);
    count(stats, L.EVENTS, n);
    this.#next = 0;
    this.#count = n;
    try {
      while (this.#next < n && isWanted()) {
        const held = this.#claim(this.#next++, stats);
        if (held !== undefined) deliver(held);
      }
    } finally {
      this.giveBack();
    }
    return n;
  }

  /** Has the kernel look again at what was fetched, and is not delivered. */
  giveBack(): void {
    while (this.#next < this.#count) {
      const at = this.#next++ * EVENT_WORDS;
      const slot = this.#agenda[at + L.AGENDA_SLOT] ?? 0;
      if (slot !== L.EXIT_SLOT) this.#requests.rearm(slot, this.#agenda[at + L.AGENDA_GENERATION] ?? 0);
    }
  }

  /** Entry `i` of the agenda, if the main thread is to deliver it now. */
  #claim(i: number, stats: Float64Array | undefined): HeldEvent | undefined {
    const { table } = this.#registry;
    const at = i * EVENT_WORDS;
    const mask = this.#agenda[at] ?? 0;
    const slot = this.#agenda[at + L.AGENDA_SLOT] ?? 0;
    const generation = this.#agenda[at + L.AGENDA_GENERATION] ?? 0;
    if (slot === L.EXIT_SLOT) return undefined;
    const interest = table.interestOf(slot);
    const isOutdated = (mask & (interest | EPOLLERR | EPOLLHUP) & READINESS) === 0;
    // A listener has modified it since it was fetched: what is ready now is in the kernel's list anew, and claiming the
    // slot for this would spend a oneshot.
    if (isOutdated && table.isHeld(slot, generation)) return undefined;
    const oneshot = (interest & EPOLLONESHOT) !== 0;
    const generationAt = slot * L.SLOT_WORDS + L.GENERATION;
    switch (claims.claim(table.words, table.claimAt(slot), generationAt, generation, claims.MAIN, mask, oneshot)) {
      case claims.CLAIMED:
        count(stats, L.HANDLED, 1);
        return { slot, generation, mask };
      case claims.CONTENDED:
        count(stats, L.CONTENDED_EVENTS, 1);
        return undefined;
      case claims.STALE:
        count(stats, L.STALE_EVENTS, 1);
        return undefined;
      default:
        return undefined;
    }
  }
}

function count(stats: Float64Array | undefined, field: number, n: number): void {
  if (stats !== undefined) stats[field] = (stats[field] ?? 0) + n;
}
