/**
 * One registration at a time: claims it for an event, runs the handler (or publishes the event), and lets go of it as
 * its mode asks. Level registrations that may still be ready, and edges that came during a run, go on the held list.
 */

import {
  EPOLLERR,
  EPOLLET,
  EPOLLHUP,
  EPOLLIN,
  EPOLLONESHOT,
  EPOLLRDHUP,
  EPOLLRDNORM,
  READINESS,
} from '../../shared/epoll/flags.js';
import * as claims from '../../shared/service/claim.js';
import * as L from '../../shared/service/layout.js';
import type { BatchSize } from './batch-size.js';
import type { Handler } from './handler.js';
import { DUE, FOREIGN, HeldList } from './held-list.js';
import type { Outbox } from './outbox.js';
import type { Position } from './position.js';
import type { ReadyRegistration } from './ready.js';
import { Registrations } from './registrations.js';

const MODES = EPOLLET | EPOLLONESHOT;
const READING = EPOLLIN | EPOLLRDNORM | EPOLLRDHUP | EPOLLERR | EPOLLHUP;

export interface Parts {
  readonly plan: L.Plan;
  readonly index: number;
  readonly epfd: number;
  readonly outbox: Outbox;
  readonly ready: ReadyRegistration;
  /** Without one, events go to the main thread. */
  readonly handler: Handler | undefined;
}

export class Runner {
  readonly held: HeldList;
  readonly #owner: number;
  readonly #header: Int32Array;
  readonly #crowd: number;
  readonly #slots: Int32Array;
  readonly #position: Position;
  readonly #stats: Float64Array;
  readonly #outbox: Outbox;
  readonly #ready: ReadyRegistration;
  readonly #handler: Handler | undefined;
  readonly #registration: Registrations;
  readonly #batch: BatchSize;

  constructor({ plan, index, epfd, outbox, ready, handler }: Parts, position: Position, batch: BatchSize) {
    const memory = L.threadOf(plan, index);
    this.#slots = L.slotsOf(plan);
    this.held = new HeldList(memory.held, this.#slots, epfd);
    this.#owner = handler === undefined ? claims.MAIN : index + 1;
    this.#header = L.headerOf(plan);
    this.#crowd = plan.batch;
    this.#position = position;
    this.#stats = memory.stats;
    this.#outbox = outbox;
    this.#ready = ready;
    this.#handler = handler;
    this.#registration = new Registrations(this.#slots);
    this.#batch = batch;
  }

  /** The promise of the handler that has made `dispatch` or `lookAgain` return false. */
  promise: PromiseLike<unknown> | undefined;

  /** Deals with one event of the kernel's. False: a handler's promise is pending. */
  dispatch(slot: number, generation: number, mask: number): boolean {
    const base = slot * L.SLOT_WORDS;
    const claimAt = base + L.CLAIM;
    const oneshot = this.#isOneshot(slot);
    const verdict = claims.claim(this.#slots, claimAt, base + L.GENERATION, generation, this.#owner, mask, oneshot);
    if (verdict === claims.CLAIMED) {
      if (oneshot) this.#checkMode(slot, generation);
      return this.#run(slot, generation, mask);
    }
    if (verdict === claims.CONTENDED) this.#count(L.CONTENDED_EVENTS);
    else if (verdict === claims.STALE) this.#count(L.STALE_EVENTS);
    return true;
  }

  /**
   * One pass over what is held: runs what is due or still ready, lets go of the rest. False: a promise is pending.
   *
   * @param othersWait the kernel had something to tell when it was last asked, and may have more
   */
  lookAgain(othersWait: boolean): boolean {
    const { held } = this;
    const count = held.poll();
    const done = this.#pass(count, othersWait);
    held.compact();
    return done;
  }

  #pass(count: number, othersWait: boolean): boolean {
    const { held } = this;
    for (let i = 0; i < count; i++) {
      if (held.isGone(i)) continue;
      const answer = held.answer(i);
      const slot = held.take(i);
      const generation = Atomics.load(this.#slots, slot * L.SLOT_WORDS + L.GENERATION);
      if (answer === 0) this.#letGo(slot, generation);
      else if (answer === FOREIGN || (answer !== DUE && this.#belongsElsewhere(othersWait)))
        this.rearm(slot, generation);
      else if (!this.#runAgain(slot, generation, answer)) return false;
    }
    return true;
  }

  /** Runs with what poll(2) said, or with what is pending. False: a handler's promise is pending. */
  #runAgain(slot: number, generation: number, answer: number): boolean {
    // It was level-triggered when it was put on the list; taking nothing would spend the oneshot that it is now.
    const idle = answer === DUE && claims.pendingOf(Atomics.load(this.#slots, slot * L.SLOT_WORDS + L.CLAIM)) === 0;
    const pending = idle ? 0 : this.#takePending(slot, generation);
    const mask = answer === DUE ? pending : answer;
    if (pending >= 0 && mask > 0) return this.#run(slot, generation, mask);
    this.#letGo(slot, generation);
    return true;
  }

  /** Lets go of a held registration, and has the registry make the kernel look at its fd again. */
  rearm(slot: number, generation: number): void {
    const verdict = claims.drop(this.#slots, slot * L.SLOT_WORDS + L.CLAIM);
    this.#outbox.push(verdict === claims.CLOSED ? L.RELEASED : L.REARM, slot, generation);
  }

  /** Takes over what a peer holds, that is stuck in another registration's handler. */
  seize(slot: number, owner: number): void {
    const base = slot * L.SLOT_WORDS;
    // It is held, so its generation stays as it is.
    const generation = Atomics.load(this.#slots, base + L.GENERATION);
    if (claims.seize(this.#slots, base + L.CLAIM, generation, owner, this.#owner)) this.held.push(slot);
  }

  /** The pending handler has ended. */
  resume(failed: boolean, error: unknown): void {
    this.promise = undefined;
    const { slot, generation } = this.#position;
    if (failed) this.#failed(slot, generation, error);
    else this.#finished(slot, generation);
  }

  /** Runs the handler for a slot that this thread holds. False: its promise is pending. */
  #run(slot: number, generation: number, mask: number): boolean {
    if (this.#handler === undefined) {
      this.#publish(slot, generation, mask);
      return true;
    }
    const registration = this.#registration;
    registration.load(slot);
    const events = mask & (registration.interest | EPOLLERR | EPOLLHUP) & READINESS;
    if (events === 0) {
      this.#outdated(slot, generation);
      return true;
    }
    this.#position.enter(slot, generation, events);
    this.#ready.begin(slot, generation, registration.fd, events, registration.low, registration.high);
    this.#count(L.HANDLED);
    let result: unknown;
    try {
      result = this.#handler(this.#ready);
      if (isThenable(result)) {
        this.promise = result;
        return false;
      }
    } catch (error) {
      this.#failed(slot, generation, error);
      return true;
    }
    this.#finished(slot, generation);
    return true;
  }

  /** To the main thread, which holds it from now on, and looks up the rest. */
  #publish(slot: number, generation: number, mask: number): void {
    const interest = Atomics.load(this.#slots, slot * L.SLOT_WORDS + L.INTEREST);
    const events = mask & (interest | EPOLLERR | EPOLLHUP) & READINESS;
    if (events === 0) this.#outdated(slot, generation);
    else if (this.#outbox.publish(slot, generation, events)) this.#count(L.HANDLED);
  }

  /**
   * An event of an interest that modify() has replaced since. The claim may have spent the oneshot that modify() armed,
   * and the event of the new interest been dropped for it: the kernel is to look once more.
   */
  #outdated(slot: number, generation: number): void {
    if (!this.#isOneshot(slot)) {
      this.#letGo(slot, generation);
      return;
    }
    claims.wake(this.#slots, slot * L.SLOT_WORDS + L.CLAIM, generation);
    this.rearm(slot, generation);
  }

  /**
   * The main thread holds the registration until it takes the error, and rests it then. A modify() that the handler
   * asked for before it threw is carried out before that, and must not let another run begin.
   */
  #failed(slot: number, generation: number, error: unknown): void {
    this.#count(L.ERRORS);
    claims.seize(this.#slots, slot * L.SLOT_WORDS + L.CLAIM, generation, this.#owner, claims.MAIN);
    this.#ready.fail(error);
    this.#ready.end();
    this.#position.leave();
    this.#position.clear();
  }

  #finished(slot: number, generation: number): void {
    this.#ready.end();
    this.#position.leave();
    if (this.#mayBeReady(slot)) this.held.push(slot);
    else this.#letGo(slot, generation);
    this.#position.clear();
  }

  /**
   * Whether a level registration may still be ready, which no edge would tell. Only a read that found nothing, of an
   * interest in nothing but reading, says that it is not: whatever comes after that read is an edge.
   */
  #mayBeReady(slot: number): boolean {
    const base = slot * L.SLOT_WORDS;
    const interest = this.#slots[base + L.INTEREST] ?? 0;
    if ((interest & MODES) !== 0) return false;
    const word = Atomics.load(this.#slots, base + L.CLAIM);
    if (claims.isResting(word) || claims.isClosing(word)) return false;
    return !this.#ready.sawEmpty || (interest & READINESS & ~READING) !== 0;
  }

  /** Releases the slot; if events came meanwhile, it stays held, and they stay pending, for the next look. */
  #letGo(slot: number, generation: number): void {
    for (;;) {
      const verdict = claims.release(this.#slots, slot * L.SLOT_WORDS + L.CLAIM);
      if (verdict === claims.CLOSED) this.#outbox.push(L.RELEASED, slot, generation);
      if (verdict !== claims.AGAIN) return;
      if (this.#handler !== undefined) {
        this.held.push(slot);
        return;
      }
      const pending = this.#takePending(slot, generation);
      if (pending < 0) continue;
      this.#run(slot, generation, pending);
      return;
    }
  }

  /** Takes what came while the slot was held. -1: it is to rest or to close instead. */
  #takePending(slot: number, generation: number): number {
    const oneshot = this.#isOneshot(slot);
    const pending = claims.resume(this.#slots, slot * L.SLOT_WORDS + L.CLAIM, oneshot);
    if (oneshot && pending >= 0) this.#checkMode(slot, generation);
    return pending;
  }

  #isOneshot(slot: number): boolean {
    return (Atomics.load(this.#slots, slot * L.SLOT_WORDS + L.INTEREST) & EPOLLONESHOT) !== 0;
  }

  /**
   * This thread has just set REST, because it had read that the registration is a oneshot. If modify() has made it
   * something else between the two, REST must not stay; a modify() that comes later clears it itself.
   */
  #checkMode(slot: number, generation: number): void {
    if (!this.#isOneshot(slot)) claims.wake(this.#slots, slot * L.SLOT_WORDS + L.CLAIM, generation);
  }

  /**
   * Whether the kernel should say when it is to run next: runs are slow and another thread is free for it, or so long that
   * what has become ready in the meantime comes first, or too many are held here.
   */
  #belongsElsewhere(othersWait: boolean): boolean {
    const { isSlow, isLong } = this.#batch;
    const elsewhere = (isSlow && Atomics.load(this.#header, L.IDLE) > 0) || this.held.length > this.#crowd;
    return elsewhere || (isLong && othersWait);
  }

  #count(field: number): void {
    this.#stats[field] = (this.#stats[field] ?? 0) + 1;
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  const mayBe = (typeof value === 'object' && value !== null) || typeof value === 'function';
  return mayBe && 'then' in value && typeof value.then === 'function';
}
