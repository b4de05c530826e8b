/**
 * Events of a service without a handler, on the main thread: for one consumer at a time, a listener or an iteration.
 *
 * An event in a ring is held by the main thread from the moment that a worker put it there. It is let go once its
 * listener has returned, or the iteration asks for the next; what came meanwhile is then due, or, of a level
 * registration, the kernel is made to look again. What the main thread holds is freed as soon as it is unregistered: the
 * slot's generation says whether an event's registration still is there.
 */

import { type Event, joinWord64 } from '../../../shared/epoll/events.js';
import { EPOLLERR, EPOLLET, EPOLLHUP, EPOLLONESHOT, READINESS } from '../../../shared/epoll/flags.js';
import * as claims from '../../../shared/service/claim.js';
import { HIGH, LOW, SLOT_WORDS } from '../../../shared/service/layout.js';
import type { Registry } from '../registry/registry.js';

export interface ServiceEvent extends Event {
  readonly fd: number;
}

/** An event that the main thread holds. */
export interface HeldEvent {
  readonly slot: number;
  readonly generation: number;
  readonly mask: number;
}

export class Consumer {
  readonly #registry: Registry;
  /** Held, and due once more: edges that came while the event was with the consumer. */
  readonly #due: HeldEvent[] = [];

  constructor(registry: Registry) {
    this.#registry = registry;
  }

  /** What is due before the rings' next. */
  shiftDue(): HeldEvent | undefined {
    return this.#due.shift();
  }

  isDue(slot: number, generation: number): boolean {
    return this.#due.some(held => held.slot === slot && held.generation === generation);
  }

  /** What the consumer is to see of it; undefined: the registration is gone, or its interest has changed. */
  open(event: HeldEvent): ServiceEvent | undefined {
    const { table } = this.#registry;
    const { slot, generation, mask } = event;
    if (!table.isHeld(slot, generation)) return undefined;
    const events = mask & (table.interestOf(slot) | EPOLLERR | EPOLLHUP) & READINESS;
    if (events === 0) {
      this.#outdated(event);
      return undefined;
    }
    return eventOf(this.#registry, slot, events);
  }

  /**
   * Of an interest that modify() has replaced since. It may have spent the oneshot that modify() armed, and the event of
   * the new interest been dropped for it: the kernel is to look once more.
   */
  #outdated(event: HeldEvent): void {
    const { table } = this.#registry;
    const { slot, generation } = event;
    const at = table.claimAt(slot);
    if ((table.interestOf(slot) & EPOLLONESHOT) === 0) {
      this.release(event);
      return;
    }
    claims.wake(table.words, at, generation);
    if (claims.drop(table.words, at) === claims.IDLE) this.#registry.rearm(slot);
  }

  /** The consumer has done with it. */
  release({ slot, generation }: HeldEvent): void {
    const { table } = this.#registry;
    if (!table.isHeld(slot, generation)) return;
    const at = table.claimAt(slot);
    const interest = table.interestOf(slot);
    if ((interest & (EPOLLET | EPOLLONESHOT)) === 0) {
      if (claims.drop(table.words, at) === claims.IDLE) this.#registry.rearm(slot);
      return;
    }
    while (claims.release(table.words, at) === claims.AGAIN) {
      const mask = claims.resume(table.words, at, (interest & EPOLLONESHOT) !== 0);
      if (mask < 0) continue;
      this.#due.push({ slot, generation, mask });
      return;
    }
  }
}

/** An event of a registration, as it is told to users. */
export function eventOf(registry: Registry, slot: number, events: number): ServiceEvent {
  const { words } = registry.table;
  const base = slot * SLOT_WORDS;
  return { fd: registry.table.fdOf(slot), events, data: joinWord64(words[base + LOW] ?? 0, words[base + HIGH] ?? 0) };
}
