/**
 * The only caller of epoll_ctl: keeps the table of registrations in step with the kernel's.
 *
 * Calls are carried out one at a time in the order asked, on the thread that started the service. What concerns an fd
 * whose registration is still being ended (its handler runs) waits for that, and for nothing else. The kernel's answer
 * is the truth: an fd that was closed behind the service's back, and its number used again, shows as an ADD that
 * succeeds, or as ENOENT or EBADF; the old slot is retired then.
 *
 * What a handler asks of its own registration takes effect in the table at once, and in the kernel when its run has let go
 * of it (`released`): until then the registration rests, whoever else modifies it meanwhile, and what comes is dropped; so
 * the kernel is to look after that.
 */
import {
  EPOLL_CTL_ADD,
  EPOLL_CTL_DEL,
  EPOLL_CTL_MOD,
  EPOLLET,
  EPOLLIN,
  EPOLLONESHOT,
  EPOLLPRI,
  READINESS,
} from '../../../shared/epoll/flags.js';
import { EBADF, ENOENT, EpollError } from '../../../shared/errors.js';
import * as sys from '../../../shared/kernel/syscalls.js';
import * as claims from '../../../shared/service/claim.js';
import type { Files } from '../../../shared/service/files.js';
import { EXIT_SLOT, OVER, type Plan, SLOT_WORDS, WAKE_SLOT } from '../../../shared/service/layout.js';
import type { Waking } from '../../../shared/service/waking.js';
import { throwLater } from '../uncaught.js';
import { SlotTable } from './slot-table.js';

/** A registration that ends once its handler returns. */
interface Ending {
  readonly fd: number;
  readonly done: () => void;
  /** Whether the fd itself is to be closed then. */
  readonly closes: boolean;
  /** What was asked of this fd since. */
  readonly queue: Array<() => void>;
}

export interface RegistryParts {
  readonly plan: Plan;
  readonly capacity: number;
  readonly epfd: number;
  /** The service's own eventfds, which callers can neither modify nor unregister. */
  readonly exitFd: number;
  readonly wakeFd: number;
  readonly files: Files;
  readonly waking: Waking;
}

/** There are as many registrations as the service has room for. */
export const NO_ROOM = 1;

export class Registry {
  readonly table: SlotTable;
  readonly #parts: RegistryParts;
  readonly #request = new Uint32Array(sys.EVENT_WORDS);
  readonly #endings = new Map<number, Ending>();
  readonly #endingByFd = new Map<number, Ending>();
  /** Slots without a registration that a thread still holds. */
  readonly #retired = new Set<number>();
  controlCalls = 0;
  /** The slot of the last registration that was added. */
  added = 0;

  constructor(parts: RegistryParts) {
    this.table = new SlotTable(parts.plan);
    this.#parts = parts;
  }

  /**
   * The service's own eventfds. The one that ends all waits is level-triggered and never drained: it wakes every thread, for
   * good. The other one is edge-triggered: each write wakes one. 0, or an errno.
   */
  addOwn(): number {
    const { exitFd, wakeFd } = this.#parts;
    const code = this.#control(EPOLL_CTL_ADD, exitFd, EPOLLIN, EXIT_SLOT, 1);
    return code < 0 ? code : this.#control(EPOLL_CTL_ADD, wakeFd, EPOLLIN | EPOLLET, WAKE_SLOT, 1);
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
    const { capacity, files } = this.#parts;
    // An fd that the table knows may be the kernel's EEXIST, or take the place of one that was closed. The latter ends
    // first: a thread that holds it, and finds the number ready and registered again, must not take that for its own.
    const known = table.slotOf(fd);
    if (known === undefined && table.size >= capacity) return NO_ROOM;
    if (known !== undefined && !files.isIts(known)) this.#forget(fd, known);
    const slot = table.take(fd, interest, low, high);
    if (slot < 0) return NO_ROOM;
    files.record(slot);
    // Before the kernel has it: a thread that waits by another instance would take the first news.
    if (((interest & EPOLLPRI) !== 0 || (interest & READINESS) === 0) && files.isNews(slot)) files.noteNews();
    const code = this.#control(EPOLL_CTL_ADD, fd, this.#kernelMask(slot), slot, table.stampOf(slot));
    if (code < 0) {
      table.putBack(slot);
      return code;
    }
    const before = table.bind(fd, slot);
    if (before !== undefined) this.#retire(before);
    this.added = slot;
    files.noteSize(table.size);
    return 0;
  }

  /** Replaces interest and data, ends its rest, and has the kernel look. 0, or the negative errno. @param id of which registration, if that matters */
  modify(fd: number, id: number | undefined, interest: number, low: number, high: number): number {
    const slot = this.#find(fd, id);
    if (slot < 0) return slot;
    return this.#look(slot, this.table.update(slot, interest, low, high));
  }

  /** The same for a handler, of its own registration: the kernel is asked once that is let go. 0, or the negative errno. */
  modifyOwn(slot: number, generation: number, interest: number, low: number, high: number): number {
    if (!this.table.isCurrent(slot, generation)) return -ENOENT;
    this.table.update(slot, interest, low, high);
    return 0;
  }

  /** Has the kernel look at a registration, as if it had just become ready. @param word its claim word */
  #look(slot: number, word: number): number {
    const { table } = this;
    const { files, waking } = this.#parts;
    const fd = table.fdOf(slot);
    const interest = table.interestOf(slot);
    // Where poll takes what it tells, the kernel's own look would take it, and tell nobody.
    const told = files.isNews(slot) ? files.ready(slot, interest) : 0;
    const code = this.#control(EPOLL_CTL_MOD, fd, this.#kernelMask(slot), slot, table.stampOf(slot));
    if (code === -ENOENT || code === -EBADF) {
      this.#forget(fd, slot);
      return code;
    }
    const found =
      told === 0 ? claims.NOTHING : claims.leave(table.words, slot * SLOT_WORDS, table.stampOf(slot), told, false);
    if (found === claims.LEFT_DUE || claims.isDue(word)) waking.share(slot);
    return code;
  }

  /**
   * Unregisters, and closes the fd too if asked; `done` comes once no handler runs for it.
   *
   * @param id of which registration, if that matters
   * @returns 0, or the negative errno, and then `done` never comes
   */
  remove(fd: number, id: number | undefined, closes: boolean, done: () => void): number {
    const { table } = this;
    const slot = this.#find(fd, id);
    if (slot < 0) return slot;
    const code = this.#control(EPOLL_CTL_DEL, fd, 0, 0, 0);
    if (code < 0) {
      if (code === -ENOENT || code === -EBADF) this.#forget(fd, slot);
      return code;
    }
    this.#unbind(fd);
    const ending: Ending = { fd, done, closes, queue: [] };
    if (table.end(slot)) {
      this.#complete(ending);
    } else {
      this.#endings.set(slot, ending);
      this.#endingByFd.set(fd, ending);
    }
    return 0;
  }

  /** One more run. 0, or the negative ENOENT, also of an fd that is not open: the kernel is not asked for anything. */
  wake(fd: number, id: number | undefined): number {
    const { table } = this;
    const { files, waking } = this.#parts;
    const slot = table.slotOf(fd);
    if (slot === undefined || (id !== undefined && table.idOf(slot) !== id)) return -ENOENT;
    // So nothing else would tell that it was closed, or is another file's by now.
    if (!files.isLikelyIts(slot)) {
      this.#forget(fd, slot);
      return -ENOENT;
    }
    waking.wake(slot, table.generationOf(slot));
    return 0;
  }

  /** The slot of an fd's registration, or the negative errno. */
  #find(fd: number, id: number | undefined): number {
    const slot = this.table.slotOf(fd);
    if (id !== undefined) return slot !== undefined && this.table.idOf(slot) === id ? slot : -ENOENT;
    return slot ?? this.#refuse(fd);
  }

  /**
   * A slot was let go that was ending, or whose handler had asked for something. 0, or the negative errno of what it asked
   * for. Not before all of that is carried out: what a dead thread has let go may have had another run since.
   */
  released(slot: number, generation: number): number {
    const { table } = this;
    if (!table.isHeld(slot, generation)) return 0;
    const word = table.wordOf(slot);
    if (claims.ownerOf(word) !== claims.NOBODY) return 0;
    if (claims.isClosing(word)) {
      this.#finish(slot);
      return 0;
    }
    if (!claims.isAsked(word) || table.asksOf(slot) !== 0) return 0;
    return this.#look(slot, claims.settle(table.words, slot * SLOT_WORDS, false));
  }

  /** A slot that was ending was let go. */
  #finish(slot: number): void {
    this.table.finish(slot);
    this.#retired.delete(slot);
    const ending = this.#endings.get(slot);
    if (ending === undefined) return;
    this.#endings.delete(slot);
    if (this.#endingByFd.get(ending.fd) === ending) this.#endingByFd.delete(ending.fd);
    // The run was long, perhaps: who has closed the fd meanwhile may have another file by its number.
    const closes = ending.closes && this.#parts.files.hasItsInode(slot);
    this.#complete(closes ? ending : { ...ending, closes });
  }

  /** A handler threw: it rests from now on, whatever the handler had asked for. Of nobody else's rest is that the end. */
  failed(slot: number, generation: number): void {
    if (this.table.isHeld(slot, generation) && claims.isAsked(this.table.wordOf(slot))) {
      claims.settle(this.table.words, slot * SLOT_WORDS, true);
    }
  }

  /**
   * Lets go of what a dead thread held; what it had not begun is due, for the caller to share. Whether it was in a run, and rests.
   *
   * @param due what the thread had taken of it, or OVER
   */
  abandon(slot: number, owner: number, due: number): boolean {
    const { table } = this;
    const rests = table.runningOf(slot) !== 0;
    const progress = rests ? 'running' : due === OVER ? 'over' : 'not begun';
    if (!claims.abandon(table.words, slot * SLOT_WORDS, owner, progress, due)) return false;
    table.endRun(slot);
    if (rests) table.forgetAsks(slot);
    if (claims.isClosing(table.wordOf(slot))) this.#finish(slot);
    return rests;
  }

  /** What a listener throws on the way is an uncaught exception, and keeps nothing that waits from being settled. */
  #complete({ fd, done, closes, queue }: Ending): void {
    if (closes) sys.close(fd);
    done();
    // One of them may be another unregister that has to wait: the rest waits behind it.
    for (const call of queue) {
      try {
        this.submit(fd, call);
      } catch (error) {
        throwLater(error);
      }
    }
  }

  /** The service has ended, no handler runs: nobody waits any more. */
  releaseAll(): void {
    for (const slot of [...this.#endings.keys()]) this.#finish(slot);
  }

  /** The slots that a dead thread may own: registered ones, and those that are ending. */
  *slots(): IterableIterator<number> {
    yield* this.table.bound();
    yield* this.#retired;
    yield* this.#endings.keys();
  }

  #unbind(fd: number): void {
    this.table.unbind(fd);
    this.#parts.files.noteSize(this.table.size);
  }

  #forget(fd: number, slot: number): void {
    if (this.table.slotOf(fd) === slot) this.#unbind(fd);
    this.#retire(slot);
  }

  /** The kernel does not know this registration any more; nobody waits for its end. */
  #retire(slot: number): void {
    if (!this.table.end(slot)) this.#retired.add(slot);
  }

  /** What the kernel says of an fd that is not registered here: EBADF, EPERM, EINVAL; ENOENT for one of the service's own. */
  #refuse(fd: number): number {
    if (fd === this.#parts.exitFd || fd === this.#parts.wakeFd) return -ENOENT;
    const code = this.#control(EPOLL_CTL_DEL, fd, 0, 0, 0);
    return code < 0 ? code : -ENOENT;
  }

  /**
   * Edge-triggered underneath in every mode but oneshot: that a level registration still is ready is the threads' work, without
   * a system call per event, and a run that takes long does not wake all others. Not where they cannot tell (files.ts).
   */
  #kernelMask(slot: number): number {
    const interest = this.table.interestOf(slot);
    const isEdge = (interest & EPOLLONESHOT) === 0 && this.#parts.files.canAsk(slot);
    return isEdge ? interest | EPOLLET : interest;
  }

  #control(op: number, fd: number, events: number, low: number, high: number): number {
    this.controlCalls++;
    this.#request[0] = events;
    this.#request[sys.DATA_LOW] = low;
    this.#request[sys.DATA_HIGH] = high;
    return sys.epollControl(this.#parts.epfd, op, fd, this.#request);
  }
}

/** An epoll_ctl that failed, for a promise to reject with. */
export function controlError(code: number, fd: number): EpollError {
  return new EpollError(code, 'epoll_ctl', fd);
}
