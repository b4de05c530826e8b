/** Looks after the other threads: what one has in hand that is stuck in a handler, a free one takes over. */

import { EVENT_WORDS } from '../../shared/kernel/syscalls.js';
import {
  AGENDA_GENERATION,
  AGENDA_SLOT,
  AT,
  AT_PEER,
  AT_RUN,
  EXIT_SLOT,
  type Plan,
  RUNS,
  type ThreadMemory,
  threadOf,
} from '../../shared/service/layout.js';

/** A run that has lasted so long since it was first seen is stuck, as far as what waits behind it is concerned. */
export const STUCK_MS = 10;
/** What a run had behind it is taken over by then. */
const RESCUED_MS = 10 * STUCK_MS;

/** What becomes of an entry that was taken over. */
export interface Rescuer {
  /** An event that nobody has claimed. */
  event(slot: number, generation: number): void;
  /** A registration that `owner` holds. */
  held(slot: number, owner: number): void;
  /** How many more `held` there is room for. */
  readonly room: number;
}

interface Peer {
  readonly memory: ThreadMemory;
  readonly owner: number;
  runs: number;
  since: number;
  /** As of the last `observe`, and when it had changed. */
  seen: number;
  movedAt: number;
}

export class Peers {
  readonly #peers: readonly Peer[];
  readonly #mark: number;
  /** Events that were taken over, until the peer's lists are let go: a slot and a generation each. */
  readonly #events: Int32Array;

  constructor(plan: Plan, self: number) {
    const indices = Array.from({ length: plan.threads }, (_, i) => i).filter(i => i !== self);
    this.#peers = indices.map(i => ({
      memory: threadOf(plan, i),
      owner: i + 1,
      runs: 0,
      since: 0,
      seen: 0,
      movedAt: 0,
    }));
    this.#mark = AT_PEER + self;
    this.#events = new Int32Array(2 * plan.batch);
  }

  /** Whether one has run something between the last two looks. */
  haveMoved = false;
  /** The same, or one is in a run that may turn out to be stuck, and is to be looked after. */
  areBusy = false;

  /** Looks what the others do. */
  observe(now: number): void {
    this.haveMoved = false;
    this.areBusy = false;
    for (const peer of this.#peers) {
      const runs = Atomics.load(peer.memory.words, RUNS);
      if (runs !== peer.seen) {
        peer.seen = runs;
        peer.movedAt = now;
        this.haveMoved = true;
        this.areBusy = true;
      } else if (now - peer.movedAt < RESCUED_MS && Atomics.load(peer.memory.words, AT) === AT_RUN) {
        this.areBusy = true;
      }
    }
  }

  rescue(rescuer: Rescuer): void {
    const now = performance.now();
    for (const peer of this.#peers) {
      const { words } = peer.memory;
      if (!this.#isStuck(peer, now)) continue;
      if (Atomics.compareExchange(words, AT, AT_RUN, this.#mark) !== AT_RUN) continue;
      // It cannot leave its handler now.
      const events = this.#takeEvents(peer.memory.agenda);
      takeHeld(peer, rescuer);
      Atomics.store(words, AT, AT_RUN);
      Atomics.notify(words, AT);
      for (let i = 0; i < events; i += 2) rescuer.event(this.#events[i] ?? 0, this.#events[i + 1] ?? 0);
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

  #takeEvents(agenda: Int32Array): number {
    let taken = 0;
    for (let at = 0; at < agenda.length; at += EVENT_WORDS) {
      const generation = agenda[at + AGENDA_GENERATION] ?? 0;
      const slot = agenda[at + AGENDA_SLOT] ?? 0;
      if (generation === 0 || slot === EXIT_SLOT) continue;
      agenda[at + AGENDA_GENERATION] = 0;
      this.#events[taken++] = slot;
      this.#events[taken++] = generation;
    }
    return taken;
  }
}

function takeHeld(peer: Peer, rescuer: Rescuer): void {
  const { held } = peer.memory;
  for (let i = 0; i < held.length && rescuer.room > 0; i++) {
    const slot = (held[i] ?? 0) - 1;
    if (slot < 0) continue;
    held[i] = 0;
    rescuer.held(slot, peer.owner);
  }
}
