/** The primitive: an object that owns one epoll instance. */

import type { EventInit, FdLike } from '../arguments.js';
import * as args from '../arguments.js';
import { EBADF, EpollError, invalidType } from '../errors.js';
import * as sys from '../kernel/syscalls.js';
import { refuseOnBun } from '../runtime.js';
import { Borrowed } from './borrowed.js';
import { checkEvents, type Event, type Events, fill } from './events.js';
import { readRegistered } from './fdinfo.js';
import { EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD } from './flags.js';
import { Fetched } from './loop/fetched.js';
import { LoopWait, resultOf, type WaitOptions } from './loop/loop-wait.js';
import { announceClose } from './loop/reactor.js';
import { waitFor } from './wait.js';

const request = new Uint32Array(sys.EVENT_WORDS);
const data = new Uint32Array(2);

let isEpoll: (value: unknown) => boolean;
let set: (epoll: Epoll, op: number, fd: number, events: number, halves: Uint32Array) => void;

/** EPOLL_CTL_DEL of an fd that is about to be closed: nothing if the instance is closed, or has it no more. @internal */
export let release: (epoll: Epoll, fd: number) => void;

/** One epoll_ctl with an fd that `open` makes and that is closed again if the kernel refuses it. @internal */
export function control(epoll: Epoll, op: number, open: () => number, events: number, halves: Uint32Array): number {
  if (!isEpoll(epoll)) throw invalidType('epoll', 'an Epoll', epoll);
  if (epoll.closed) throw new EpollError(EBADF, 'epoll_ctl', epoll.fd);
  const fd = open();
  try {
    set(epoll, op, fd, events, halves);
  } catch (error) {
    sys.close(fd);
    throw error;
  }
  return fd;
}

/** @throws Error ERR_FEATURE_UNAVAILABLE_ON_PLATFORM where the event loop cannot watch an epoll instance */
function requireLoop(): void {
  refuseOnBun('waitAsync() and for await need Node or Deno; wait() works, in a Worker if it is to block nothing else');
}

/**
 * A Linux epoll instance (epoll(7)). Every method is a system call on the calling thread. Other threads use the same
 * instance by `Epoll.borrow(epoll.fd)`.
 */
export class Epoll implements Disposable, AsyncIterable<Event> {
  #fd: number;
  readonly #owned: boolean;
  #loop: LoopWait | undefined;
  /** From the first iteration on. */
  #fetched: Fetched | undefined;

  static {
    isEpoll = value => typeof value === 'object' && value !== null && #fd in value;
    set = (epoll, op, fd, events, halves) => epoll.#set(op, fd, events, halves);
    release = (epoll, fd) => {
      if (!epoll.closed) epoll.#remove(epoll.#fd, fd);
    };
  }

  /**
   * epoll_create1(EPOLL_CLOEXEC)
   *
   * @throws EpollError EMFILE, ENFILE, ENOMEM; Error ERR_FEATURE_UNAVAILABLE_ON_PLATFORM
   */
  constructor();
  /** @internal */
  constructor(borrowed: Borrowed);
  constructor(borrowed?: Borrowed) {
    this.#owned = !(borrowed instanceof Borrowed);
    if (borrowed instanceof Borrowed) {
      sys.requireLinux();
      this.#fd = borrowed.fd;
      return;
    }
    const fd = sys.epollCreate();
    if (fd < 0) throw new EpollError(fd, 'epoll_create1');
    this.#fd = fd;
  }

  /**
   * The instance that another thread owns, by its fd. close() on a borrowed one leaves the kernel's open.
   *
   * @throws TypeError, RangeError for the argument
   */
  static borrow(fd: number): Epoll {
    return new Epoll(new Borrowed(args.rawDescriptor(fd)));
  }

  /** -1 once closed. */
  get fd(): number {
    return this.#fd;
  }

  get closed(): boolean {
    return this.#fd < 0;
  }

  /**
   * epoll_ctl(EPOLL_CTL_ADD): watches `fd` for the mask. `data` comes back with every event; it defaults to the fd.
   *
   * @throws TypeError, RangeError for arguments; EpollError EEXIST, EBADF, EPERM (a regular file or directory), ELOOP,
   *   EINVAL, ENOMEM, ENOSPC (fs.epoll.max_user_watches)
   */
  register(fd: FdLike, event: EventInit): void {
    this.#control(EPOLL_CTL_ADD, fd, event);
  }

  /**
   * epoll_ctl(EPOLL_CTL_MOD): replaces mask and data both, arms a spent EPOLLONESHOT again, and looks at the fd anew.
   *
   * @throws TypeError, RangeError for arguments; EpollError ENOENT, EBADF, EINVAL
   */
  modify(fd: FdLike, event: EventInit): void {
    this.#control(EPOLL_CTL_MOD, fd, event);
  }

  /** epoll_ctl(EPOLL_CTL_DEL). @throws TypeError, RangeError for the argument; EpollError ENOENT, EBADF */
  unregister(fd: FdLike): void {
    const target = args.descriptor(fd);
    const epfd = this.#open('epoll_ctl', target);
    const code = this.#remove(epfd, target);
    if (code < 0) throw new EpollError(code, 'epoll_ctl', target);
  }

  #remove(epfd: number, fd: number): number {
    this.#fetched?.prepare(fd);
    const code = sys.epollControl(epfd, EPOLL_CTL_DEL, fd, null);
    if (code === 0) this.#fetched?.delete(fd);
    return code;
  }

  #control(op: number, fd: FdLike, event: EventInit): void {
    const target = args.descriptor(fd);
    const events = args.eventInit(event, target, data);
    this.#set(op, target, events, data);
  }

  #set(op: number, fd: number, events: number, halves: Uint32Array): void {
    const epfd = this.#open('epoll_ctl', fd);
    this.#fetched?.prepare(fd);
    const [low = 0, high = 0] = halves;
    request[0] = events;
    request[sys.DATA_LOW] = low;
    request[sys.DATA_HIGH] = high;
    const code = sys.epollControl(epfd, op, fd, request);
    if (code < 0) throw new EpollError(code, 'epoll_ctl', fd);
    this.#fetched?.set(fd, low, high);
  }

  /**
   * epoll_wait(2): blocks this thread until an event arrives or `timeout` milliseconds pass, fills `events`, returns how
   * many (0: timed out). -1 or Infinity (the default is -1) waits for ever, 0 only looks, fractions are honoured. A signal
   * does not end it: EINTR is retried with the time that is left. Safe from many threads at once. Closing the instance
   * does not wake it (nor does it in C): use a Waker, and close once no thread waits any more. In a Worker, which enters the
   * kernel anew every 20 ms, a wait that goes on would come to whatever instance has the fd's number by then.
   *
   * @throws TypeError, RangeError for arguments; EpollError EBADF, EINVAL (not an epoll fd)
   */
  wait(events: Events, timeout = -1): number {
    checkEvents(events);
    const limit = args.timeout(timeout);
    const fd = this.#open('epoll_wait');
    const n = fill(events, waitFor, fd, limit);
    if (n < 0) throw new EpollError(n, 'epoll_wait', fd);
    return n;
  }

  /**
   * The same on the event loop: blocks no thread and uses none, and lets timers run however busy the fds are. Several at
   * once are fine; they are served in the order asked. While one waits, the process stays alive.
   *
   * Not for files whose poll tells a change only once: /proc/self/mounts, /proc/pressure/*, /proc/sys/kernel/hostname, perf
   * rings. The loop watches the instance inside another one, whose look takes the news before this wait does. For them use
   * `wait` in a thread that does nothing else, or a WaitService.
   *
   * Of instances inside instances it takes a chain of three, this one included; wait() takes the kernel's most, five: the
   * loop's own two are on top here.
   *
   * @returns how many events; 0: timed out. Rejects with an AbortError, with EpollError EBADF when closed, as `wait`, with
   *   ELOOP for a longer chain (as soon as nothing is ready), and with ERR_FEATURE_UNAVAILABLE_ON_PLATFORM on Bun
   */
  async waitAsync(events: Events, timeout = -1, options: WaitOptions = {}): Promise<number> {
    requireLoop();
    checkEvents(events);
    const limit = args.timeout(timeout);
    args.options(options);
    const signal = args.abortSignal(options.signal, 'options.signal');
    this.#open('epoll_wait');
    return this.#waits.wait(events, limit, signal);
  }

  /**
   * Every event as it comes, on the event loop; ends when the instance is closed. What was fetched for a loop that was
   * left early, the next loop yields first. Loops beside one another share the events.
   *
   * What was fetched of an fd that this instance has unregistered, modified or registered anew since is not yielded: after
   * `unregister(fd)` no event of it comes, and none of an old file under its number. Where fds carry the same `data`, which
   * leaves them indistinguishable, one event is fetched at a time, which is slower.
   *
   * Not for files whose poll tells a change only once; see `waitAsync`.
   */
  [Symbol.asyncIterator](): AsyncIterableIterator<Event> {
    requireLoop();
    let done = false;
    const iterator: AsyncIterableIterator<Event> = {
      next: () => {
        done ||= this.closed;
        return done ? Promise.resolve(resultOf(undefined)) : this.#waits.next(iterator, this.#iterated);
      },
      return: () => {
        done = true;
        // A next() that still waits ends too; otherwise it would hold the process until an event comes.
        this.#loop?.cancel(iterator);
        return Promise.resolve(resultOf(undefined));
      },
      [Symbol.asyncIterator]() {
        return this;
      },
    };
    return iterator;
  }

  get #iterated(): Fetched {
    this.#fetched ??= new Fetched(this.#fd);
    return this.#fetched;
  }

  /** The queue of those who wait on the event loop. */
  get #waits(): LoopWait {
    this.#loop ??= new LoopWait(this.#fd, !this.#owned);
    return this.#loop;
  }

  /**
   * What the kernel itself says is registered (/proc/self/fdinfo), in no particular order. It adds EPOLLERR and EPOLLHUP
   * to every mask, and a spent EPOLLONESHOT has lost its readiness bits.
   *
   * @throws EpollError EBADF, EINVAL (not an epoll fd), EMFILE, ENFILE; ENOENT where /proc is not mounted, EACCES where
   *   --permission forbids to read it
   */
  registered(): Array<Event & { readonly fd: number }> {
    return readRegistered(this.#open('open'));
  }

  /** Closes the fd, if this instance owns it; waits on the event loop reject with EBADF. Idempotent. */
  close(): void {
    const fd = this.#fd;
    if (fd < 0) return;
    this.#fd = -1;
    this.#loop?.close();
    if (!this.#owned) return;
    announceClose(fd, -EBADF);
    sys.close(fd);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** The fd, for a call about `subject`. */
  #open(syscall: string, subject = this.#fd): number {
    if (this.#fd < 0) throw new EpollError(EBADF, syscall, subject);
    return this.#fd;
  }
}
