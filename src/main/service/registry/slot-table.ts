/** The slots of a service, as the main thread keeps them: which are free, and which fd each of the others is for. */
import * as claims from '../../../shared/service/claim.js';
import {
  ASKS,
  CLAIM,
  FD,
  GENERATION,
  HIGH,
  INTEREST,
  idOf,
  LOW,
  NEXT,
  type Plan,
  RUNNING,
  SEQUENCE,
  SLOT_WORDS,
  STAMP,
  slotsOf,
  stateStride,
  TOUCHED,
} from '../../../shared/service/layout.js';
import { FdMap } from './fd-map.js';

const NONE = -1;

export class SlotTable {
  readonly words: Int32Array;
  readonly #states: Uint8Array;
  readonly #stride: number;
  readonly #byFd = new FdMap();
  readonly #count: number;
  /** Free slots, used in turn: a queue linked through the slots themselves, and then those never used. */
  #first = NONE;
  #last = NONE;
  #unused = 0;

  constructor(plan: Plan) {
    this.words = slotsOf(plan);
    this.#states = new Uint8Array(plan.state);
    this.#stride = stateStride(plan.stateBytes);
    this.#count = plan.slots;
  }

  /** How many fds are registered. */
  get size(): number {
    return this.#byFd.size;
  }

  /** The slot of a registered fd. */
  slotOf(fd: number): number | undefined {
    return this.#byFd.get(fd);
  }

  fdOf(slot: number): number {
    return this.words[slot * SLOT_WORDS + FD] ?? NONE;
  }

  interestOf(slot: number): number {
    return (this.words[slot * SLOT_WORDS + INTEREST] ?? 0) >>> 0;
  }

  generationOf(slot: number): number {
    return this.words[slot * SLOT_WORDS + GENERATION] ?? 0;
  }

  stampOf(slot: number): number {
    return this.words[slot * SLOT_WORDS + STAMP] ?? 0;
  }

  idOf(slot: number): number {
    return idOf(slot, this.generationOf(slot));
  }

  wordOf(slot: number): number {
    return Atomics.load(this.words, slot * SLOT_WORDS + CLAIM);
  }

  /** The mask of the run that is under way, or was when its thread died, with BEGUN; 0: none. */
  runningOf(slot: number): number {
    return Atomics.load(this.words, slot * SLOT_WORDS + RUNNING);
  }

  endRun(slot: number): void {
    Atomics.store(this.words, slot * SLOT_WORDS + RUNNING, 0);
  }

  /** How much its handler has asked for that is not carried out. */
  asksOf(slot: number): number {
    return Atomics.load(this.words, slot * SLOT_WORDS + ASKS);
  }

  /** One request of its handler's is carried out. */
  carriedOut(slot: number, generation: number): void {
    if (this.isHeld(slot, generation)) Atomics.sub(this.words, slot * SLOT_WORDS + ASKS, 1);
  }

  /** A handler died: what it had asked for was carried out, or never sent. */
  forgetAsks(slot: number): void {
    Atomics.store(this.words, slot * SLOT_WORDS + ASKS, 0);
  }

  /** Whether the slot still is this generation's registration. */
  isCurrent(slot: number, generation: number): boolean {
    return this.isHeld(slot, generation) && this.#byFd.get(this.fdOf(slot)) === slot;
  }

  /** Whether the slot still has this generation's fd and data: registered, or ending and held by a thread. */
  isHeld(slot: number, generation: number): boolean {
    return slot >= 0 && slot < this.#count && this.generationOf(slot) === generation;
  }

  /** A free slot, set up for a registration that nobody knows yet. -1: there is none. */
  take(fd: number, interest: number, low: number, high: number): number {
    const slot = this.#next();
    if (slot === NONE) return NONE;
    const base = slot * SLOT_WORDS;
    const { words } = this;
    words[base + FD] = fd;
    words[base + INTEREST] = interest;
    words[base + LOW] = low;
    words[base + HIGH] = high;
    words[base + ASKS] = 0;
    if (words[base + GENERATION] === 0) {
      words[base + GENERATION] = 1;
      words[base + STAMP] = 1;
    }
    Atomics.store(words, base + CLAIM, claims.idleWord(this.stampOf(slot)));
    // Memory that nobody has touched is zero, and was not committed yet.
    if (words[base + TOUCHED] !== 0) {
      this.#states.fill(0, slot * this.#stride, (slot + 1) * this.#stride);
      words[base + TOUCHED] = 0;
    }
    return slot;
  }

  #next(): number {
    const slot = this.#first;
    // Slots never used come first, so that a slot that was just freed rests for as long as can be.
    if (slot === NONE || this.#unused < this.#reserve()) return this.#unused < this.#count ? this.#unused++ : slot;
    this.#first = this.words[slot * SLOT_WORDS + NEXT] ?? NONE;
    if (this.#first === NONE) this.#last = NONE;
    return slot;
  }

  /** How many slots are put to use before the first is used again. */
  #reserve(): number {
    return Math.min(this.#count, 2 * this.#byFd.size + 1024);
  }

  /** The kernel refused: the slot was never seen. */
  putBack(slot: number): void {
    Atomics.store(this.words, slot * SLOT_WORDS + CLAIM, claims.freeWord(this.stampOf(slot)));
    this.#free(slot);
  }

  /** The fd's registration is this slot from now on. @returns the slot that it was before */
  bind(fd: number, slot: number): number | undefined {
    const before = this.#byFd.get(fd);
    this.#byFd.set(fd, slot);
    return before;
  }

  /** The fd is not registered any more. */
  unbind(fd: number): void {
    this.#byFd.delete(fd);
  }

  /**
   * Replaces interest, data and stamp, whole for whoever reads them meanwhile: events from before are stale.
   *
   * @returns the claim word
   */
  update(slot: number, interest: number, low: number, high: number): number {
    const base = slot * SLOT_WORDS;
    const { words } = this;
    Atomics.add(words, base + SEQUENCE, 1);
    Atomics.store(words, base + INTEREST, interest);
    Atomics.store(words, base + LOW, low);
    Atomics.store(words, base + HIGH, high);
    // Within: whoever reads these sees by the stamp whether it was claimed for what was before.
    const stamp = after(this.stampOf(slot));
    Atomics.store(words, base + STAMP, stamp);
    Atomics.add(words, base + SEQUENCE, 1);
    return claims.renew(words, base, stamp);
  }

  /** Ends the slot's registration: true at once, or false when a thread holds it: `finish` follows its release. */
  end(slot: number): boolean {
    const stamp = after(this.stampOf(slot));
    if (claims.close(this.words, slot * SLOT_WORDS, stamp) !== claims.FREED) return false;
    this.#renew(slot, stamp);
    return true;
  }

  /** The thread that held it has let go, or is dead. */
  finish(slot: number): void {
    const stamp = after(this.stampOf(slot));
    Atomics.store(this.words, slot * SLOT_WORDS + CLAIM, claims.freeWord(stamp));
    this.#renew(slot, stamp);
  }

  #renew(slot: number, stamp: number): void {
    const base = slot * SLOT_WORDS;
    Atomics.store(this.words, base + STAMP, stamp);
    Atomics.store(this.words, base + GENERATION, after(this.generationOf(slot)));
    this.#free(slot);
  }

  #free(slot: number): void {
    this.words[slot * SLOT_WORDS + NEXT] = NONE;
    if (this.#last === NONE) this.#first = slot;
    else this.words[this.#last * SLOT_WORDS + NEXT] = slot;
    this.#last = slot;
  }

  /** Every registered fd's slot; every slot that is being closed is for the caller to know. */
  bound(): IterableIterator<number> {
    return this.#byFd.slots();
  }
}

/** 0 is no generation, and no stamp. */
function after(count: number): number {
  const next = (count + 1) | 0;
  return next === 0 ? 1 : next;
}
