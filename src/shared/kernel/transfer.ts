/**
 * How read(2) and write(2) are offered: bytes, -1 for "would block", an EpollError for the rest. Two functions that look
 * alike, because each then makes one call that V8 can see: it is the hottest path there is.
 */
import { bufferLength } from '../arguments.js';
import { EAGAIN, EINTR, EpollError } from '../errors.js';
import { read, write } from './syscalls.js';

/** What stands in for an empty or detached buffer, of which the kernel is told 0 bytes. */
const NOTHING = new Uint8Array(1);

/** @param fd known to be in range */
export function readInto(fd: number, buffer: NodeJS.ArrayBufferView): number {
  const length = bufferLength(buffer);
  for (;;) {
    const n = read(fd, length === 0 ? NOTHING : buffer, length);
    if (n >= 0) return n;
    if (n !== -EINTR) return refused(n, 'read', fd);
  }
}

/** @param fd known to be in range */
export function writeFrom(fd: number, buffer: NodeJS.ArrayBufferView): number {
  const length = bufferLength(buffer);
  for (;;) {
    const n = write(fd, length === 0 ? NOTHING : buffer, length);
    if (n >= 0) return n;
    if (n !== -EINTR) return refused(n, 'write', fd);
  }
}

function refused(code: number, syscall: string, fd: number): number {
  if (code === -EAGAIN) return -1;
  throw new EpollError(code, syscall, fd);
}
