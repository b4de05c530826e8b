/**
 * One per thread: tells, on Node's event loop, when an epoll fd has events. Uses no thread.
 *
 * Node's loop watches one private epoll instance, the outer one, from the first use to the thread's end; the instances
 * that somebody waits on are registered in it, oneshot. So the loop only ever watches an fd of our own that is fit for
 * it, and whatever is wrong with a caller's fd (closed, nested too deep) is an errno of epoll_ctl. It is empty until the
 * loop has taken it up, which aborts the process where it fails. A fired entry is spent until the next wait: a busy fd
 * that nobody waits on costs nothing.
 */
import { setImmediate } from 'node:timers';
import { EBADF, ENOENT } from '../../errors.js';
import * as sys from '../../kernel/syscalls.js';
import { EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD, EPOLLIN, EPOLLONESHOT } from '../flags.js';
import { type LoopWatch, openLoopWatch } from './loop-watch.js';

const BATCH = 64;

/** Told 0 when there are events, or the negative errno with which the wait is over. Must not throw. */
export type Notify = (code: number) => void;

class Reactor {
  readonly #outer: number;
  readonly #watch: LoopWatch;
  readonly #words = new Uint32Array(BATCH * sys.EVENT_WORDS);
  readonly #request = new Uint32Array(sys.EVENT_WORDS);
  /** By epoll fd: who wants to know. */
  readonly #callbacks = new Map<number, Set<Notify>>();
  /** Whether the loop has taken up the outer instance. */
  #watched = false;

  constructor() {
    this.#watch = openLoopWatch(() => this.#ready());
    this.#outer = this.#watch.fd;
    // The second one comes after the loop's next look at its fds, whatever phase it is in now.
    setImmediate(() => setImmediate(() => this.#start()));
  }

  #start(): void {
    this.#watched = true;
    for (const epfd of this.#callbacks.keys()) {
      const code = this.#arm(epfd);
      if (code < 0) this.#tell(epfd, code);
    }
  }

  /** Calls `callback` once, from the loop, as soon as `epfd` has events. @returns 0, or the negative errno */
  notify(epfd: number, callback: Notify): number {
    const code = this.#watched ? this.#arm(epfd) : 0;
    if (code < 0) return code;
    if (this.#callbacks.size === 0) this.#watch.ref();
    const waiting = this.#callbacks.get(epfd);
    if (waiting === undefined) this.#callbacks.set(epfd, new Set([callback]));
    else waiting.add(callback);
    return 0;
  }

  #rearm(epfd: number): number {
    this.#request[0] = EPOLLIN | EPOLLONESHOT;
    this.#request[sys.DATA_LOW] = epfd;
    return sys.epollControl(this.#outer, EPOLL_CTL_MOD, epfd, this.#request);
  }

  /** Whether the instance that a callback waits for was closed, by another thread say; its number may be in use again. */
  isGone(epfd: number): boolean {
    const code = this.#watched ? this.#rearm(epfd) : 0;
    return code === -ENOENT || code === -EBADF;
  }

  #arm(epfd: number): number {
    const code = this.#rearm(epfd);
    return code === -ENOENT ? sys.epollControl(this.#outer, EPOLL_CTL_ADD, epfd, this.#request) : code;
  }

  /** Takes a callback back that has not come yet. */
  forget(epfd: number, callback: Notify): void {
    const waiting = this.#callbacks.get(epfd);
    if (waiting?.delete(callback) && waiting.size === 0) this.#drop(epfd);
  }

  /** Drops the instance before its fd is closed; others on this thread that wait on it are told `code`. */
  remove(epfd: number, code: number): void {
    sys.epollControl(this.#outer, EPOLL_CTL_DEL, epfd, null);
    this.#tell(epfd, code);
  }

  #drop(epfd: number): void {
    if (this.#callbacks.delete(epfd) && this.#callbacks.size === 0) this.#watch.unref();
  }

  #tell(epfd: number, code: number): void {
    const waiting = this.#callbacks.get(epfd);
    if (waiting === undefined) return;
    this.#drop(epfd);
    for (const callback of waiting) callback(code);
  }

  #ready(): void {
    const n = sys.epollWait(this.#outer, this.#words, BATCH, 0);
    for (let i = 0; i < n; i++) this.#tell(this.#words[i * sys.EVENT_WORDS + sys.DATA_LOW] ?? 0, 0);
  }
}

let instance: Reactor | undefined;

/** This thread's. @throws EpollError EMFILE, ENFILE, ENOMEM the first time */
export function reactor(): Reactor {
  instance ??= new Reactor();
  return instance;
}

/** Tells those on this thread who wait on `epfd` that it is about to be closed. */
export function announceClose(epfd: number, code: number): void {
  instance?.remove(epfd, code);
}
