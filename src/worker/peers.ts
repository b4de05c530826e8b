/** Looks after the other threads: what one has in hand that is stuck in a handler, a free one takes over. */
import {
  AGENDA_GENERATION,
  AGENDA_SLOT,
  AT,
  AT_RUN,
  EXIT_SLOT,
  GENERATION,
  HELD_DUE,
  HELD_GENERATION,
  HELD_SLOT,
  HELD_WORDS,
  type Plan,
  RUNS,
  SLOT_WORDS,
  slotsOf,
  type ThreadMemory,
  threadOf,
} from '../shared/layout.js';
import { EVENT_WORDS } from '../shared/syscalls.js';

/** A run that has lasted so long since it was first seen is stuck, as far as what waits behind it is concerned. */
const STUCK_MS = 10;

/** What becomes of an entry that was taken over. */
export interface Rescuer {
  /** An event that nobody has claimed. */
  event(slot: number, generation: number): void;
  /** A registration that `owner` holds. */
  held(slot: number, generation: number, due: number, owner: number): void;
  /** How many more `held` there is room for. */
  readonly room: number;
}

interface Peer {
  readonly memory: ThreadMemory;
  readonly owner: number;
  runs: number;
  since: number;
}

export class Peers {
  readonly #slots: Int32Array;
  readonly #peers: readonly Peer[];

  constructor(plan: Plan, self: number) {
    this.#slots = slotsOf(plan);
    const indices = Array.from({ length: plan.threads }, (_, i) => i).filter(i => i !== self);
    this.#peers = indices.map(i => ({ memory: threadOf(plan, i), owner: i + 1, runs: 0, since: 0 }));
  }

  rescue(rescuer: Rescuer): void {
    const now = performance.now();
    for (const peer of this.#peers) {
      if (!this.#isStuck(peer, now)) continue;
      this.#takeEvents(peer, rescuer);
      this.#takeHeld(peer, rescuer);
    }
  }

  #isStuck(peer: Peer, now: number): boolean {
    const { words } = peer.memory;
    const runs = Atomics.load(words, RUNS);
    if (runs !== peer.runs || Atomics.load(words, AT) !== AT_RUN) {
      peer.runs = runs;
      peer.since = now;
      return false;
    }
    return now - peer.since >= STUCK_MS;
  }

  #takeEvents(peer: Peer, rescuer: Rescuer): void {
    const { agenda } = peer.memory;
    for (let at = 0; at < agenda.length; at += EVENT_WORDS) {
      if (Atomics.load(agenda, at + AGENDA_GENERATION) === 0) continue;
      if (Atomics.load(agenda, at + AGENDA_SLOT) === EXIT_SLOT) continue;
      const generation = Atomics.exchange(agenda, at + AGENDA_GENERATION, 0);
      if (generation !== 0) rescuer.event(this.#slotOf(agenda, at + AGENDA_SLOT, generation), generation);
    }
  }

  /**
   * The slot beside a generation that was taken. Should the peer have come loose just now, the kernel may have written
   * this entry a moment ago, across two cache lines: the halves belong together once they agree.
   */
  #slotOf(agenda: Int32Array, at: number, generation: number): number {
    for (let tries = 0; ; tries++) {
      const slot = Atomics.load(agenda, at);
      const known = Atomics.load(this.#slots, Math.max(0, slot) * SLOT_WORDS + GENERATION);
      if (known === generation || tries === 100) return slot;
    }
  }

  #takeHeld(peer: Peer, rescuer: Rescuer): void {
    const { held } = peer.memory;
    for (let at = 0; at < held.length && rescuer.room > 0; at += HELD_WORDS) {
      if (Atomics.load(held, at + HELD_SLOT) === 0) continue;
      const slot = Atomics.exchange(held, at + HELD_SLOT, 0) - 1;
      if (slot >= 0) rescuer.held(slot, held[at + HELD_GENERATION] ?? 0, held[at + HELD_DUE] ?? 0, peer.owner);
    }
  }
}
