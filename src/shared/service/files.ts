/**
 * What the service asks of a registration's file beside its events: whether it is ready now (poll(2)), and whether the fd
 * still is the file that was registered. Behind poll(2) is only a number: the file may have been closed, and the number be
 * another file's by now.
 *
 * Sockets and pipes have an inode of their own, and that says it, at the cost of an fstat(2). Other files (eventfd, timerfd, a
 * device …) share theirs. Of those kcmp(2) tells; it looks through all registrations, with the instance locked, so it is asked
 * last. Where it may not be called (sandboxes refuse it) the kernel goes on telling of such files itself for as long as they are
 * ready (level-triggered), and forgets what is closed; a run may find nothing there, because two threads were told.
 *
 * Some files tell a change only once, to whoever polls first (/proc/self/mounts, pressure stalls, perf's rings). What was told
 * of them is kept until it has run, and not asked again.
 */
import { readlinkSync } from 'node:fs';
import { READINESS } from '../epoll/flags.js';
import { fileOf, isRegisteredFile, pollNow } from '../kernel/syscalls.js';
import * as L from './layout.js';

const POLLNVAL = 0x20;
/** struct pollfd in 16-bit words: the fd takes two, then events and revents. */
const POLLFD_HALVES = 4;
const S_IFMT = 0o170000;
const S_IFSOCK = 0o140000;
const S_IFIFO = 0o010000;
const S_IFREG = 0o100000;

/** KIND: an inode of its own. */
const OWN = 1;
/** KIND: an inode that other files have, too; whether its poll tells a change only once is not known yet, or is. */
const SHARED = 2;
const STEADY = 3;
const NEWS = 4;

/** kcmp(2) takes some 20 ns for each registration: events that have only waited are worth it where there are few. */
const FEW = 4096;

/** Of the files without a name: those whose poll says what is so, as often as it is asked. */
const STEADY_FILES = /^anon_inode:\[?(eventfd|timerfd|eventpoll|signalfd|inotify|fanotify|pidfd|io_uring|userfaultfd)/;

export class Files {
  readonly #slots: Int32Array;
  readonly #epfd: number;
  readonly #header: Int32Array;
  readonly #pollfds: Int16Array;
  readonly #fds: Int32Array;
  /** Of each pollfd: its slot. */
  readonly #asked: Int32Array;
  /** struct stat. */
  readonly #stat = new Int32Array(36);
  #count = 0;

  /** @param most how many are asked at once */
  constructor(plan: L.Plan, epfd: number, most: number) {
    this.#slots = L.slotsOf(plan);
    this.#header = L.headerOf(plan);
    this.#epfd = epfd;
    this.#pollfds = new Int16Array(most * POLLFD_HALVES);
    this.#fds = new Int32Array(this.#pollfds.buffer);
    this.#asked = new Int32Array(most);
  }

  // ---- which file it is ---------------------------------------------------------------------------------

  /** Notes which file the slot's fd is, when it is registered. */
  record(slot: number): void {
    const base = slot * L.SLOT_WORDS;
    const stat = this.#stat;
    const mode = fileOf(this.#slots[base + L.FD] ?? -1, stat);
    const type = mode & S_IFMT;
    this.#slots[base + L.KIND] = mode >= 0 && (type === S_IFSOCK || type === S_IFIFO) ? OWN : SHARED;
    this.#slots[base + L.DEVICE] = stat[0] ?? 0;
    this.#slots[base + L.INODE] = stat[2] ?? 0;
  }

  /** Whether poll(2) may say if a level registration is ready; if not, the kernel goes on telling while it is. */
  canAsk(slot: number): boolean {
    return this.#kindOf(slot) === OWN || this.#hasKcmp;
  }

  #kindOf(slot: number): number {
    return this.#slots[slot * L.SLOT_WORDS + L.KIND] ?? 0;
  }

  get #hasKcmp(): boolean {
    return Atomics.load(this.#header, L.KCMP) === 1;
  }

  /** Whether the slot's fd still is the file that was registered. */
  isIts(slot: number): boolean {
    if (!this.hasItsInode(slot)) return false;
    if (this.#kindOf(slot) === OWN || !this.#hasKcmp) return true;
    return isRegisteredFile(this.#epfd, this.#slots[slot * L.SLOT_WORDS + L.FD] ?? -1);
  }

  /** The same of one whose event has only waited: as far as that can be told at little cost. */
  isLikelyIts(slot: number): boolean {
    return Atomics.load(this.#header, L.SIZE) > FEW ? this.hasItsInode(slot) : this.isIts(slot);
  }

  /** The same by its inode alone, which other files than sockets and pipes share; of a slot that was just let go, too. */
  hasItsInode(slot: number): boolean {
    const base = slot * L.SLOT_WORDS;
    const stat = this.#stat;
    if (fileOf(this.#slots[base + L.FD] ?? -1, stat) < 0) return false;
    return stat[0] === this.#slots[base + L.DEVICE] && stat[2] === this.#slots[base + L.INODE];
  }

  /** Whether its poll tells a change only once. */
  isNews(slot: number): boolean {
    const at = slot * L.SLOT_WORDS + L.KIND;
    const kind = this.#slots[at];
    if (kind !== SHARED) return kind === NEWS;
    const isNews = this.#tellsOnce(this.#slots[slot * L.SLOT_WORDS + L.FD] ?? -1);
    this.#slots[at] = isNews ? NEWS : STEADY;
    return isNews;
  }

  #tellsOnce(fd: number): boolean {
    const type = fileOf(fd, this.#stat) & S_IFMT;
    if (type !== 0) return type === S_IFREG;
    try {
      return !STEADY_FILES.test(readlinkSync(`/proc/self/fd/${fd}`));
    } catch {
      return false;
    }
  }

  /** A file that tells a change once is watched: no thread may look at the instance through another one, which loses that. */
  noteNews(): void {
    Atomics.store(this.#header, L.NEWS, 1);
  }

  /** How many registrations there are. */
  noteSize(size: number): void {
    Atomics.store(this.#header, L.SIZE, size);
  }

  // ---- what it is ready for -----------------------------------------------------------------------------

  /** How many are to be asked. */
  get count(): number {
    return this.#count;
  }

  clear(): void {
    this.#count = 0;
  }

  /** The next poll asks for this one, too. */
  add(slot: number, interest: number): void {
    const i = this.#count++;
    this.#asked[i] = slot;
    this.#fds[i * 2] = this.#slots[slot * L.SLOT_WORDS + L.FD] ?? -1;
    this.#pollfds[i * POLLFD_HALVES + 2] = interest & READINESS;
    this.#pollfds[i * POLLFD_HALVES + 3] = 0;
  }

  /** One poll(2) that only looks. */
  poll(): void {
    if (this.#count > 0) pollNow(this.#pollfds, this.#count);
  }

  slotOf(i: number): number {
    return this.#asked[i] ?? 0;
  }

  /** What number `i` of the last poll is ready for; its fd may be another file's by now. */
  answer(i: number): number {
    const found = (this.#pollfds[i * POLLFD_HALVES + 3] ?? 0) & 0xffff;
    return found & POLLNVAL ? 0 : found & READINESS;
  }

  /** What one registration is ready for; 0 if its fd is another file's by now. */
  ready(slot: number, interest: number): number {
    this.clear();
    this.add(slot, interest);
    this.poll();
    this.clear();
    const mask = this.answer(0);
    return mask !== 0 && this.isIts(slot) ? mask : 0;
  }
}
