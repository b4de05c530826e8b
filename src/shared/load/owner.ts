/**
 * Who is at a connection, in an open loop: the thread that runs its registration's handler, the one whose timer found a
 * request due for it, or the main thread that closes it. Whoever comes second leaves word, and the first does its part.
 */

const FREE = 0;
const OWNED = 1;
/** An event of its own came meanwhile. */
export const EVENT = 2;
/** It was taken off the idle queue meanwhile. */
export const POPPED = 4;

/** True: the caller has it, and must leave(). False: whoever has it will know of `reason`. */
export function enter(owners: Int32Array, id: number, reason: typeof EVENT | typeof POPPED): boolean {
  for (;;) {
    const word = Atomics.compareExchange(owners, id, FREE, OWNED);
    if (word === FREE) return true;
    if (Atomics.compareExchange(owners, id, word, word | reason) === word) return false;
  }
}

/** For the main thread: true if the connection was free, and is its own now. */
export function seize(owners: Int32Array, id: number): boolean {
  return Atomics.compareExchange(owners, id, FREE, OWNED) === FREE;
}

/** 0: the connection is free. Otherwise EVENT, POPPED or both: the caller keeps it, and does what they ask. */
export function leave(owners: Int32Array, id: number): number {
  if (Atomics.compareExchange(owners, id, OWNED, FREE) === OWNED) return 0;
  return Atomics.exchange(owners, id, OWNED) & (EVENT | POPPED);
}

/** For the main thread: lets go whatever came; true if it was taken off the queue meanwhile. */
export function release(owners: Int32Array, id: number): boolean {
  return (Atomics.exchange(owners, id, FREE) & POPPED) !== 0;
}
