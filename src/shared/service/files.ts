/**
 * What the threads ask of a registration's file beside its events: whether it is ready now (poll(2)), whether the fd still is
 * the file that was registered, and whether asking takes the answer.
 *
 * Behind poll(2) is only a number: the file may have been closed, and the number be another file's by now. kcmp(2) tells the
 * two apart. Where it is refused (container engines do), the inode does, but for files that have none of their own
 * (eventfd, timerfd …).
 */
import { readlinkSync } from 'node:fs';
import { READINESS } from '../epoll/flags.js';
import { fileOf, isRegisteredFile, pollNow } from '../kernel/syscalls.js';
import * as L from './layout.js';

const POLLNVAL = 0x20;
/** struct pollfd in 16-bit words: the fd takes two, then events and revents. */
const POLLFD_HALVES = 4;
const S_IFMT = 0o170000;
const S_IFREG = 0o100000;

/** Its poll says what is so. */
const ORDINARY = 1;
/** Its poll tells a change once: /proc/self/mounts, pressure stalls, perf's rings. What it told must not be asked again. */
const NEWS = 2;

const ORDINARY_ANONYMOUS =
  /^anon_inode:\[?(eventfd|timerfd|eventpoll|signalfd|inotify|fanotify|pidfd|io_uring|userfaultfd)/;

export class Files {
  readonly #slots: Int32Array;
  readonly #epfd: number;
  readonly #header: Int32Array;
  readonly #pollfds: Int16Array;
  readonly #fds: Int32Array;
  /** Of each pollfd: its slot. */
  readonly #asked: Int32Array;
  readonly #file = new BigUint64Array(32);
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

  /** What number `i` of the last poll is ready for; 0 if it is another file by now. */
  answer(i: number): number {
    const found = (this.#pollfds[i * POLLFD_HALVES + 3] ?? 0) & 0xffff;
    if (found & POLLNVAL) return 0;
    const mask = found & READINESS;
    return mask !== 0 && this.isIts(this.slotOf(i)) ? mask : 0;
  }

  /** What one registration is ready for. */
  ready(slot: number, interest: number): number {
    this.clear();
    this.add(slot, interest);
    this.poll();
    const mask = this.answer(0);
    this.clear();
    return mask;
  }

  /** Whether the slot's fd still is the file that was registered. */
  isIts(slot: number): boolean {
    const base = slot * L.SLOT_WORDS;
    const fd = this.#slots[base + L.FD] ?? -1;
    if (this.tells) return isRegisteredFile(this.#epfd, fd);
    return fileOf(fd, this.#file) >= 0 && this.#isRecorded(base);
  }

  /** Whether kcmp(2) may be asked. Where not, the kernel is to say itself whether a level registration still is ready. */
  get tells(): boolean {
    return Atomics.load(this.#header, L.KCMP) === 1;
  }

  /** Notes which file the slot's fd is, for `isIts` without kcmp. */
  record(slot: number): void {
    if (this.tells) return;
    const base = slot * L.SLOT_WORDS;
    const known = fileOf(this.#slots[base + L.FD] ?? -1, this.#file) >= 0;
    this.#slots[base + L.DEVICE] = known ? low(this.#file[0]) : 0;
    this.#slots[base + L.INODE] = known ? low(this.#file[1]) : 0;
  }

  #isRecorded(base: number): boolean {
    return this.#slots[base + L.DEVICE] === low(this.#file[0]) && this.#slots[base + L.INODE] === low(this.#file[1]);
  }

  /** Whether poll takes what it tells; found out once for each registration. */
  isNews(slot: number): boolean {
    const at = slot * L.SLOT_WORDS + L.KIND;
    let kind = this.#slots[at] ?? 0;
    if (kind === 0) {
      kind = this.#kindOf(this.#slots[slot * L.SLOT_WORDS + L.FD] ?? -1);
      this.#slots[at] = kind;
    }
    return kind === NEWS;
  }

  /** A file that tells a change once is watched: no thread may look at the instance through another one, which loses that. */
  noteNews(): void {
    Atomics.store(this.#header, L.NEWS, 1);
  }

  #kindOf(fd: number): number {
    const mode = fileOf(fd, this.#file);
    if (mode < 0) return ORDINARY;
    const type = mode & S_IFMT;
    if (type === S_IFREG) return NEWS;
    if (type !== 0) return ORDINARY;
    try {
      return ORDINARY_ANONYMOUS.test(readlinkSync(`/proc/self/fd/${fd}`)) ? ORDINARY : NEWS;
    } catch {
      return ORDINARY;
    }
  }
}

function low(word: bigint | undefined): number {
  return Number(BigInt.asIntN(32, word ?? 0n));
}
