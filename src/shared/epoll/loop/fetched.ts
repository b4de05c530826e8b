/**
 * What iterations over one instance have fetched and not yielded yet, and what of it no longer counts.
 *
 * An event names no fd: it carries 64 bits of the caller's choosing. So this keeps book of which fd carries what, from the
 * kernel's own list to begin with, then by what the instance is asked. As long as no two fds carry the same, the data of
 * an event tells whose it is. Then many are fetched at once, and once an fd is unregistered, modified or registered anew, the
 * event that was fetched of it is dropped. That loses nothing in any mode: EPOLL_CTL_ADD and EPOLL_CTL_MOD look at the
 * fd again and report whatever is ready, edges and oneshots included.
 *
 * Where fds carry the same, nothing tells their events apart, and none could be given back to the kernel: a oneshot that
 * was spent earlier must not be armed again, one that was spent by this event must. So one event is fetched at a time, when
 * it is asked for; what was not fetched the kernel itself drops or weighs anew. The same where its list cannot be read.
 */
import { discard, type Event, Events, fill } from '../events.js';
import { readRegistered } from '../fdinfo.js';
import { waitFor } from '../wait.js';

const BATCH = 256;

/** What an fd carries, and since which fetch: only a later one can have brought its events. */
interface Entry {
  readonly low: number;
  readonly high: number;
  readonly since: number;
}

export class Fetched {
  readonly #epfd: number;
  readonly #one = new Events(1);
  readonly #many = new Events(BATCH);
  #events = this.#one;
  /** The event to be yielded next. */
  #next = 0;
  /** How often was fetched. */
  #fetches = 0;
  readonly #entries = new Map<number, Entry>();
  /** How many fds carry the same. Different data may count as the same here, never the other way round. */
  readonly #carriers = new Map<number, number>();
  /** Of how many there is more than one carrier. */
  #ambiguous = 0;
  #isBlind = false;

  constructor(epfd: number) {
    this.#epfd = epfd;
    this.#learn();
  }

  /** Whether events can be told apart now. */
  get isClear(): boolean {
    return this.#ambiguous === 0 && !this.#isBlind;
  }

  get isEmpty(): boolean {
    return this.#next >= this.#events.length;
  }

  /** When it is empty: takes what is ready. @param many no more than one otherwise @returns how many, or the negative errno */
  fetch(many = true): number {
    this.#events = many && this.isClear ? this.#many : this.#one;
    this.#next = 0;
    this.#fetches++;
    return fill(this.#events, waitFor, this.#epfd, 0);
  }

  shift(): Event | undefined {
    if (this.isEmpty) return undefined;
    const index = this.#next++;
    return { events: this.#events.eventsAt(index), data: this.#events.dataAt(index) };
  }

  /** Before `fd` is modified or unregistered: another thread may have registered it. */
  prepare(fd: number): void {
    if (!this.isEmpty && !this.#entries.has(fd)) this.#learn();
  }

  /** `fd` has been registered or modified, and carries this. */
  set(fd: number, low: number, high: number): void {
    this.delete(fd);
    this.#add(fd, { low, high, since: this.#fetches });
  }

  /** `fd` has been unregistered. */
  delete(fd: number): void {
    const entry = this.#entries.get(fd);
    if (entry === undefined) return;
    this.#entries.delete(fd);
    const key = keyOf(entry);
    const left = (this.#carriers.get(key) ?? 1) - 1;
    if (left === 0) this.#carriers.delete(key);
    else this.#carriers.set(key, left);
    if (left === 1) this.#ambiguous--;
    if (entry.since < this.#fetches && !this.isEmpty) discard(this.#events, this.#next, entry.low, entry.high);
  }

  #add(fd: number, entry: Entry): void {
    this.#entries.set(fd, entry);
    const key = keyOf(entry);
    const carriers = (this.#carriers.get(key) ?? 0) + 1;
    this.#carriers.set(key, carriers);
    if (carriers === 2) this.#ambiguous++;
  }

  /** Takes in what is registered and not known of. */
  #learn(): void {
    try {
      for (const { fd, data } of readRegistered(this.#epfd)) {
        const [low, high] = [Number(BigInt.asUintN(32, data)), Number(data >> 32n)];
        if (!this.#entries.has(fd)) this.#add(fd, { low, high, since: -1 });
      }
    } catch {
      this.#isBlind = true; // no /proc, or no fd to be had for it
    }
  }
}

function keyOf({ low, high }: Entry): number {
  return low + high * 2 ** 32;
}
