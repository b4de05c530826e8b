/**
 * One registration at a time: claims it for an event, runs the handler (or publishes the event), and lets go of it as
 * its mode asks. Level registrations that may still be ready, and edges that came during a run, go on the held list.
 */
import * as claims from '../shared/claim.js';
import {
  EPOLLERR,
  EPOLLET,
  EPOLLHUP,
  EPOLLIN,
  EPOLLONESHOT,
  EPOLLRDHUP,
  EPOLLRDNORM,
  READINESS,
} from '../shared/flags.js';
import * as L from '../shared/layout.js';
import type { BatchSize } from './batch-size.js';
import type { Handler } from './handler.js';
import { FOREIGN, HeldList } from './held-list.js';
import type { Outbox } from './outbox.js';
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
  readonly #words: Int32Array;
  readonly #stats: Float64Array;
  readonly #outbox: Outbox;
  readonly #ready: ReadyRegistration;
  readonly #handler: Handler | undefined;
  readonly #registration: Registrations;
  readonly #batch: BatchSize;

  constructor({ plan, index, epfd, outbox, ready, handler }: Parts, batch: BatchSize) {
    const memory = L.threadOf(plan, index);
    this.#slots = L.slotsOf(plan);
    this.held = new HeldList(memory.held, this.#slots, epfd);
    this.#owner = handler === undefined ? claims.MAIN : index + 1;
    this.#header = L.headerOf(plan);
    this.#crowd = plan.batch;
    this.#words = memory.words;
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

  /** One pass over what is held: runs what is due or still ready, lets go of the rest. False: a promise is pending. */
  lookAgain(): boolean {
    const { held } = this;
    const count = held.poll();
    const done = this.#pass(count);
    held.compact();
    return done;
  }

  #pass(count: number): boolean {
    const { held } = this;
    for (let i = 0; i < count; i++) {
      const slot = held.slotAt(i);
      const generation = held.generationAt(i);
      const due = held.dueAt(i) !== 0;
      const mask = held.answer(i);
      if (slot < 0 || !held.take(i)) continue;
      if (mask === 0) this.#letGo(slot, generation);
      else if (mask === FOREIGN || (!due && this.#belongsElsewhere())) this.rearm(slot, generation);
      else if (!due && this.#takePending(slot, generation) < 0) this.#letGo(slot, generation);
      else if (!this.#run(slot, generation, mask)) return false;
    }
    return true;
  }

  /** Lets go of a held registration, and has the registry make the kernel look at its fd again. */
  rearm(slot: number, generation: number): void {
    const verdict = claims.drop(this.#slots, slot * L.SLOT_WORDS + L.CLAIM);
    this.#outbox.push(verdict === claims.CLOSED ? L.RELEASED : L.REARM, slot, generation);
  }

  /** Takes over what a peer holds. */
  seize(slot: number, generation: number, due: number, owner: number): void {
    if (claims.seize(this.#slots, slot * L.SLOT_WORDS + L.CLAIM, generation, owner, this.#owner)) {
      this.held.push(slot, generation, due);
    }
  }

  /** The pending handler has ended. */
  resume(failed: boolean, error: unknown): void {
    this.promise = undefined;
    const words = this.#words;
    const slot = words[L.AT_SLOT] ?? 0;
    const generation = words[L.AT_GENERATION] ?? 0;
    if (failed) this.#failed(slot, generation, error);
    else this.#finished(slot, generation);
  }

  /** Runs the handler for a slot that this thread holds. False: its promise is pending. */
  #run(slot: number, generation: number, mask: number): boolean {
    const registration = this.#registration;
    registration.load(slot);
    const events = mask & (registration.interest | EPOLLERR | EPOLLHUP) & READINESS;
    if (events === 0) {
      this.#outdated(slot, generation);
      return true;
    }
    if (this.#handler === undefined) {
      if (this.#outbox.publish(slot, generation, events)) this.#count(L.HANDLED);
      return true;
    }
    const words = this.#words;
    words[L.AT_SLOT] = slot;
    words[L.AT_GENERATION] = generation;
    words[L.AT_MASK] = events;
    Atomics.store(words, L.RUNS, ((words[L.RUNS] ?? 0) + 1) | 0);
    Atomics.store(words, L.AT, L.AT_RUN);
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
    Atomics.store(this.#words, L.AT, L.AT_NOTHING);
  }

  #finished(slot: number, generation: number): void {
    this.#ready.end();
    if (this.#mayBeReady(slot)) this.held.push(slot, generation, 0);
    else this.#letGo(slot, generation);
    Atomics.store(this.#words, L.AT, L.AT_NOTHING);
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

  /** Releases the slot; if events came meanwhile, it stays held, to run once more. */
  #letGo(slot: number, generation: number): void {
    for (;;) {
      const verdict = claims.release(this.#slots, slot * L.SLOT_WORDS + L.CLAIM);
      if (verdict === claims.CLOSED) this.#outbox.push(L.RELEASED, slot, generation);
      if (verdict !== claims.AGAIN) return;
      const pending = this.#takePending(slot, generation);
      if (pending < 0) continue;
      if (this.#handler === undefined) {
        this.#run(slot, generation, pending);
      } else {
        // An edge costs a run; level asks whether it is ready.
        const level = ((this.#slots[slot * L.SLOT_WORDS + L.INTEREST] ?? 0) & MODES) === 0;
        this.held.push(slot, generation, level ? 0 : pending);
      }
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

  /** Whether another thread should have the next run: runs are slow and one is free, or too many are held here. */
  #belongsElsewhere(): boolean {
    return (this.#batch.isSlow && Atomics.load(this.#header, L.IDLE) > 0) || this.held.length > this.#crowd;
  }

  #count(field: number): void {
    this.#stats[field] = (this.#stats[field] ?? 0) + 1;
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  const mayBe = (typeof value === 'object' && value !== null) || typeof value === 'function';
  return mayBe && 'then' in value && typeof value.then === 'function';
}
