/** What threads tell the main thread of a connection: bits among its words, a bit of its slot among all, and the bell. */
import { ringBell } from '../service/bell.js';
import { baseOf, REPORT, RUNG, type ServerMemory } from './layout.js';

/** In this order, so that one which came too late for the main thread's look rings again. */
export function report(memory: ServerMemory, bell: number, slot: number, what: number): void {
  Atomics.or(memory.words, baseOf(slot) + REPORT, what);
  Atomics.or(memory.dirty, slot >>> 5, 1 << (slot & 31));
  if (Atomics.exchange(memory.header, RUNG, 1) === 0) ringBell(bell);
}
