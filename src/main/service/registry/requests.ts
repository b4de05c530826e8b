/** Carries out what handlers ask of the main thread by their Ready (an op in their thread's ring), in the order asked. */

import { joinWord64 } from '../../../shared/epoll/events.js';
import { outOfRange } from '../../../shared/errors.js';
import * as L from '../../../shared/service/layout.js';
import { eventOf, type ServiceEvent } from '../inbox/service-event.js';
import { controlError, NO_ROOM, type Registry } from './registry.js';

/** What fails may be much, and told later: its error is made then. */
export type Report = (error: () => Error, event: ServiceEvent) => void;

const nothing = (): void => {};

/** What the service says when it has as many registrations as it was made for. */
export function full(capacity: number): Error {
  return outOfRange('the number of registrations', `at most the capacity, ${capacity}`, capacity + 1);
}

export class Requests {
  readonly #registry: Registry;
  readonly #capacity: number;
  readonly #report: Report;

  constructor(registry: Registry, capacity: number, report: Report) {
    this.#registry = registry;
    this.#capacity = capacity;
    this.#report = report;
  }

  /** Carries out one entry of a thread's ring. */
  carryOut(ring: Int32Array, at: number): void {
    const op = ring[at + L.OP] ?? 0;
    const slot = ring[at + L.OP_SLOT] ?? 0;
    const generation = ring[at + L.OP_GENERATION] ?? 0;
    const fd = ring[at + L.OP_FD] ?? 0;
    const mask = (ring[at + L.OP_MASK] ?? 0) >>> 0;
    const low = (ring[at + L.OP_LOW] ?? 0) >>> 0;
    const high = (ring[at + L.OP_HIGH] ?? 0) >>> 0;
    if (op === L.RELEASED) this.#released(slot, generation);
    else if (op === L.REGISTER) this.#register(fd, mask, low, high);
    else {
      if (op === L.MODIFY) this.#modify(slot, generation, fd, mask, low, high);
      else this.#remove(slot, generation, op === L.CLOSE, entryEvent(ring, at));
      this.#registry.table.carriedOut(slot, generation);
    }
  }

  #register(fd: number, mask: number, low: number, high: number): void {
    this.#registry.submit(fd, () => {
      const code = this.#registry.add(fd, mask, low, high);
      if (code === 0) return;
      const error = (): Error => (code === NO_ROOM ? full(this.#capacity) : controlError(code, fd));
      // It has no id: none was registered. -1 is nobody's.
      this.#report(error, { fd, id: -1, events: mask, data: joinWord64(low, high) });
    });
  }

  #modify(slot: number, generation: number, fd: number, mask: number, low: number, high: number): void {
    const code = this.#registry.modifyOwn(slot, generation, mask, low, high);
    if (code === 0) return;
    const event = { fd, id: L.idOf(slot, generation), events: mask, data: joinWord64(low, high) };
    this.#report(() => controlError(code, fd), event);
  }

  /** What has ended meanwhile need not be ended: that is no failure. */
  #remove(slot: number, generation: number, closes: boolean, event: ServiceEvent): void {
    if (!this.#registry.table.isCurrent(slot, generation)) return;
    const code = this.#registry.remove(event.fd, event.id, closes, nothing);
    if (code < 0) this.#report(() => controlError(code, event.fd), event);
  }

  #released(slot: number, generation: number): void {
    const { table } = this.#registry;
    const code = this.#registry.released(slot, generation);
    if (code === 0) return;
    // The failure has ended the registration: its slot's id is the next one's by now, the rest is still there.
    const event = { ...eventOf(table, slot, table.interestOf(slot)), id: L.idOf(slot, generation) };
    this.#report(() => controlError(code, event.fd), event);
  }
}

/** What the handler that has sent the entry was given. */
export function entryEvent(ring: Int32Array, at: number): ServiceEvent {
  return {
    fd: ring[at + L.OP_FD] ?? 0,
    id: L.idOf(ring[at + L.OP_SLOT] ?? 0, ring[at + L.OP_GENERATION] ?? 0),
    events: (ring[at + L.OP_MASK] ?? 0) >>> 0,
    data: joinWord64((ring[at + L.OP_LOW] ?? 0) >>> 0, (ring[at + L.OP_HIGH] ?? 0) >>> 0),
  };
}
