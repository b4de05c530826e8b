/** The constants of uapi/linux/eventpoll.h, as unsigned 32-bit numbers, and their names. */
import { mask as checkMask } from '../arguments.js';

/** There is data to read (or a connection to accept, or the end of the stream). */
export const EPOLLIN: number = 0x1;
/** There is urgent data, or a sysfs attribute has changed. */
export const EPOLLPRI: number = 0x2;
/** There is room to write (or the connection is established). */
export const EPOLLOUT: number = 0x4;
/** An error waits on the fd. Always reported, asked for or not. */
export const EPOLLERR: number = 0x8;
/** Both sides are shut down. Always reported, asked for or not. */
export const EPOLLHUP: number = 0x10;
export const EPOLLRDNORM: number = 0x40;
export const EPOLLRDBAND: number = 0x80;
export const EPOLLWRNORM: number = 0x100;
export const EPOLLWRBAND: number = 0x200;
export const EPOLLMSG: number = 0x400;
/** The peer has closed, or shut down its writing side. */
export const EPOLLRDHUP: number = 0x2000;
/** Wake one of several epoll instances that watch the same fd. */
export const EPOLLEXCLUSIVE: number = 0x1000_0000;
/** Keep the system awake while the event is being handled; needs CAP_BLOCK_SUSPEND. */
export const EPOLLWAKEUP: number = 0x2000_0000;
/** One event, then the fd rests until `modify`. */
export const EPOLLONESHOT: number = 0x4000_0000;
/** Edge-triggered: one event for each change to ready. */
export const EPOLLET: number = 0x8000_0000;

/** The flag of epoll_create1: the fd does not survive exec. */
export const EPOLL_CLOEXEC: number = 0x8_0000;
export const EPOLL_CTL_ADD: number = 1;
export const EPOLL_CTL_DEL: number = 2;
export const EPOLL_CTL_MOD: number = 3;

/** Every readiness bit that the kernel may report. @internal */
export const READINESS = 0x27df;

const NAMES: ReadonlyArray<readonly [number, string]> = [
  [EPOLLIN, 'EPOLLIN'],
  [EPOLLPRI, 'EPOLLPRI'],
  [EPOLLOUT, 'EPOLLOUT'],
  [EPOLLERR, 'EPOLLERR'],
  [EPOLLHUP, 'EPOLLHUP'],
  [EPOLLRDNORM, 'EPOLLRDNORM'],
  [EPOLLRDBAND, 'EPOLLRDBAND'],
  [EPOLLWRNORM, 'EPOLLWRNORM'],
  [EPOLLWRBAND, 'EPOLLWRBAND'],
  [EPOLLMSG, 'EPOLLMSG'],
  [EPOLLRDHUP, 'EPOLLRDHUP'],
  [EPOLLEXCLUSIVE, 'EPOLLEXCLUSIVE'],
  [EPOLLWAKEUP, 'EPOLLWAKEUP'],
  [EPOLLONESHOT, 'EPOLLONESHOT'],
  [EPOLLET, 'EPOLLET'],
];

/**
 * A mask in words: `EPOLLIN|EPOLLET`; bits without a name follow as hex; `0` for none.
 *
 * @param events int32 or uint32
 * @throws TypeError ERR_INVALID_ARG_TYPE, RangeError ERR_OUT_OF_RANGE
 */
export function formatFlags(events: number): string {
  let left = checkMask(events);
  const words: string[] = [];
  for (const [bit, name] of NAMES) {
    if (left & bit) {
      words.push(name);
      left = (left & ~bit) >>> 0;
    }
  }
  if (left !== 0) words.push(`0x${left.toString(16)}`);
  return words.join('|') || '0';
}
