/** Carries out what handlers ask of epoll_ctl, in the order asked. */

import { joinWord64 } from '../../../shared/epoll/events.js';
import { ENOENT, outOfRange } from '../../../shared/errors.js';
import * as claims from '../../../shared/service/claim.js';
import * as L from '../../../shared/service/layout.js';
import type { ServiceEvent } from '../inbox/consumer.js';
import { controlError, NO_ROOM, type Registry } from './registry.js';

export type Report = (error: Error, event?: ServiceEvent) => void;

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

  register(fd: number, mask: number, low: number, high: number): void {
    this.#registry.submit(fd, () => {
      const code = this.#registry.add(fd, mask, low, high);
      if (code === 0) return;
      const error = code === NO_ROOM ? full(this.#capacity) : controlError(code, fd);
      this.#report(error, { fd, events: mask >>> 0, data: joinWord64(low, high) });
    });
  }

  modify(slot: number, generation: number, fd: number, mask: number, low: number, high: number): void {
    const code = this.#registry.table.isCurrent(slot, generation)
      ? this.#registry.modify(fd, mask, low, high)
      : -ENOENT;
    if (code < 0) this.#report(controlError(code, fd), { fd, events: mask >>> 0, data: joinWord64(low, high) });
  }

  /** @param event what the handler that asks for it was given */
  remove(slot: number, generation: number, close: boolean, event: ServiceEvent): void {
    const registry = this.#registry;
    const current = registry.table.isCurrent(slot, generation);
    const code = current ? registry.remove(event.fd, close, nothing) : -ENOENT;
    if (code < 0) this.#report(controlError(code, event.fd), event);
  }

  /** A thread has given up an event, or a level registration that may still be ready. */
  rearm(slot: number, generation: number): void {
    const { table } = this.#registry;
    if (!table.isCurrent(slot, generation)) return;
    if (!claims.isResting(Atomics.load(table.words, slot * L.SLOT_WORDS + L.CLAIM))) this.#registry.rearm(slot);
  }

  released(slot: number, generation: number): void {
    if (this.#registry.table.generationOf(slot) === generation) this.#registry.released(slot);
  }
}
