/** What a service tells of a registration. */
import { type Event, joinWord64 } from '../../../shared/epoll/events.js';
import { HIGH, LOW, SLOT_WORDS } from '../../../shared/service/layout.js';
import type { SlotTable } from '../registry/slot-table.js';

/** One registration of one service; `id` is a safe integer that no other registration of it ever has. */
export interface Registration {
  readonly fd: number;
  readonly id: number;
}

export interface ServiceEvent extends Event, Registration {}

/** An event of a registration that is there, or is ending. */
export function eventOf(table: SlotTable, slot: number, events: number): ServiceEvent {
  const { words } = table;
  const base = slot * SLOT_WORDS;
  const data = joinWord64(words[base + LOW] ?? 0, words[base + HIGH] ?? 0);
  return { fd: table.fdOf(slot), id: table.idOf(slot), events, data };
}

/** The arguments of a WaitService's listeners. */
export interface WaitServiceEvents {
  /** Without a handler. */
  event: [event: ServiceEvent];
  /** What a handler gave to ready.post. */
  message: [value: unknown];
  error: [error: Error, event?: ServiceEvent];
}
