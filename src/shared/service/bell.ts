/** Ringing the main thread's doorbell, from any thread: a byte into its pipe, of which a full one needs no more. */
import { write } from '../kernel/syscalls.js';

const BYTE = new Uint8Array([1]);

/** @param bell the pipe's end that is written to */
export function ringBell(bell: number): void {
  write(bell, BYTE, 1);
}
