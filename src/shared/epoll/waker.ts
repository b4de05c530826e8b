/** A way to wake a thread that waits: an eventfd, registered edge-triggered so that each wake is one event for one thread. */
import { rawDescriptor, word64 } from '../arguments.js';
import { EAGAIN, EINTR, EpollError } from '../errors.js';
import * as sys from '../kernel/syscalls.js';
import { Borrowed } from './borrowed.js';
import { control, type Epoll, release } from './epoll.js';
import { EPOLL_CTL_ADD, EPOLLET, EPOLLIN } from './flags.js';

const ONE = new BigUint64Array([1n]);

/**
 * Wakes one thread that waits on `epoll`, with one event that carries `data`; wakes before that coalesce. Several per
 * instance are fine.
 */
export class Waker implements Disposable {
  #fd: number;
  readonly #epoll: Epoll | undefined;

  /** @throws TypeError, RangeError for arguments; EpollError EMFILE, ENFILE, ENOMEM, ENOSPC; EBADF where epoll is closed */
  constructor(epoll: Epoll, data: bigint | number);
  /** @internal */
  constructor(borrowed: Borrowed);
  constructor(epoll: Epoll | Borrowed, data?: bigint | number) {
    if (epoll instanceof Borrowed) {
      this.#fd = epoll.fd;
      return;
    }
    const halves = new Uint32Array(2);
    word64(data, halves);
    this.#fd = control(epoll, EPOLL_CTL_ADD, openEventfd, (EPOLLIN | EPOLLET) >>> 0, halves);
    this.#epoll = epoll;
  }

  /** The waker that another thread owns, by its fd. close() on a borrowed one leaves the owner's open. */
  static borrow(fd: number): Waker {
    return new Waker(new Borrowed(rawDescriptor(fd)));
  }

  /** -1 once closed. */
  get fd(): number {
    return this.#fd;
  }

  /** From any thread. @throws EpollError EBADF after close */
  wake(): void {
    let n = this.#add();
    // The counter is full, after 2^64 wakes that nothing has read: start it again.
    if (n === -EAGAIN && sys.read(this.#fd, new BigUint64Array(1), 8) > 0) n = this.#add();
    if (n < 0) throw new EpollError(n, 'write', this.#fd);
  }

  #add(): number {
    for (;;) {
      const n = sys.write(this.#fd, ONE, 8);
      if (n !== -EINTR) return n;
    }
  }

  /** Idempotent. */
  close(): void {
    const fd = this.#fd;
    this.#fd = -1;
    if (this.#epoll === undefined || fd < 0) return;
    // Unregistered as well, in case a child process or a dup keeps the eventfd open.
    release(this.#epoll, fd);
    sys.close(fd);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

function openEventfd(): number {
  const fd = sys.eventfd(0);
  if (fd < 0) throw new EpollError(fd, 'eventfd');
  return fd;
}
