/** How read(2) and write(2) are offered: bytes, -1 for "would block", an EpollError for the rest. */
import { bufferLength } from './arguments.js';
import { EAGAIN, EINTR, EpollError } from './errors.js';
import type { Memory } from './syscalls.js';

/** What stands in for an empty or detached buffer, of which the kernel is told 0 bytes. */
const NOTHING = new Uint8Array(1);

/** @param fd known to be in range */
export function transfer(
  call: (fd: number, buffer: Memory, length: number) => number,
  syscall: string,
  fd: number,
  buffer: Memory,
): number {
  const length = bufferLength(buffer);
  for (;;) {
    const n = call(fd, length === 0 ? NOTHING : buffer, length);
    if (n >= 0) return n;
    if (n === -EAGAIN) return -1;
    if (n !== -EINTR) throw new EpollError(n, syscall, fd);
  }
}
