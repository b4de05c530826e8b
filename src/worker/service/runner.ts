/**
 * One registration at a time: takes it for an event or because it is due, runs the handler (or gives it to the main thread),
 * and lets go of it as its mode asks.
 *
 * Whenever the thread may die, what it has in hand is known: an event is named in its words until RUNNING says that its run has
 * begun (agenda.ts); HAND names the slot that is being taken (with what was due), given to the main thread, or let go.
 */
import {
  EPOLLERR,
  EPOLLHUP,
  EPOLLIN,
  EPOLLONESHOT,
  EPOLLRDHUP,
  EPOLLRDNORM,
  READINESS,
} from '../../shared/epoll/flags.js';
import * as claims from '../../shared/service/claim.js';
import type { Files } from '../../shared/service/files.js';
import * as L from '../../shared/service/layout.js';
import { NOT_ITS_FILE, readiness } from '../../shared/service/readiness.js';
import type { Waking } from '../../shared/service/waking.js';
import type { DueList } from './due-list.js';
import type { Handler } from './handler.js';
import type { Outbox } from './outbox.js';
import type { Pace } from './pace.js';
import type { ReadyCache, ReadyRegistration } from './ready.js';
import { Registrations } from './registrations.js';

const READING = EPOLLIN | EPOLLRDNORM | EPOLLRDHUP | EPOLLERR | EPOLLHUP;
const ALWAYS = EPOLLERR | EPOLLHUP;

export interface Parts {
  readonly plan: L.Plan;
  readonly index: number;
  readonly epfd: number;
  readonly outbox: Outbox;
  readonly readies: ReadyCache;
  readonly waking: Waking;
  /** Without one, events go to the main thread. */
  readonly handler: Handler | undefined;
  /** See LoadedHandler. */
  readonly isTrusted: boolean;
  /** See LoadedHandler. */
  readonly mayGoOnFull: (() => boolean) | undefined;
}

export class Runner {
  /** How many promises are pending. */
  pending = 0;
  /** Runs since the thread began. */
  runs = 0;
  /** Whether what is due now has waited, or was found by poll(2): its fd may be another file's by now. */
  isLate = false;
  /** Events that somebody else's run has to do with, or that rest, and of which the kernel goes on telling. */
  blocked = 0;
  readonly #owner: number;
  readonly #slots: Int32Array;
  readonly #words: Int32Array;
  readonly #stats: Float64Array;
  readonly #outbox: Outbox;
  readonly #readies: ReadyCache;
  readonly #handler: Handler | undefined;
  readonly #isTrusted: boolean;
  readonly #waking: Waking;
  readonly #registration: Registrations;
  readonly #list: DueList;
  readonly #files: Files;
  readonly #looks: Files;
  readonly #pace: Pace;
  readonly #onSettled: () => void;

  /** @param onSettled a promise has settled, and its registration was let go */
  constructor(parts: Parts, list: DueList, files: Files, looks: Files, pace: Pace, onSettled: () => void) {
    const { plan, index, outbox, readies, waking, handler, isTrusted } = parts;
    const memory = L.threadOf(plan, index);
    this.#slots = L.slotsOf(plan);
    this.#owner = index + 1;
    this.#words = memory.words;
    this.#stats = memory.stats;
    this.#outbox = outbox;
    this.#readies = readies;
    this.#waking = waking;
    this.#handler = handler;
    this.#isTrusted = isTrusted;
    this.#registration = new Registrations(this.#slots);
    this.#list = list;
    this.#files = files;
    this.#looks = looks;
    this.#pace = pace;
    this.#onSettled = onSettled;
  }

  /** Runs what an event is about, if nobody else does. */
  dispatch(slot: number, stamp: number, mask: number): void {
    if (this.#handler === undefined) {
      this.#publish(slot, stamp, mask);
      return;
    }
    const due = claims.arrive(this.#slots, slot * L.SLOT_WORDS, stamp, this.#owner, mask, this.#keeps(slot));
    if (due >= 0) {
      this.#registration.load(slot);
      if (this.#registration.stamp === stamp) this.#run(slot, due, !this.isLate);
      else this.#giveBack(slot, 0);
    } else if (due === claims.LEFT_DUE || due === claims.KNOWN) {
      // More than the event says: the word has all of it, and `take` sees to it that nothing is lost with this thread.
      this.#words[L.EVENT_STAMP] = 0;
      this.take(slot);
    } else {
      this.#met(slot, due);
    }
  }

  /** Leaves an event of the kernel's for whoever comes to it. */
  leave(slot: number, stamp: number, mask: number): void {
    const base = slot * L.SLOT_WORDS;
    this.#met(slot, claims.leave(this.#slots, base, stamp, mask, this.#keeps(slot)));
  }

  #met(slot: number, verdict: number): void {
    if (verdict === claims.LEFT_DUE) this.#queue(slot);
    else if (verdict === claims.STALE) this.#count(L.STALE_EVENTS);
    else if (verdict === claims.CONTENDED) this.#count(L.CONTENDED_EVENTS);
    if ((verdict === claims.CONTENDED || verdict === claims.RESTING) && this.#keeps(slot)) this.blocked++;
  }

  /** Runs what is due with a slot, if it still is. */
  take(slot: number): void {
    const slots = this.#slots;
    const words = this.#words;
    const base = slot * L.SLOT_WORDS;
    for (;;) {
      const word = Atomics.load(slots, base + L.CLAIM);
      if (!claims.isDue(word)) {
        words[L.HAND] = 0;
        return;
      }
      const due = claims.dueOf(word);
      const oneshot = (Atomics.load(slots, base + L.INTEREST) & EPOLLONESHOT) !== 0;
      if (oneshot && due === claims.LOOK) {
        // It was level-triggered when that was left. What it is now was looked at by modify().
        if (claims.exchange(slots, base, word, claims.taken(word))) return;
        continue;
      }
      if (this.#handler === undefined) {
        this.#hold(slot, 0);
        if (!this.#outbox.hasRoom()) return;
        if (!claims.exchange(slots, base, word, claims.reserved(word, claims.MAIN, 0, oneshot))) continue;
        // Only a look: whether that is an event, the main thread finds out.
        this.#give(slot, due !== claims.LOOK);
        return;
      }
      this.#hold(slot, due);
      if (!claims.exchange(slots, base, word, claims.claimed(word, this.#owner, oneshot))) continue;
      this.#registration.load(slot);
      if (claims.hasStamp(word, this.#registration.stamp)) this.#run(slot, due, false);
      else this.#giveBack(slot, due & claims.WAKE);
      return;
    }
  }

  /**
   * Asks for all of the first `count` on the list, in one call, whether they still are ready: those that are not wait for the
   * kernel, the others stay due, for the list's end. Nothing is held after it.
   *
   * @returns how many on the list come before those
   */
  look(count: number): number {
    const slots = this.#slots;
    const looks = this.#looks;
    const list = this.#list;
    looks.clear();
    for (let i = 0; i < count; i++) {
      const slot = list.shift();
      const base = slot * L.SLOT_WORDS;
      const word = Atomics.load(slots, base + L.CLAIM);
      if (!claims.isDue(word)) continue;
      const due = claims.dueOf(word);
      const interest = Atomics.load(slots, base + L.INTEREST);
      const isLook = claims.isLevel(interest) && (due & (claims.LOOK | claims.WAKE)) === claims.LOOK;
      // What a poll has told once, it does not tell again: that is not to be asked before it has run.
      const isTold = isLook && (due & READINESS) !== 0 && this.#files.isNews(slot);
      if (!isLook || isTold || !this.#files.canAsk(slot) || this.#handler === undefined) this.#queue(slot);
      else if (claims.exchange(slots, base, word, claims.looking(word, this.#owner))) looks.add(slot, interest);
      else this.#queue(slot);
    }
    const others = list.length;
    looks.poll();
    for (let i = 0; i < looks.count; i++) {
      const slot = looks.slotOf(i);
      const generation = Atomics.load(slots, slot * L.SLOT_WORDS + L.GENERATION);
      this.#hold(slot, 0);
      this.#after(slot, generation, claims.endLook(slots, slot * L.SLOT_WORDS, looks.answer(i)));
    }
    looks.clear();
    return others;
  }

  /**
   * It was modified since it was claimed. What was due then is not what the new interest and data are for: the kernel looks for
   * those, and a oneshot would run twice with them.
   */
  #giveBack(slot: number, due: number): void {
    this.#hold(slot, due);
    const { generation } = this.#registration;
    this.#after(slot, generation, claims.giveBack(this.#slots, slot * L.SLOT_WORDS, due));
  }

  /** Runs the handler for a slot that this thread has just taken and loaded. @param isFresh the kernel has just told of it */
  #run(slot: number, due: number, isFresh: boolean): void {
    const handler = this.#handler;
    if (handler === undefined) return;
    const slots = this.#slots;
    const base = slot * L.SLOT_WORDS;
    const registration = this.#registration;
    const { interest, generation } = registration;
    const mask = this.#isTrusted ? due & READINESS : readiness(this.#files, slot, due, interest, isFresh, this.isLate);
    const events = mask & (interest | ALWAYS) & READINESS;
    // After the file was looked at: its number may be registered again by then, and this registration ends before that.
    const isEnding = claims.isClosing(Atomics.load(slots, base + L.CLAIM));
    if (isEnding || mask === NOT_ITS_FILE || (events === 0 && (due & claims.WAKE) === 0)) {
      this.#letGo(slot, generation, false);
      return;
    }
    slots[base + L.RUNNING] = L.BEGUN | events;
    this.#words[L.HAND] = 0;
    this.#words[L.EVENT_STAMP] = 0;
    this.runs = (this.runs + 1) | 0;
    this.#words[L.RUNS] = this.runs;
    const ready = this.#readies.of(slot, generation);
    ready.begin(registration.fd, events, registration.low, registration.high);
    this.#count(L.HANDLED);
    try {
      const result: unknown = handler(ready);
      if (isThenable(result)) {
        this.#await(ready, result);
        return;
      }
    } catch (error) {
      this.#failed(ready, error);
      return;
    }
    this.#finished(ready);
  }

  /** Not by then(): a promise may have one of its own, or a constructor that throws. `await` comes back once, whatever they do. */
  async #await(ready: ReadyRegistration, promise: PromiseLike<unknown>): Promise<void> {
    this.pending++;
    let goOn = (): void => this.#finished(ready);
    try {
      await promise;
    } catch (error) {
      goOn = () => this.#failed(ready, error);
    }
    this.pending--;
    goOn();
    this.#onSettled();
  }

  #finished(ready: ReadyRegistration): void {
    const { slot, generation } = ready;
    ready.end();
    this.#letGo(slot, generation, this.#mayBeReady(slot, ready));
  }

  /** It rests before its error is told, so that a modify() that answers the error comes after the rest. */
  #failed(ready: ReadyRegistration, error: unknown): void {
    const { slot, generation } = ready;
    this.#count(L.ERRORS);
    claims.rest(this.#slots, slot * L.SLOT_WORDS);
    ready.fail(error);
    ready.end();
    this.#letGo(slot, generation, false);
  }

  /**
   * Whether a level registration may still be ready, which no edge would tell. Only a read that found nothing, of an interest
   * in nothing but reading, says that it is not: whatever comes after that read is an edge.
   */
  #mayBeReady(slot: number, ready: ReadyRegistration): boolean {
    const interest = Atomics.load(this.#slots, slot * L.SLOT_WORDS + L.INTEREST);
    return !ready.sawEmpty || (interest & READINESS & ~READING) !== 0;
  }

  /** Lets go of a slot. @param look if it is level-triggered, it may be ready */
  #letGo(slot: number, generation: number, look: boolean): void {
    const base = slot * L.SLOT_WORDS;
    const level = claims.isLevel(Atomics.load(this.#slots, base + L.INTEREST)) && this.#files.canAsk(slot);
    // Before RUNNING says that its run is over.
    this.#hold(slot, L.OVER);
    this.#slots[base + L.RUNNING] = 0;
    this.#after(slot, generation, claims.release(this.#slots, base, look && level));
  }

  #after(slot: number, generation: number, verdict: number): void {
    if (verdict === claims.TO_TELL) this.#outbox.push(L.RELEASED, slot, generation);
    else if (verdict === claims.STILL_DUE) this.#queue(slot);
    this.#words[L.HAND] = 0;
  }

  /** Where a slot that is due is found again: here, or where runs are slow by anyone. */
  #queue(slot: number): void {
    if (this.#pace.isSlow || !this.#list.push(slot)) this.#waking.share(slot);
  }

  /** An event for the main thread, which holds the registration from now on, and looks up the rest. */
  #publish(slot: number, stamp: number, mask: number): void {
    if (!this.#outbox.hasRoom()) return;
    this.#hold(slot, 0);
    const verdict = claims.reserve(this.#slots, slot * L.SLOT_WORDS, stamp, claims.MAIN, mask, this.#keeps(slot));
    if (verdict === 0) this.#give(slot, true);
    else this.#met(slot, verdict);
    this.#words[L.HAND] = 0;
  }

  /** @param isEvent whether it counts as published, until the main thread finds that there is nothing to tell of */
  #give(slot: number, isEvent: boolean): void {
    if (isEvent) this.#count(L.HANDLED);
    const generation = Atomics.load(this.#slots, slot * L.SLOT_WORDS + L.GENERATION);
    this.#outbox.push(L.EVENT, slot, generation, 0, isEvent ? 1 : 0);
    this.#words[L.HAND] = 0;
  }

  /** @param due what it has taken of it, or OVER */
  #hold(slot: number, due: number): void {
    this.#words[L.HAND_DUE] = due;
    this.#words[L.HAND] = slot + 1;
  }

  /** Whether the kernel goes on telling of it while it is ready. */
  #keeps(slot: number): boolean {
    return !this.#files.canAsk(slot) && claims.isLevel(Atomics.load(this.#slots, slot * L.SLOT_WORDS + L.INTEREST));
  }

  #count(field: number): void {
    this.#stats[field] = (this.#stats[field] ?? 0) + 1;
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  const mayBe = (typeof value === 'object' && value !== null) || typeof value === 'function';
  return mayBe && 'then' in value && typeof value.then === 'function';
}
