/**
 * Takes over what a dead thread had: nothing is lost with it. What happens at a death, and in which order, is core.ts (#died);
 * who is dead and when a new thread begins, thread-pool.ts. Its ring was read before this.
 *
 * What it had begun (RUNNING says so) rests: running it again would be a crash loop. Everything else is due, for whoever is
 * free: registrations that it held, events that it had fetched (its agenda), and what it had in hand. What it knew of and had
 * not come to stands in the claim words alone: whatever is due goes to the run queue here, whoever knows of it already. Its list
 * holds nothing back in the meantime: any thread that sees that it does not get on shares it out.
 */
import { READINESS } from '../../../shared/epoll/flags.js';
import { EVENT_WORDS } from '../../../shared/kernel/syscalls.js';
import * as claims from '../../../shared/service/claim.js';
import * as L from '../../../shared/service/layout.js';
import type { Waking } from '../../../shared/service/waking.js';
import { eventOf, type ServiceEvent } from '../inbox/service-event.js';
import type { Registry } from '../registry/registry.js';

/**
 * @param owner the dead thread's number as an owner
 * @param all the memories of all threads
 * @param isOnItsWay whether an event is with the main thread's consumer, or in a ring
 * @returns what was running when it died: one, or as many as promises were pending
 */
export function recover(
  registry: Registry,
  waking: Waking,
  memory: L.ThreadMemory,
  owner: number,
  all: readonly L.ThreadMemory[],
  isOnItsWay: (slot: number, generation: number) => boolean,
): ServiceEvent[] {
  const { words, agenda } = memory;
  const { table } = registry;
  const hand = (words[L.HAND] ?? 0) - 1;
  words[L.HAND] = 0;
  const leave = (slot: number, stamp: number, mask: number): void => {
    if (stamp !== 0 && slot >= 0) claims.leave(table.words, slot * L.SLOT_WORDS, stamp, mask, false);
  };
  for (let i = 0; i < agenda.length; i += EVENT_WORDS) {
    const stamp = Atomics.exchange(agenda, i + L.AGENDA_STAMP, 0);
    leave(agenda[i + L.AGENDA_SLOT] ?? 0, stamp, agenda[i] ?? 0);
  }
  leave(words[L.EVENT_SLOT] ?? 0, words[L.EVENT_STAMP] ?? 0, words[L.EVENT_MASK] ?? 0);
  words[L.EVENT_STAMP] = 0;
  // It may have died while it took a peer's events.
  for (const { words: peer } of all) Atomics.compareExchange(peer, L.TAKER, owner, 0);
  const interrupted: ServiceEvent[] = [];
  for (const slot of [...registry.slots()]) {
    if (claims.ownerOf(table.wordOf(slot)) === owner) {
      const due = slot === hand ? (words[L.HAND_DUE] ?? 0) : 0;
      const event = eventOf(table, slot, (table.runningOf(slot) & READINESS) >>> 0);
      if (registry.abandon(slot, owner, due)) interrupted.push(event);
    }
    // What it has let go, and not told; where all that was asked is carried out, nothing more is to come.
    registry.released(slot, table.generationOf(slot));
    if (slot === hand) takeBack(registry, slot, isOnItsWay);
    if (claims.isDue(table.wordOf(slot))) waking.queue.push(slot);
  }
  waking.queue.mend();
  // It may have been called, and not have come.
  waking.came();
  waking.kick();
  return interrupted;
}

/** What it has reserved for the main thread, and never put in its ring. */
function takeBack(registry: Registry, slot: number, isOnItsWay: (slot: number, generation: number) => boolean): void {
  const { table } = registry;
  if (claims.ownerOf(table.wordOf(slot)) !== claims.MAIN || isOnItsWay(slot, table.generationOf(slot))) return;
  registry.abandon(slot, claims.MAIN, 0);
}
