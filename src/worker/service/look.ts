/** How a thread asks the kernel: a look, a few looks, or a sleep until something comes. What came stands in its agenda. */
import { now } from '../../shared/clock.js';
import { epollWait, yieldCore } from '../../shared/kernel/syscalls.js';
import * as L from '../../shared/service/layout.js';
import type { RunQueue } from '../../shared/service/run-queue.js';
import type { Agenda } from './agenda.js';
import type { OwnLoop } from './own-loop.js';
import { type Pace, STUCK_MS } from './pace.js';
import type { Watch } from './watch.js';

/** By then a thread that looks again sleeps: others want its core for long. */
const LINGER_MS = 1;

export class Look {
  readonly #epfd: number;
  readonly #header: Int32Array;
  readonly #stats: Float64Array;
  readonly #agenda: Agenda;
  readonly #queue: RunQueue;
  readonly #pace: Pace;
  readonly #watch: Watch;
  readonly #ownLoop: OwnLoop;
  readonly #isForMain: boolean;

  constructor(
    epfd: number,
    plan: L.Plan,
    index: number,
    agenda: Agenda,
    queue: RunQueue,
    pace: Pace,
    watch: Watch,
    ownLoop: OwnLoop,
    isForMain: boolean,
  ) {
    this.#epfd = epfd;
    this.#header = L.headerOf(plan);
    this.#stats = L.threadOf(plan, index).stats;
    this.#agenda = agenda;
    this.#queue = queue;
    this.#pace = pace;
    this.#watch = watch;
    this.#ownLoop = ownLoop;
    this.#isForMain = isForMain;
  }

  /** How many events there are, at most `room`, or a negative errno. */
  peek(room: number): number {
    return epollWait(this.#epfd, this.#agenda.entries, room, 0);
  }

  /**
   * Looks before it sleeps, and lets those run in between that may be about to write: often they wait for this core, and to
   * sleep and be woken costs both sides more than a look does. As peek().
   */
  linger(room: number, from: number): number {
    const looks = this.#pace.looks(this.#watch.othersAreThere(from));
    const until = from + LINGER_MS;
    let n = this.peek(room);
    for (let i = 1; i < looks && n === 0 && now() < until; i++) {
      this.#stats[L.WAITS] = (this.#stats[L.WAITS] ?? 0) + 1;
      yieldCore();
      n = this.peek(room);
    }
    if (looks > 1) this.#pace.looked(n > 0);
    return n;
  }

  /**
   * As peek(), but waits for the first.
   *
   * @param limit how long it may take, in milliseconds @param hasRun what the runs have left to do comes before this thread sleeps
   * @param isPending a promise waits for what comes by the thread's event loop
   */
  sleep(room: number, from: number, limit: number, hasRun: boolean, isPending: boolean): number {
    const header = this.#header;
    const slice = Math.min(this.#pace.slice(this.#watch.unladen(from)), limit);
    if (this.#isForMain && Atomics.load(header, L.AWAKE) === 1) {
      // It takes what is ready itself.
      Atomics.wait(header, L.AWAKE, 1, slice);
    }
    if (hasRun) return this.linger(room, from);
    this.#ownLoop.mayNest = Atomics.load(header, L.NEWS) === 0;
    Atomics.add(header, L.IDLE, 1);
    const bound = slice > STUCK_MS && this.#watch.leave(from) ? STUCK_MS : slice;
    // Who shares looks at IDLE after it has filled the queue; this looks at the queue after it has counted itself.
    const n = this.#queue.isEmpty ? this.#ownLoop.wait(this.#agenda.entries, room, bound, from, isPending) : 0;
    Atomics.sub(header, L.IDLE, 1);
    return n;
  }
}
