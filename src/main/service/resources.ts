/** The fds of one service: the epoll instance, the eventfds that wake every thread for good and one for a moment, and the doorbell. */
import { EpollError } from '../../shared/errors.js';
import { epollCreate, eventfd, type Memory, write } from '../../shared/kernel/syscalls.js';
import { Doorbell } from './doorbell.js';
import { closeTracked, track } from './tracked-fd.js';

const ONE: Memory = new BigUint64Array([1n]);

export class Resources {
  readonly epfd: number;
  readonly exitFd: number;
  readonly wakeFd: number;
  readonly doorbell: Doorbell;

  /** @throws EpollError EMFILE, ENFILE, ENOMEM, with nothing left open */
  constructor(onRing: () => void) {
    const opened: number[] = [];
    const open = (fd: number, syscall: string): number => {
      if (fd < 0) throw new EpollError(fd, syscall);
      const own = track(fd);
      opened.push(own);
      return own;
    };
    try {
      this.epfd = open(epollCreate(), 'epoll_create1');
      this.exitFd = open(eventfd(0), 'eventfd');
      this.wakeFd = open(eventfd(0), 'eventfd');
      this.doorbell = new Doorbell(onRing);
    } catch (error) {
      for (const fd of opened) closeTracked(fd);
      throw error;
    }
  }

  /** Every thread leaves epoll_wait, now and whenever it comes back to it. */
  wakeAll(): void {
    write(this.exitFd, ONE, 8);
  }

  close(): void {
    this.doorbell.close();
    closeTracked(this.epfd);
    closeTracked(this.exitFd);
    closeTracked(this.wakeFd);
  }
}
