/**
 * The main thread in the place of the threads of a service without a handler. What they fetch is for it alone, so while it is
 * awake it asks the kernel itself, in turn with the rings, and the threads stay out of the way: no ring, no doorbell, no
 * switch of threads for each event.
 *
 * AWAKE is 1 from when the main thread has been woken, or a loop has asked for an event, until it has found nothing more.
 * While a loop's body is at an event it stays 1: nobody else wants what comes meanwhile. A thread that is about to block in
 * epoll_wait sleeps on that word instead. No wake-up is lost: an event after our last look stays in the ready list, and at
 * least one thread returns to epoll_wait once AWAKE is 0, because we wake one, and any other sees 0 before it sleeps. What is
 * due when AWAKE becomes 0 goes to the run queue, where that thread finds it.
 *
 * What a listener that throws, or a consumer that leaves, has not come to is due, for whoever is next.
 */
import { EPOLLONESHOT } from '../../../shared/epoll/flags.js';
import { EVENT_WORDS, epollWait } from '../../../shared/kernel/syscalls.js';
import * as claims from '../../../shared/service/claim.js';
import type { Files } from '../../../shared/service/files.js';
import * as L from '../../../shared/service/layout.js';
import type { Waking } from '../../../shared/service/waking.js';
import type { SlotTable } from '../registry/slot-table.js';
import type { HeldEvent } from './consumer.js';

/** How often the kernel is asked for one event. */
const LOOKS = 16;

export class StandIn {
  readonly #header: Int32Array;
  readonly #epfd: number;
  readonly #table: SlotTable;
  readonly #files: Files;
  readonly #waking: Waking;
  readonly #agenda: Int32Array;
  readonly #most: number;
  /** What counts for each thread beside what it has counted itself: every look is one thread's, in turn. */
  readonly stats: readonly Float64Array[];
  #turn = 0;
  /** The thread whose turn it was. */
  #thread = 0;
  /** AWAKE is 1, as far as is known here. */
  #begun = false;
  /** The next entry of the agenda, and how many there are. */
  #next = 0;
  #count = 0;
  /** Slots that are due, and how many of them come before the kernel is asked again. */
  #due: number[] = [];
  #nextDue = 0;
  #dueFirst = 0;
  /** As many from the run queue, too. */
  #sharedFirst = 0;
  /** `next` has given up, and there may be more. */
  isTired = false;

  /** @param most how many events it fetches at once */
  constructor(plan: L.Plan, epfd: number, table: SlotTable, files: Files, waking: Waking, most: number) {
    this.#header = L.headerOf(plan);
    this.#epfd = epfd;
    this.#table = table;
    this.#files = files;
    this.#waking = waking;
    this.#most = Math.min(most, plan.batch);
    this.#agenda = new Int32Array(this.#most * EVENT_WORDS);
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
    this.giveBack();
    if (Atomics.exchange(this.#header, L.AWAKE, 0) === 1) Atomics.notify(this.#header, L.AWAKE, 1);
  }

  /** A registration that the main thread has let go is due: in its turn here, or for the threads. */
  due(slot: number): void {
    if (this.#begun) this.#due.push(slot);
    else this.#waking.share(slot);
  }

  /**
   * The next that the main thread is to hold: of what was fetched, then of what is due, once through, then of what it fetches
   * now. Undefined: there is nothing.
   *
   * @param most how many events it may fetch
   */
  next(most: number): HeldEvent | undefined {
    for (let looks = 0; ; looks++) {
      const held = this.#fetched() ?? this.#taken();
      if (held !== undefined) return held;
      // Nothing but what is held, or is no more, over and over.
      this.isTired = looks === LOOKS;
      if (this.isTired) return undefined;
      const found = this.#look(most);
      this.#dueFirst = this.#due.length - this.#nextDue;
      this.#sharedFirst = this.#waking.queue.isEmpty ? 0 : this.#most;
      if (found <= 0 && this.#dueFirst === 0 && this.#sharedFirst === 0) return undefined;
    }
  }

  #fetched(): HeldEvent | undefined {
    while (this.#next < this.#count) {
      const held = this.#reserve(this.#next++);
      if (held !== undefined) return held;
    }
    return undefined;
  }

  #taken(): HeldEvent | undefined {
    while (this.#dueFirst > 0) {
      this.#dueFirst--;
      const held = this.#take(this.#shiftDue());
      if (held !== undefined) return held;
    }
    // One by one: the queue goes round, and what was taken from it had its turn.
    while (this.#sharedFirst > 0) {
      const slot = this.#waking.queue.pop();
      this.#sharedFirst = slot < 0 ? 0 : this.#sharedFirst - 1;
      const held = slot < 0 ? undefined : this.#take(slot);
      if (held !== undefined) return held;
    }
    return undefined;
  }

  #shiftDue(): number {
    const slot = this.#due[this.#nextDue++] ?? 0;
    if (this.#nextDue === this.#due.length) {
      this.#due.length = 0;
      this.#nextDue = 0;
    }
    return slot;
  }

  /** Fetches what is ready, at most `most`, if the main thread is to do so. How many there were. */
  #look(most: number): number {
    if (Atomics.load(this.#header, L.AWAKE) === 0) return 0;
    const n = Math.max(0, epollWait(this.#epfd, this.#agenda, Math.min(most, this.#most), 0));
    if (n > 0) this.#waking.came();
    this.#thread = this.#turn;
    this.#turn = (this.#turn + 1) % this.stats.length;
    this.#add(L.WAITS, 1);
    this.#add(L.EVENTS, n);
    this.#next = 0;
    this.#count = n;
    return n;
  }

  /** What was fetched, or is due, and is not delivered, is for whoever is next. */
  giveBack(): void {
    const { words } = this.#table;
    while (this.#next < this.#count) {
      const at = this.#next++ * EVENT_WORDS;
      const slot = this.#agenda[at + L.AGENDA_SLOT] ?? 0;
      if (slot < 0) continue;
      const stamp = this.#agenda[at + L.AGENDA_STAMP] ?? 0;
      const left = claims.leave(words, slot * L.SLOT_WORDS, stamp, this.#agenda[at] ?? 0, false);
      if (left === claims.LEFT_DUE) this.#waking.queue.push(slot);
    }
    while (this.#nextDue < this.#due.length) this.#waking.queue.push(this.#shiftDue());
    this.#dueFirst = 0;
    if (!this.#waking.queue.isEmpty) this.#waking.kick();
  }

  /** Entry `i` of the agenda, if the main thread is to deliver it. */
  #reserve(i: number): HeldEvent | undefined {
    const { words } = this.#table;
    const at = i * EVENT_WORDS;
    const mask = this.#agenda[at] ?? 0;
    const slot = this.#agenda[at + L.AGENDA_SLOT] ?? 0;
    if (slot < 0) return undefined; // one of the service's own eventfds
    const stamp = this.#agenda[at + L.AGENDA_STAMP] ?? 0;
    const keeps = claims.isLevel(this.#table.interestOf(slot)) && !this.#files.canAsk(slot);
    // Stamps change on this thread alone: nobody else's claim can be meant.
    const verdict = claims.arrive(words, slot * L.SLOT_WORDS, stamp, claims.MAIN, mask, keeps);
    if (verdict >= 0) return this.#held(slot, verdict);
    if (verdict === claims.LEFT_DUE || verdict === claims.KNOWN) return this.#take(slot);
    if (verdict === claims.CONTENDED) this.#add(L.CONTENDED_EVENTS, 1);
    else if (verdict === claims.STALE) this.#add(L.STALE_EVENTS, 1);
    return undefined;
  }

  /** A slot that may be due. */
  #take(slot: number): HeldEvent | undefined {
    const { words } = this.#table;
    const base = slot * L.SLOT_WORDS;
    for (;;) {
      const word = this.#table.wordOf(slot);
      if (!claims.isDue(word)) return undefined;
      const oneshot = (this.#table.interestOf(slot) & EPOLLONESHOT) !== 0;
      const isPast = oneshot && claims.dueOf(word) === claims.LOOK;
      const next = isPast ? claims.taken(word) : claims.reserved(word, claims.MAIN, 0, oneshot);
      if (!claims.exchange(words, base, word, next)) continue;
      return isPast ? undefined : this.#held(slot, undefined);
    }
  }

  #held(slot: number, due: number | undefined): HeldEvent {
    const generation = this.#table.generationOf(slot);
    return { slot, generation, due, thread: this.#thread, isCounted: false };
  }

  /** So many more events of that thread's were published. */
  handled(thread: number, count: number): void {
    const counts = this.stats[thread];
    if (counts !== undefined) counts[L.HANDLED] = (counts[L.HANDLED] ?? 0) + count;
  }

  #add(field: number, n: number): void {
    const counts = this.stats[this.#thread];
    if (counts !== undefined) counts[field] = (counts[field] ?? 0) + n;
  }
}
