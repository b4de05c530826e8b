/**
 * Takes over what a dead thread had: nothing is lost with it. Its ring was drained before.
 *
 * Its events that nobody claimed, and the registrations that it held, go back to the kernel, which looks at their fds
 * again. The one whose handler was running rests: running it again would be a crash loop. A peer may be taking over what
 * the thread had while it was in that handler; that is waited for.
 */

import { EVENT_WORDS } from '../../../shared/kernel/syscalls.js';
import * as claims from '../../../shared/service/claim.js';
import * as L from '../../../shared/service/layout.js';
import { eventOf, type ServiceEvent } from '../inbox/consumer.js';
import type { Registry } from '../registry/registry.js';

const PEER_MS = 1000;

/** @returns what was running when the thread died */
export function recover(
  registry: Registry,
  memory: L.ThreadMemory,
  owner: number,
  rearm: (slot: number, generation: number) => void,
): ServiceEvent | undefined {
  const { words, agenda, held } = memory;
  const { table } = registry;
  awaitPeer(words);
  const at = Atomics.exchange(words, L.AT, L.AT_NOTHING);
  const slot = words[L.AT_SLOT] ?? 0;
  const generation = words[L.AT_GENERATION] ?? 0;
  const running = at === L.AT_RUN && table.isHeld(slot, generation);
  const interrupted = running ? eventOf(registry, slot, words[L.AT_MASK] ?? 0) : undefined;
  if (running) claims.rest(table.words, table.claimAt(slot), generation);

  for (const owned of [...registry.slots()]) reclaim(registry, owned, owner, running && owned === slot);
  // It had thrown, and the thread died before it could tell.
  if (running) reclaim(registry, slot, claims.MAIN, true);
  held.fill(0);
  for (let i = 0; i < agenda.length; i += EVENT_WORDS) {
    const left = Atomics.exchange(agenda, i + L.AGENDA_GENERATION, 0);
    if (left !== 0) rearm(agenda[i + L.AGENDA_SLOT] ?? 0, left);
  }
  if (at === L.AT_EVENT && slot !== L.EXIT_SLOT) rearm(slot, generation);
  return interrupted;
}

/** A peer that is at it has done in microseconds, if it lives. */
function awaitPeer(words: Int32Array): void {
  const until = performance.now() + PEER_MS;
  for (let left = PEER_MS; left > 0; left = until - performance.now()) {
    const at = Atomics.load(words, L.AT);
    if (at < L.AT_PEER) return;
    Atomics.wait(words, L.AT, at, left);
  }
  Atomics.store(words, L.AT, L.AT_RUN);
}

/** A dead thread takes nothing over any more. */
export function releasePeers(threads: Iterable<L.ThreadMemory>, dead: number): void {
  for (const { words } of threads) {
    Atomics.compareExchange(words, L.AT, L.AT_PEER + dead, L.AT_RUN);
    Atomics.notify(words, L.AT);
  }
}

/** Lets go of a slot for its dead owner. */
function reclaim(registry: Registry, slot: number, owner: number, rests: boolean): void {
  const { table } = registry;
  const at = table.claimAt(slot);
  if (!claims.seize(table.words, at, table.generationOf(slot), owner, claims.MAIN)) return;
  // A oneshot that was claimed and not run has not had its run.
  if (!rests) claims.wake(table.words, at, table.generationOf(slot));
  if (claims.drop(table.words, at) === claims.CLOSED) registry.released(slot);
  else if (!rests) registry.rearm(slot);
}
