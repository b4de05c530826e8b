/** Looks after the other threads: what one has in hand, and does not get to, is shared out. */
import { EVENT_WORDS } from '../../shared/kernel/syscalls.js';
import * as claims from '../../shared/service/claim.js';
import {
  AGENDA_SLOT,
  AGENDA_STAMP,
  CLAIM,
  type Plan,
  RUNS,
  SLOT_WORDS,
  slotsOf,
  TAKER,
  threadOf,
} from '../../shared/service/layout.js';
import type { RunQueue } from '../../shared/service/run-queue.js';
import { Agenda } from './agenda.js';
import { STUCK_MS } from './pace.js';

interface Peer {
  readonly words: Int32Array;
  readonly agenda: Agenda;
  readonly list: Int32Array;
  /** How often it had run something when it was last looked at, and since when that is so. */
  runs: number;
  since: number;
}

export class Peers {
  readonly #peers: readonly Peer[];
  readonly #slots: Int32Array;
  readonly #taker: number;
  /** When one of them was last seen to have run something, and to have more in hand. */
  #movedAt = Number.NEGATIVE_INFINITY;
  #laden = Number.NEGATIVE_INFINITY;

  constructor(plan: Plan, self: number) {
    const others = Array.from({ length: plan.threads }, (_, i) => i).filter(i => i !== self);
    this.#slots = slotsOf(plan);
    this.#taker = self + 1;
    this.#peers = others.map(i => {
      const { words, list, agenda } = threadOf(plan, i);
      return { words, list, agenda: new Agenda(agenda, threadOf(plan, self).words), runs: 0, since: 0 };
    });
  }

  /** Since when none has run anything, in milliseconds. */
  still(now: number): number {
    return now - this.#movedAt;
  }

  /** Since when none has anything in hand beside its run. */
  unladen(now: number): number {
    return now - this.#laden;
  }

  /** Whether one has something in hand beside its run. */
  areLaden(): boolean {
    for (const peer of this.#peers) if (this.#hasMore(peer)) return true;
    return false;
  }

  /**
   * What lies with one that has not got on for a while is shared out. Whether there was any.
   *
   * @param leave what becomes of an event that was in its agenda
   */
  watch(now: number, queue: RunQueue, leave: (slot: number, stamp: number, mask: number) => void): boolean {
    let found = false;
    for (const peer of this.#peers) {
      const runs = Atomics.load(peer.words, RUNS);
      if (runs !== peer.runs) {
        peer.runs = runs;
        peer.since = now;
        this.#movedAt = now;
        if (this.#hasMore(peer)) this.#laden = now;
      } else if (!this.#hasMore(peer)) {
        peer.since = now;
      } else {
        this.#laden = now;
        // Since it was first seen so: what it has just fetched is its own.
        if (now - peer.since < STUCK_MS) continue;
        this.#share(peer, queue);
        this.#takeEvents(peer, leave);
        found = true;
      }
    }
    return found;
  }

  /** Whether it has something in hand beside its run. */
  #hasMore({ list, agenda: { entries } }: Peer): boolean {
    for (let i = 0; i < list.length; i++) if (list[i] !== 0) return true;
    for (let at = 0; at < entries.length; at += EVENT_WORDS) {
      if (entries[at + AGENDA_STAMP] !== 0 && (entries[at + AGENDA_SLOT] ?? 0) >= 0) return true;
    }
    return false;
  }

  #share({ list }: Peer, queue: RunQueue): void {
    for (let i = 0; i < list.length; i++) {
      const slot = Atomics.load(list, i) - 1;
      if (slot >= 0 && claims.isDue(Atomics.load(this.#slots, slot * SLOT_WORDS + CLAIM))) queue.push(slot);
    }
  }

  #takeEvents({ words, agenda }: Peer, leave: (slot: number, stamp: number, mask: number) => void): void {
    // Another one is at it.
    if (Atomics.compareExchange(words, TAKER, 0, this.#taker) !== 0) return;
    const count = agenda.entries.length / EVENT_WORDS;
    for (let i = 0; i < count; i++) {
      if (!agenda.take(i)) continue;
      if (agenda.slot >= 0) leave(agenda.slot, agenda.stamp, agenda.mask);
      agenda.done();
    }
    Atomics.store(words, TAKER, 0);
    Atomics.notify(words, TAKER);
  }
}
