/**
 * Who looks after whom (see peers.ts): at any time in which a thread has something that it has not begun, another looks, or is
 * called to look. WATCHED says when that was last done; a thread that goes to sleep for long takes its own look back.
 */
import { sharedTime } from '../../shared/clock.js';
import * as L from '../../shared/service/layout.js';
import type { Waking } from '../../shared/service/waking.js';
import { STUCK_MS } from './pace.js';
import { Peers } from './peers.js';

/** Longer than a watch lasts. */
const LONG_AGO_MS = 1000;

export class Watch {
  readonly #header: Int32Array;
  readonly #waking: Waking;
  /** None where there is nobody to look after, or nothing that a thread could do for another. */
  readonly #peers: Peers | undefined;
  readonly #leave: (slot: number, stamp: number, mask: number) => void;
  #lookedAt = 0;

  /** @param leave what becomes of an event that a peer did not get to @param isForMain nothing is run here */
  constructor(
    plan: L.Plan,
    index: number,
    waking: Waking,
    isForMain: boolean,
    leave: (slot: number, stamp: number, mask: number) => void,
  ) {
    this.#header = L.headerOf(plan);
    this.#waking = waking;
    this.#peers = plan.threads === 1 || isForMain ? undefined : new Peers(plan, index);
    this.#leave = leave;
  }

  /** Once a millisecond at most: what lies with a peer that does not get on is anybody's. */
  look(now: number): void {
    if (this.#peers === undefined || now - this.#lookedAt < STUCK_MS) return;
    this.#lookedAt = now;
    Atomics.store(this.#header, L.WATCHED, sharedTime(now));
    if (this.#peers.watch(now, this.#waking.queue, this.#leave)) this.#waking.kick();
  }

  /**
   * Before a long sleep, which is no watch. Who has something in hand from now on calls, for this thread counts as idle already;
   * who had it before is seen here. Whether a peer has.
   */
  leave(now: number): boolean {
    if (this.#peers === undefined) return false;
    Atomics.store(this.#header, L.WATCHED, (sharedTime(now) - LONG_AGO_MS) | 0);
    return this.#peers.areLaden();
  }

  /** Something lies here that is not begun: if this thread gets stuck, another is to see it. */
  call(now: number): void {
    const age = (sharedTime(now) - Atomics.load(this.#header, L.WATCHED)) | 0;
    if (age > 2 * STUCK_MS) this.#waking.kick();
  }

  /** Since when no peer has anything in hand beside its run, in milliseconds. */
  unladen(now: number): number {
    return this.#peers?.unladen(now) ?? Number.POSITIVE_INFINITY;
  }

  /** Whether another thread is there for what comes: one that waits, or has just run something. */
  othersAreThere(now: number): boolean {
    if (this.#peers === undefined) return false;
    return Atomics.load(this.#header, L.IDLE) > 0 || this.#peers.still(now) < STUCK_MS;
  }
}
