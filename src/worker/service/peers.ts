/** Looks after the other threads: what one has not begun, and does not get to, goes to the run queue. */
import * as claims from '../../shared/service/claim.js';
import { CLAIM, type Plan, RUNS, SLOT_WORDS, slotsOf, threadOf } from '../../shared/service/layout.js';
import type { RunQueue } from '../../shared/service/run-queue.js';
import { STUCK_MS } from './pace.js';

interface Peer {
  readonly words: Int32Array;
  readonly list: Int32Array;
  /** How often it had run something when it was last looked at, and since when that is so. */
  runs: number;
  since: number;
}

export class Peers {
  readonly #peers: readonly Peer[];
  readonly #slots: Int32Array;
  /** When one of them got on, or had something in hand. */
  #active = Number.NEGATIVE_INFINITY;

  constructor(plan: Plan, self: number) {
    const others = Array.from({ length: plan.threads }, (_, i) => i).filter(i => i !== self);
    this.#slots = slotsOf(plan);
    this.#peers = others.map(i => {
      const { words, list } = threadOf(plan, i);
      return { words, list, runs: 0, since: 0 };
    });
  }

  /** For how long nothing has moved there. */
  quiet(now: number): number {
    return now - this.#active;
  }

  /** What lies with one that has not got on for a while is anybody's from now on. Whether there was any. */
  watch(now: number, queue: RunQueue): boolean {
    let found = false;
    for (const peer of this.#peers) {
      const runs = Atomics.load(peer.words, RUNS);
      if (runs !== peer.runs) {
        peer.runs = runs;
        peer.since = now;
        this.#active = now;
      } else if (this.#share(peer, now - peer.since >= STUCK_MS ? queue : undefined)) {
        this.#active = now;
        found = true;
      }
    }
    return found;
  }

  /** Whether something due is on its list; it goes to `queue`. */
  #share({ list }: Peer, queue: RunQueue | undefined): boolean {
    let found = false;
    for (let i = 0; i < list.length; i++) {
      const slot = Atomics.load(list, i) - 1;
      if (slot < 0 || !claims.isDue(Atomics.load(this.#slots, slot * SLOT_WORDS + CLAIM))) continue;
      queue?.push(slot);
      found = true;
    }
    return found;
  }
}
