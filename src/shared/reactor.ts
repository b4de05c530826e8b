/**
 * One per thread: tells, on Node's event loop, when an epoll fd has events. Uses no thread.
 *
 * Node's loop watches one private epoll instance, the outer one, from the first use to the thread's end; the instances
 * that somebody waits on are registered in it, oneshot. So the fragile handle under koffi.node.poll is started once, on
 * an fd of our own that is always fit for it, and whatever is wrong with a caller's fd (closed, nested too deep) is an
 * errno of epoll_ctl. A fired entry is spent until the next wait: a busy fd that nobody waits on costs nothing.
 */
import { ENOENT, EpollError } from './errors.js';
import { EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD, EPOLLIN, EPOLLONESHOT } from './flags.js';
import * as sys from './syscalls.js';

const BATCH = 64;

class Reactor {
  readonly #outer: number;
  readonly #handle: sys.PollHandle;
  readonly #words = new Uint32Array(BATCH * sys.EVENT_WORDS);
  readonly #request = new Uint32Array(sys.EVENT_WORDS);
  /** By epoll fd: who wants to know. */
  readonly #callbacks = new Map<number, Set<() => void>>();
  #ended = false;

  constructor() {
    const outer = sys.epollCreate();
    if (outer < 0) throw new EpollError(outer, 'epoll_create1');
    this.#outer = outer;
    this.#handle = sys.watch(outer, () => this.#ready());
    this.#handle.unref();
    // A handle that is open and readable while its environment is torn down aborts the process; one that is used after
    // its close() crashes it.
    process.on('exit', () => {
      this.#ended = true;
      this.#handle.close();
    });
  }

  /** Calls `callback` once, from the loop, as soon as `epfd` has events. @returns 0, or the negative errno */
  notify(epfd: number, callback: () => void): number {
    this.#request[0] = EPOLLIN | EPOLLONESHOT;
    this.#request[sys.DATA_LOW] = epfd;
    let code = sys.epollControl(this.#outer, EPOLL_CTL_MOD, epfd, this.#request);
    if (code === -ENOENT) code = sys.epollControl(this.#outer, EPOLL_CTL_ADD, epfd, this.#request);
    if (code < 0) return code;
    if (this.#callbacks.size === 0 && !this.#ended) this.#handle.ref();
    const waiting = this.#callbacks.get(epfd);
    if (waiting === undefined) this.#callbacks.set(epfd, new Set([callback]));
    else waiting.add(callback);
    return 0;
  }

  /** Takes a callback back that has not come yet. */
  forget(epfd: number, callback: () => void): void {
    const waiting = this.#callbacks.get(epfd);
    if (waiting?.delete(callback) && waiting.size === 0) this.#drop(epfd);
  }

  /** Drops the instance, before its fd is closed; unless somebody else here waits on it. */
  remove(epfd: number): void {
    if (!this.#callbacks.has(epfd)) sys.epollControl(this.#outer, EPOLL_CTL_DEL, epfd, null);
  }

  #drop(epfd: number): void {
    if (this.#callbacks.delete(epfd) && this.#callbacks.size === 0 && !this.#ended) this.#handle.unref();
  }

  /** Runs inside koffi's callback, where a throw would vanish and no microtask would run: everything goes on from setImmediate. */
  #ready(): void {
    const n = sys.epollWait(this.#outer, this.#words, BATCH, 0);
    for (let i = 0; i < n; i++) {
      const epfd = this.#words[i * sys.EVENT_WORDS + sys.DATA_LOW] ?? 0;
      const waiting = this.#callbacks.get(epfd);
      if (waiting === undefined) continue;
      this.#drop(epfd);
      for (const callback of waiting) setImmediate(callback);
    }
  }
}

let instance: Reactor | undefined;

/** This thread's. */
export function reactor(): Reactor {
  instance ??= new Reactor();
  return instance;
}
