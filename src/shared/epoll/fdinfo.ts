/** What the kernel says an epoll instance watches: the `tfd:` lines of /proc/self/fdinfo (fs/eventpoll.c, ep_show_fdinfo). */
import { existsSync, readFileSync, readlinkSync } from 'node:fs';
import { EACCES, EBADF, EINVAL, ENOENT, EpollError } from '../errors.js';
import type { Event } from './events.js';

/** One registration, as the kernel has it: EPOLLERR and EPOLLHUP are in every mask, and a spent oneshot's is bare. */
export type Registered = Event & { readonly fd: number };

const LINE = /^tfd:\s*(\d+)\s+events:\s*([0-9a-f]+)\s+data:\s*([0-9a-f]+)/gm;

/**
 * @throws EpollError EBADF, EINVAL (not an epoll fd); ENOENT where /proc is missing, EACCES where it is forbidden; and what
 *   reading the file says: EMFILE, ENFILE
 */
export function readRegistered(epfd: number): Registered[] {
  try {
    const found = parseRegistered(readFileSync(`/proc/self/fdinfo/${epfd}`, 'latin1'));
    if (found.length > 0 || readlinkSync(`/proc/self/fd/${epfd}`) === 'anon_inode:[eventpoll]') return found;
  } catch (error) {
    throw readError(error, epfd);
  }
  throw new EpollError(EINVAL, 'open', epfd);
}

/** @internal */
export function parseRegistered(text: string): Registered[] {
  const found: Registered[] = [];
  for (const [, fd = '', events = '', data = ''] of text.matchAll(LINE)) {
    found.push({ fd: Number(fd), events: Number.parseInt(events, 16), data: BigInt(`0x${data}`) });
  }
  return found;
}

function readError(error: unknown, epfd: number): EpollError {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ERR_ACCESS_DENIED') {
    return new EpollError(
      EACCES,
      'open',
      epfd,
      `fd ${epfd}; --permission forbids to read /proc: --allow-fs-read=/proc`,
    );
  }
  // A file of /proc that is not there is an fd that is not open.
  if (code === 'ENOENT') {
    if (existsSync('/proc/self/fdinfo')) return new EpollError(EBADF, 'open', epfd);
    return new EpollError(ENOENT, 'open', epfd, `fd ${epfd}; /proc is missing: proc(5) is not mounted`);
  }
  const errno = error instanceof Error && 'errno' in error ? error.errno : undefined;
  return new EpollError(typeof errno === 'number' ? errno : EBADF, 'open', epfd);
}
