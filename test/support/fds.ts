/** fds that tests make, and what the kernel says of them; each is closed when the test has finished. */
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import * as sys from 'epoll-pool/sys';
import { onTestFinished } from 'vitest';

const O_NONBLOCK = 0o4000;
const O_CLOEXEC = 0o2000000;

/** Closes the fd when the test has finished, unless the test has done so. */
export function closing(fd: number): number {
  onTestFinished(() => {
    try {
      sys.close(fd);
    } catch {
      // closed by the test
    }
  });
  return fd;
}

/** An eventfd; readable if `initial` is above 0. */
export function eventfd(initial = 0): number {
  return closing(sys.eventfd(initial));
}

export function socketpair(): [number, number] {
  const [a, b] = sys.socketpair();
  return [closing(a), closing(b)];
}

export function pipe(): { readable: number; writable: number } {
  const { readable, writable } = sys.pipe();
  return { readable: closing(readable), writable: closing(writable) };
}

/** Adds 1 to an eventfd. */
export function signal(fd: number): void {
  sys.write(fd, new BigUint64Array([1n]));
}

/** Takes an eventfd's or a timerfd's count; -1 when there is none. */
export function drain(fd: number): number {
  const count = new BigUint64Array(1);
  return sys.read(fd, count) < 0 ? -1 : Number(count[0]);
}

/** The fd's flags, as /proc/self/fdinfo has them. */
export function flagsOf(fd: number): { nonblocking: boolean; closeOnExec: boolean } {
  const octal = /^flags:\s*([0-7]+)/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1'))?.[1] ?? '0';
  const flags = Number.parseInt(octal, 8);
  return { nonblocking: (flags & O_NONBLOCK) !== 0, closeOnExec: (flags & O_CLOEXEC) !== 0 };
}

/** How many fds this process has open. */
export function countFds(): number {
  return readdirSync('/proc/self/fd').length - 1; // without the folder's own
}

/** How many threads this process has. */
export function countThreads(): number {
  return readdirSync('/proc/self/task').length;
}

/** Resolves once there are no more threads than that: one that was joined is in /proc a moment longer. Rejects after 2 s. */
export async function threadsDownTo(count: number): Promise<void> {
  for (const limit = performance.now() + 2000; countThreads() > count; await setTimeout(1)) {
    if (performance.now() > limit) throw new Error(`${countThreads()} threads, not ${count}`);
  }
}

/** An fd number that is not open. */
export function unusedFd(): number {
  const fd = sys.eventfd();
  sys.close(fd);
  return fd;
}
