/**
 * The main thread in the place of the threads of a service without a handler. What they fetch is for it alone, so while
 * it is awake it asks the kernel itself, in turn with the rings, and the threads stay out of the way: no ring, no
 * doorbell, no switch of threads for each event.
 *
 * AWAKE is 1 from when the main thread has been woken, or a loop has asked for an event, until it has found nothing more.
 * While a loop's body is at an event it stays 1: nobody else wants what comes meanwhile. A thread that is about to block
 * in epoll_wait sleeps on that word instead. Whatever becomes ready after the main thread's last look is still the
 * kernel's when AWAKE becomes 0, and the next thread in epoll_wait gets it: the one that is woken here, or one that sees
 * the 0 before it sleeps. The main thread claims as the threads do, in its own name; what it cannot deliver goes back to
 * the kernel: before the registration whose listener threw, or with which a consumer left, so that the others come first
 * the next time. What was modified since it was fetched is dropped: modify() has had the kernel look again, and claiming
 * the registration for what was there before would spend a oneshot.
 */

import { EPOLLONESHOT } from '../../../shared/epoll/flags.js';
import { EVENT_WORDS, epollWait } from '../../../shared/kernel/syscalls.js';
import * as claims from '../../../shared/service/claim.js';
import * as L from '../../../shared/service/layout.js';
import type { Registry } from '../registry/registry.js';
import type { Requests } from '../registry/requests.js';
import type { HeldEvent } from './consumer.js';

export class StandIn {
  readonly #header: Int32Array;
  readonly #epfd: number;
  readonly #registry: Registry;
  readonly #requests: Requests;
  readonly #agenda: Int32Array;
  /** Of each entry: the SEQUENCE that its slot had. */
  readonly #sequences: Int32Array;
  readonly #most: number;
  /** What counts for each thread beside what it has counted itself: every look is one thread's, in turn. */
  readonly stats: readonly Float64Array[];
  #turn = 0;
  /** Of the thread whose turn it was. */
  #counts: Float64Array | undefined;
  /** AWAKE is 1, as far as is known here. */
  #begun = false;
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
    this.#sequences = new Int32Array(this.#most);
    this.stats = Array.from({ length: plan.threads }, () => new Float64Array(L.STATS_DOUBLES));
  }

  /** The threads that are about to wait are to leave it to the main thread. Not once the service stops. */
  begin(): void {
    const header = this.#header;
    if (this.#begun || Atomics.load(header, L.STOP) !== 0) return;
    this.#begun = true;
    Atomics.store(header, L.AWAKE, 1);
  }

  /** One of the threads goes back to the kernel; the others find out by themselves, soon enough for what they are for. */
  end(): void {
    this.#begun = false;
    if (Atomics.exchange(this.#header, L.AWAKE, 0) === 1) Atomics.notify(this.#header, L.AWAKE, 1);
  }

  /**
   * Fetches what is ready, at most `most`, and delivers it. How many there were.
   *
   * @param deliver takes an event that the main thread holds; may give the rest back, and may throw once it has
   */
  take(most: number, deliver: (held: HeldEvent) => void): number {
    const n = this.look(most);
    for (let held = this.shift(); held !== undefined; held = this.shift()) deliver(held);
    return n;
  }

  /** The next of what was fetched. */
  shift(): HeldEvent | undefined {
    while (this.#next < this.#count) {
      const held = this.#claim(this.#next++);
      if (held !== undefined) return held;
    }
    return undefined;
  }

  /** Fetches what is ready, at most `most`, if the main thread is to do so and has nothing left. How many there were. */
  look(most: number): number {
    if (Atomics.load(this.#header, L.AWAKE) === 0) return 0;
    const n = Math.max(0, epollWait(this.#epfd, this.#agenda, Math.min(most, this.#most), 0));
    this.#counts = this.stats[this.#turn];
    this.#turn = (this.#turn + 1) % this.stats.length;
    this.#add(L.WAITS, 1);
    this.#add(L.EVENTS, n);
    this.#next = 0;
    this.#count = n;
    for (let i = 0; i < n; i++) this.#sequences[i] = this.#sequenceOf(i);
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
  #claim(i: number): HeldEvent | undefined {
    const { table } = this.#registry;
    const at = i * EVENT_WORDS;
    const mask = this.#agenda[at] ?? 0;
    const slot = this.#agenda[at + L.AGENDA_SLOT] ?? 0;
    const generation = this.#agenda[at + L.AGENDA_GENERATION] ?? 0;
    if (slot === L.EXIT_SLOT) return undefined;
    if (this.#sequences[i] !== this.#sequenceOf(i) && table.isHeld(slot, generation)) return undefined;
    const oneshot = (table.interestOf(slot) & EPOLLONESHOT) !== 0;
    const generationAt = slot * L.SLOT_WORDS + L.GENERATION;
    switch (claims.claim(table.words, table.claimAt(slot), generationAt, generation, claims.MAIN, mask, oneshot)) {
      case claims.CLAIMED:
        this.#add(L.HANDLED, 1);
        return { slot, generation, mask };
      case claims.CONTENDED:
        this.#add(L.CONTENDED_EVENTS, 1);
        return undefined;
      case claims.STALE:
        this.#add(L.STALE_EVENTS, 1);
        return undefined;
      default:
        return undefined;
    }
  }

  /** How often what entry `i` is of was modified. */
  #sequenceOf(i: number): number {
    const slot = this.#agenda[i * EVENT_WORDS + L.AGENDA_SLOT] ?? 0;
    return slot === L.EXIT_SLOT ? 0 : (this.#registry.table.words[slot * L.SLOT_WORDS + L.SEQUENCE] ?? 0);
  }

  #add(field: number, n: number): void {
    const counts = this.#counts;
    if (counts !== undefined) counts[field] = (counts[field] ?? 0) + n;
  }
}
