/**
 * The only caller of epoll_ctl: keeps the table of registrations in step with the kernel's.
 *
 * Calls are carried out one at a time in the order asked, on the thread that started the service. What concerns an fd
 * whose registration is still being ended (its handler runs) waits for that, and for nothing else. The kernel's answer
 * is the truth: an fd that was closed behind the service's back, and its number used again, shows as an ADD that
 * succeeds, or as ENOENT or EBADF; the old slot is retired then.
 */

import {
  EPOLL_CTL_ADD,
  EPOLL_CTL_DEL,
  EPOLL_CTL_MOD,
  EPOLLET,
  EPOLLIN,
  EPOLLONESHOT,
} from '../../../shared/epoll/flags.js';
import { EBADF, ENOENT, EpollError } from '../../../shared/errors.js';
import * as sys from '../../../shared/kernel/syscalls.js';
import * as claims from '../../../shared/service/claim.js';
import { EXIT_SLOT, type Plan } from '../../../shared/service/layout.js';
import { throwLater } from '../uncaught.js';
import { SlotTable } from './slot-table.js';

/** A registration that ends once its handler returns. */
interface Ending {
  readonly fd: number;
  readonly done: Array<() => void>;
  /** Whether the fd itself is to be closed then. */
  close: boolean;
  /** What was asked of this fd since. */
  readonly queue: Array<() => void>;
}

/** There are as many registrations as the service has room for. */
export const NO_ROOM = 1;

export class Registry {
  readonly table: SlotTable;
  readonly #epfd: number;
  readonly #capacity: number;
  readonly #exitFd: number;
  readonly #request = new Uint32Array(sys.EVENT_WORDS);
  readonly #endings = new Map<number, Ending>();
  readonly #endingByFd = new Map<number, Ending>();
  /** Slots without a registration that a thread still holds. */
  readonly #retired = new Set<number>();
  controlCalls = 0;

  /** @param exitFd the service's own eventfd, which callers can neither modify nor unregister */
  constructor(plan: Plan, capacity: number, epfd: number, exitFd: number) {
    this.table = new SlotTable(plan);
    this.#epfd = epfd;
    this.#capacity = capacity;
    this.#exitFd = exitFd;
  }

  /** The service's own eventfd: level-triggered and never drained, it wakes every thread for good. 0, or an errno. */
  addExit(): number {
    return this.#control(EPOLL_CTL_ADD, this.#exitFd, EPOLLIN, EXIT_SLOT, 1);
  }

  /** Carries out `call` now, or after the fd's registration has ended. */
  submit(fd: number, call: () => void): void {
    const ending = this.#endingByFd.get(fd);
    if (ending === undefined) call();
    else ending.queue.push(call);
  }

  /** 0, the negative errno, or NO_ROOM. */
  add(fd: number, interest: number, low: number, high: number): number {
    const { table } = this;
    // An fd that the table knows may be the kernel's EEXIST, or take the place of one that was closed. The latter ends
    // first: a thread that holds it, and finds the number ready and registered again, must not take that for its own.
    const known = table.slotOf(fd);
    if (known === undefined && table.size >= this.#capacity) return NO_ROOM;
    if (known !== undefined && sys.isRegisteredFile(this.#epfd, fd) === sys.NOT_FILE) this.#forget(fd, known);
    const slot = table.take(fd, interest, low, high);
    if (slot < 0) return NO_ROOM;
    const code = this.#control(EPOLL_CTL_ADD, fd, kernelMask(interest), slot, table.generationOf(slot));
    if (code < 0) {
      table.putBack(slot);
      return code;
    }
    const before = table.bind(fd, slot);
    if (before !== undefined) this.#retire(before);
    return 0;
  }

  /** 0, or the negative errno. */
  modify(fd: number, interest: number, low: number, high: number): number {
    const { table } = this;
    const slot = table.slotOf(fd);
    if (slot === undefined) return this.#refuse(fd);
    table.update(slot, interest, low, high);
    // Awake before the kernel looks: an event that is dropped because of REST comes from before that look.
    claims.wake(table.words, table.claimAt(slot), table.generationOf(slot));
    return this.#modifySlot(slot);
  }

  /** Has the kernel look at a registration's fd again, as if it had just become ready. 0, or the negative errno. */
  rearm(slot: number): number {
    return this.#modifySlot(slot);
  }

  #modifySlot(slot: number): number {
    const { table } = this;
    const fd = table.fdOf(slot);
    const code = this.#control(EPOLL_CTL_MOD, fd, kernelMask(table.interestOf(slot)), slot, table.generationOf(slot));
    if (code === -ENOENT || code === -EBADF) this.#forget(fd, slot);
    return code;
  }

  /**
   * Unregisters, and closes the fd too if asked; `done` comes once no handler runs for it.
   *
   * @returns 0, or the negative errno, and then `done` never comes
   */
  remove(fd: number, close: boolean, done: () => void): number {
    const { table } = this;
    const slot = table.slotOf(fd);
    if (slot === undefined) return this.#refuse(fd);
    const code = this.#control(EPOLL_CTL_DEL, fd, 0, 0, 0);
    if (code < 0) {
      if (code === -ENOENT || code === -EBADF) this.#forget(fd, slot);
      return code;
    }
    table.unbind(fd);
    const ending: Ending = { fd, done: [done], close, queue: [] };
    if (table.end(slot)) {
      this.#complete(ending);
    } else {
      this.#endings.set(slot, ending);
      this.#endingByFd.set(fd, ending);
    }
    return 0;
  }

  /** A slot that was ending was let go, by its owner's release or for an owner that is dead. */
  released(slot: number): void {
    this.table.finish(slot);
    const ending = this.#endings.get(slot);
    this.#retired.delete(slot);
    if (ending === undefined) return;
    this.#endings.delete(slot);
    if (this.#endingByFd.get(ending.fd) === ending) this.#endingByFd.delete(ending.fd);
    this.#complete(ending);
  }

  /**
   * A handler threw, and the thread has left its registration to the main thread: it rests from now on, also if the
   * handler asked for a modify() before it threw, which has been carried out since.
   */
  failed(slot: number, generation: number): void {
    const { words } = this.table;
    if (!this.table.isHeld(slot, generation)) return;
    const at = this.table.claimAt(slot);
    claims.rest(words, at, generation);
    if (claims.ownerOf(Atomics.load(words, at)) !== claims.MAIN) return;
    if (claims.drop(words, at) === claims.CLOSED) this.released(slot);
  }

  /** What a listener throws on the way is an uncaught exception, and keeps nothing that waits from being settled. */
  #complete(ending: Ending): void {
    if (ending.close) sys.close(ending.fd);
    for (const done of ending.done) done();
    // One of them may be another unregister that has to wait: the rest waits behind it.
    for (const call of ending.queue) {
      try {
        this.submit(ending.fd, call);
      } catch (error) {
        throwLater(error);
      }
    }
  }

  /** The service has ended, no handler runs: nobody waits any more. */
  releaseAll(): void {
    for (const slot of [...this.#endings.keys()]) this.released(slot);
  }

  /** The slots that a dead thread may own: registered ones, and those that are ending. */
  *slots(): IterableIterator<number> {
    yield* this.table.bound();
    yield* this.#retired;
    yield* this.#endings.keys();
  }

  #forget(fd: number, slot: number): void {
    if (this.table.slotOf(fd) === slot) this.table.unbind(fd);
    this.#retire(slot);
  }

  /** The kernel does not know this registration any more; nobody waits for its end. */
  #retire(slot: number): void {
    if (!this.table.end(slot)) this.#retired.add(slot);
  }

  /** What the kernel says of an fd that is not registered here: EBADF, EPERM, EINVAL; ENOENT for one of the service's own. */
  #refuse(fd: number): number {
    if (fd === this.#exitFd) return -ENOENT;
    const code = this.#control(EPOLL_CTL_DEL, fd, 0, 0, 0);
    return code < 0 ? code : -ENOENT;
  }

  #control(op: number, fd: number, events: number, low: number, high: number): number {
    this.controlCalls++;
    this.#request[0] = events;
    this.#request[sys.DATA_LOW] = low;
    this.#request[sys.DATA_HIGH] = high;
    return sys.epollControl(this.#epfd, op, fd, this.#request);
  }
}

/** Edge-triggered underneath in every mode but oneshot: level is the threads' work, without a system call per event. */
function kernelMask(interest: number): number {
  return interest & EPOLLONESHOT ? interest : interest | EPOLLET;
}

/** An epoll_ctl that failed, for a promise to reject with. */
export function controlError(code: number, fd: number): EpollError {
  return new EpollError(code, 'epoll_ctl', fd);
}
