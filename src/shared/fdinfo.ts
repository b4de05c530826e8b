/** What the kernel says an epoll instance watches: the `tfd:` lines of /proc/self/fdinfo (fs/eventpoll.c, ep_show_fdinfo). */
import { readFileSync } from 'node:fs';
import { EBADF, EpollError } from './errors.js';
import type { Event } from './events.js';

/** One registration, as the kernel has it: EPOLLERR and EPOLLHUP are in every mask, and a spent oneshot's is bare. */
export type Registered = Event & { readonly fd: number };

const LINE = /^tfd:\s*(\d+)\s+events:\s*([0-9a-f]+)\s+data:\s*([0-9a-f]+)/gm;

/** @throws EpollError EBADF, EINVAL (not an epoll fd), and what reading the file says */
export function readRegistered(epfd: number): Registered[] {
  return parseRegistered(readInfo(epfd));
}

/** @internal */
export function parseRegistered(text: string): Registered[] {
  const found: Registered[] = [];
  for (const [, fd = '', events = '', data = ''] of text.matchAll(LINE)) {
    found.push({ fd: Number(fd), events: Number.parseInt(events, 16), data: BigInt(`0x${data}`) });
  }
  return found;
}

function readInfo(epfd: number): string {
  try {
    return readFileSync(`/proc/self/fdinfo/${epfd}`, 'latin1');
  } catch (error) {
    const errno = error instanceof Error && 'errno' in error && typeof error.errno === 'number' ? error.errno : EBADF;
    const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    throw new EpollError(missing ? EBADF : errno, 'epoll_wait', epfd);
  }
}
