/** Listening sockets of this thread, watched on its event loop: one epoll instance for all of them, edge-triggered. */

import { EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLLET, EPOLLIN } from '../../shared/epoll/flags.js';
import { type LoopWatch, openLoopWatch } from '../../shared/epoll/loop/loop-watch.js';
import { EpollError } from '../../shared/errors.js';
import * as sys from '../../shared/kernel/syscalls.js';

const BATCH = 64;

class AcceptWatch {
  readonly #watch: LoopWatch;
  readonly #events = new Uint32Array(BATCH * sys.EVENT_WORDS);
  readonly #callbacks = new Map<number, () => void>();
  #holders = 0;

  constructor() {
    this.#watch = openLoopWatch(() => this.#ready());
  }

  /** Calls `callback` whenever connections have come. @throws EpollError */
  add(fd: number, callback: () => void): void {
    const request = new Uint32Array(sys.EVENT_WORDS);
    request[0] = EPOLLIN | EPOLLET;
    request[sys.DATA_LOW] = fd;
    const code = sys.epollControl(this.#watch.fd, EPOLL_CTL_ADD, fd, request);
    if (code < 0) throw new EpollError(code, 'epoll_ctl', fd);
    this.#callbacks.set(fd, callback);
  }

  /** Before the fd is closed. */
  remove(fd: number): void {
    sys.epollControl(this.#watch.fd, EPOLL_CTL_DEL, fd, null);
    this.#callbacks.delete(fd);
  }

  /** One holder more keeps the process alive. */
  hold(): void {
    if (this.#holders++ === 0) this.#watch.ref();
  }

  release(): void {
    if (--this.#holders === 0) this.#watch.unref();
  }

  #ready(): void {
    for (let n = BATCH; n === BATCH; ) {
      n = sys.epollWait(this.#watch.fd, this.#events, BATCH, 0);
      for (let i = 0; i < n; i++) this.#callbacks.get(this.#events[i * sys.EVENT_WORDS + sys.DATA_LOW] ?? -1)?.();
    }
  }
}

let instance: AcceptWatch | undefined;

/** This thread's. @throws EpollError EMFILE, ENFILE, ENOMEM the first time */
export function acceptWatch(): AcceptWatch {
  instance ??= new AcceptWatch();
  return instance;
}
