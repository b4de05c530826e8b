/**
 * The loop of one thread: waits on the shared epoll instance and deals with what is ready.
 *
 * It deals with what it has fetched (agenda.ts), then with what is due and it knows of (due-list.ts), then with what is in the
 * run queue. All of that stands in shared memory, and what the thread has not begun is anybody's: a peer that sees that it does
 * not get on takes it. Where runs are slow, each thread takes one at a time (pace.ts).
 */
import { now } from '../../shared/clock.js';
import { EINTR, EpollError } from '../../shared/errors.js';
import { Files } from '../../shared/service/files.js';
import * as L from '../../shared/service/layout.js';
import type { Waking } from '../../shared/service/waking.js';
import { Agenda } from './agenda.js';
import { DueList } from './due-list.js';
import { Look } from './look.js';
import type { Outbox } from './outbox.js';
import type { OwnLoop } from './own-loop.js';
import { Pace } from './pace.js';
import { type Parts, Runner } from './runner.js';
import { Watch } from './watch.js';

/** After this long in one go the thread gives its event loop a turn, for timers, messages and output. */
const TURN_MS = 10;
/** How often microtasks and ticks are run between a run and the thread's sleep. What is left then waits for the event loop's turn. */
const FLUSHES = 2;
/** How long a thread sleeps at most while the main thread has yet to take its output: that needs its event loop. */
const OUTPUT_MS = 3;
/** How long to stay away when all there is is held by others, and the kernel goes on telling of it: at first, and at most. */
const BLOCKED_MS = 1;
const LONGEST_BLOCKED_MS = 8;

export class WaitLoop {
  readonly #epfd: number;
  readonly #threads: number;
  readonly #concurrency: number;
  readonly #header: Int32Array;
  readonly #words: Int32Array;
  readonly #stats: Float64Array;
  readonly #agenda: Agenda;
  readonly #outbox: Outbox;
  readonly #waking: Waking;
  readonly #runner: Runner;
  readonly #list: DueList;
  readonly #pace: Pace;
  readonly #watch: Watch;
  readonly #look: Look;
  readonly #isForMain: boolean;
  readonly #mayGoOnFull: (() => boolean) | undefined;
  readonly #ownLoop: OwnLoop;
  readonly #turn = (): void => this.turn();
  /** All microtasks run, then the ticks that were asked for until then; the second time also what those ticks ask for. */
  readonly #flush = (): void => process.nextTick(this.#flushed);
  readonly #flushed = (): void => {
    if (--this.#flushes > 0) {
      queueMicrotask(this.#flush);
      return;
    }
    this.#now = now();
    this.#goOn();
  };
  /** Cached: the getters of process are slow. */
  readonly #stdout = process.stdout;
  readonly #stderr = process.stderr;
  /** How many events the last wait has brought, and whether nothing was dealt with since. */
  #count = 0;
  #hasLooked = false;
  #now = 0;
  /** When what is in hand was begun with. */
  #since = 0;
  /** How many in a row had to do with somebody else's run, or rest, and for how long to stay away when that is all there is. */
  #blocked = 0;
  #blockedFor = BLOCKED_MS;
  /** How many the last wait could have brought, and the most that a wait may. */
  #room = 0;
  readonly #most: number;
  /** Up to when the time is counted that runs take, and whether promises were pending then. */
  #busyUntil = 0;
  #isPending = false;
  /** Of the pending promises, so many do not count. */
  #resting = 0;
  /** The next turn comes when a promise settles. */
  #isSuspended = false;
  /** When the event loop is to have a turn, at the latest. */
  #until = 0;
  /** How often microtasks and ticks are to be run before this thread sleeps. */
  #flushes = 0;

  constructor(parts: Parts, ownLoop: OwnLoop) {
    const { plan, index, epfd, outbox, waking, handler } = parts;
    const memory = L.threadOf(plan, index);
    this.#epfd = epfd;
    this.#threads = plan.threads;
    this.#concurrency = plan.concurrency;
    this.#most = plan.batch;
    this.#header = L.headerOf(plan);
    this.#words = memory.words;
    this.#stats = memory.stats;
    this.#agenda = new Agenda(memory.agenda, memory.words);
    this.#outbox = outbox;
    this.#waking = waking;
    this.#isForMain = handler === undefined;
    this.#mayGoOnFull = parts.mayGoOnFull;
    this.#pace = new Pace(plan.batch, plan.threads, handler === undefined);
    this.#list = new DueList(memory.list);
    this.#ownLoop = ownLoop;
    const files = new Files(plan, epfd, 1);
    const looks = new Files(plan, epfd, memory.list.length);
    const runner = new Runner(parts, this.#list, files, looks, this.#pace, () => this.#settled());
    const leave = (slot: number, stamp: number, mask: number): void => runner.leave(slot, stamp, mask);
    this.#runner = runner;
    const { queue } = waking;
    this.#watch = new Watch(plan, index, waking, this.#isForMain, leave);
    this.#look = new Look(epfd, plan, index, this.#agenda, queue, this.#pace, this.#watch, ownLoop, this.#isForMain);
  }

  /** When the loop last looked at the clock: not later than the run that is under way began. */
  get now(): number {
    return this.#now;
  }

  /** Runs until there is a reason to let the event loop have a turn, and comes back after it. */
  turn(): void {
    this.#isSuspended = false;
    this.#now = now();
    this.#ownLoop.begin(this.#now);
    this.#flushes = 0;
    this.#until = this.#now + TURN_MS;
    this.#watch.look(this.#now);
    // Or those that are always ready, and take as long as a turn, would be all that ever runs; or nothing, while output waits.
    const hasOutput = this.#hasOutput();
    if (!this.#hasLooked && (!this.#isIdle || hasOutput)) this.#wait(hasOutput ? OUTPUT_MS : undefined);
    this.#goOn();
  }

  #goOn(): void {
    for (;;) {
      this.#work();
      if (this.#stopping()) {
        this.#stop();
        return;
      }
      if (this.#isFull()) {
        this.#suspend();
        return;
      }
      if (this.#now >= this.#until || this.#hasOutput()) break;
      this.#watch.look(this.#now);
      this.#wait();
      // What a promise waits for comes by the event loop.
      if (this.#runner.pending > 0) break;
      if (this.#count > 0 || !this.#isIdle) continue;
      if (this.#flushes === 0) break;
      queueMicrotask(this.#flush);
      return;
    }
    // The event loop's turn may be long: all that is here is anybody's meanwhile.
    this.#leaveAll();
    if (this.#list.length > 0) this.#watch.call(this.#now);
    this.#passOn();
    setImmediate(this.#turn);
  }

  // ---- what is due ------------------------------------------------------------------------------------------

  /** Deals with what the last wait has brought, then with the list, then with the run queue. */
  #work(): void {
    const runner = this.#runner;
    const { runs } = runner;
    this.#hasLooked = false;
    this.#since = this.#now;
    const hasFetched = this.#hasFetched;
    if (this.#pace.isOverdue) {
      this.#pace.passedOver(false);
      if (this.#count > 0) this.#watch.call(this.#now);
      this.#handOver();
      this.#takeShared();
    }
    this.#fetched();
    this.#goThroughList();
    if (this.#pace.takesShared(hasFetched)) this.#takeShared();
    this.#pace.passedOver(!this.#mayRun() && !this.#isIdle);
    const done = (runner.runs - runs) | 0;
    if (done > 0) {
      this.#now = now();
      this.#pace.measured(this.#now - this.#since, done);
      this.#ownLoop.hasRun = true;
      this.#flushes = FLUSHES;
    }
    // Runs whose promises are pending go on meanwhile.
    this.#add(L.BUSY, this.#isPending ? this.#now - this.#busyUntil : done > 0 ? this.#now - this.#since : 0);
    this.#busyUntil = this.#now;
    this.#isPending = runner.pending > 0;
  }

  /** The agenda; what this thread does not get to is anybody's. */
  #fetched(): void {
    const count = this.#count;
    if (count === 0) return;
    const runner = this.#runner;
    runner.blocked = 0;
    runner.isLate = false;
    const hasMore = count > 1 || this.#list.length > 0;
    if (hasMore) this.#watch.call(this.#now);
    // What came may have been the call for the run queue, by itself or with others; the run of what is here may be long.
    if (hasMore || (this.#pace.isSlow && this.#hasFetched)) this.#passOn();
    for (let i = 0; i < this.#count && this.#mayRun(); i++) {
      this.#entry(i, true);
      if (i + 1 === this.#count) break;
      this.#now = now();
      // Fetched while runs were short, and one is not: the event loop's turn comes before the rest.
      if (this.#now - this.#since > TURN_MS) break;
      runner.isLate = this.#pace.isBehind(this.#now - this.#since);
      if (runner.isLate && this.#threads > 1 && Atomics.load(this.#header, L.IDLE) > 0) this.#leaveAll();
    }
    this.#leaveAll();
    if (runner.blocked < count) {
      this.#blocked = 0;
      this.#blockedFor = BLOCKED_MS;
    } else {
      this.#allBlocked(count);
    }
  }

  /** The next look brings as many as it may; this thread stays away once it has seen all that the kernel goes on telling of. */
  #allBlocked(count: number): void {
    this.#blocked += count;
    const isAll = count < this.#room || this.#blocked >= Atomics.load(this.#header, L.SIZE);
    if (!isAll) return;
    this.#blocked = 0;
    Atomics.wait(this.#header, L.STOP, 0, this.#blockedFor);
    this.#blockedFor = Math.min(LONGEST_BLOCKED_MS, 2 * this.#blockedFor);
  }

  /** Whether the last wait has brought something of the kernel's, beside the call for the run queue. */
  get #hasFetched(): boolean {
    return this.#count > 1 || (this.#count === 1 && this.#agenda.isOthers(0));
  }

  /** What was fetched, and is not begun, is for whoever comes to it: this thread, or another that is free. */
  #leaveAll(): void {
    for (let i = 0; i < this.#count; i++) this.#entry(i, false);
    this.#count = 0;
  }

  /** This thread does something else first: what is in the run queue is for another. */
  #passOn(): void {
    if (!this.#waking.queue.isEmpty) this.#waking.kick();
  }

  /** Entry `i` of the agenda: to run now, or to be left. */
  #entry(i: number, isMine: boolean): void {
    const agenda = this.#agenda;
    if (!agenda.take(i)) return;
    if (agenda.slot >= 0) {
      // What is for the main thread is nobody else's.
      if (isMine || this.#isForMain) this.#runner.dispatch(agenda.slot, agenda.stamp, agenda.mask);
      else this.#runner.leave(agenda.slot, agenda.stamp, agenda.mask);
    }
    agenda.done();
  }

  /** One pass: what is on the list now; what comes to it meanwhile is for the next one. */
  #goThroughList(): void {
    const list = this.#list;
    if (list.length === 0 || this.#stopping()) return;
    const runner = this.#runner;
    const from = this.#now;
    let others = runner.look(list.length);
    if (list.length > 1) this.#watch.call(this.#now);
    for (let left = list.length; left > 0 && list.length > 0; left--) {
      if (!this.#mayRun()) return;
      runner.isLate = others-- <= 0 || this.#pace.isBehind(this.#now - this.#since);
      runner.take(list.shift());
      this.#now = now();
      if (this.#pace.isBehind(this.#now - this.#since) && Atomics.load(this.#header, L.IDLE) > 0) this.#handOver();
      if (this.#now - from > TURN_MS) return;
    }
  }

  /** As many from the run queue as this thread would fetch from the kernel. Where runs are slow, what takes no time does not count. */
  #takeShared(): void {
    const { queue } = this.#waking;
    const runner = this.#runner;
    let from = -1;
    for (let left = this.#pace.share; left > 0 && this.#mayRun(); ) {
      const slot = queue.pop();
      if (slot < 0) return;
      if (from < 0) {
        from = now();
        this.#now = from;
      }
      // One was woken for all that was there.
      this.#passOn();
      if (this.#list.length > 0) this.#watch.call(this.#now);
      runner.isLate = true;
      runner.take(slot);
      this.#now = now();
      if (!this.#pace.isSlow || this.#pace.isBehind(this.#now - from)) left--;
      if (this.#now - from > TURN_MS) return;
    }
  }

  #mayRun(): boolean {
    return !this.#stopping() && !this.#isFull();
  }

  /** Whether as many promises are pending as may be, and no run may begin until one settles. */
  #isFull(): boolean {
    return this.#runner.pending - this.#resting >= this.#concurrency && this.#mayGoOnFull?.() !== true;
  }

  /** What this thread has not begun is for those that are free. */
  #handOver(): void {
    const list = this.#list;
    if (list.length === 0) return;
    while (list.length > 0) this.#waking.queue.push(list.shift());
    this.#waking.kick();
  }

  // ---- the wait ---------------------------------------------------------------------------------------------

  /** Whether there is nothing to do but what the kernel may have. */
  get #isIdle(): boolean {
    return this.#list.length === 0 && this.#waking.queue.isEmpty;
  }

  /** One epoll_wait into the agenda. @param limit how long it may take, in milliseconds */
  #wait(limit = Number.POSITIVE_INFINITY): void {
    this.#room = this.#blocked > 0 ? this.#most : this.#pace.share;
    const room = this.#room;
    this.#hasLooked = true;
    const n = !this.#agenda.mayFill() ? 0 : this.#isIdle ? this.#sleep(room, limit) : this.#look.peek(room);
    this.#now = now();
    this.#count = Math.max(0, n);
    if (n > 0) this.#waking.came();
    if (n < 0 && n !== -EINTR && !this.#stopping()) throw new EpollError(n, 'epoll_wait', this.#epfd);
    this.#add(L.WAITS, 1);
    this.#add(L.EVENTS, this.#count);
  }

  #sleep(room: number, limit: number): number {
    return this.#look.sleep(room, this.#now, limit, this.#flushes > 0, this.#runner.pending > 0);
  }

  // ---- the event loop's turn, and the end -------------------------------------------------------------------

  /** As many promises are pending as may be: the rest is for the others. */
  #suspend(): void {
    this.#leaveAll();
    this.#handOver();
    // What it was called for may be there still.
    this.#passOn();
    this.#isSuspended = true;
  }

  /** For a promise without a registration. */
  hold(): void {
    this.#runner.pending++;
  }

  release(): void {
    this.#runner.pending--;
    this.#settled();
  }

  rests(): void {
    this.#resting++;
    this.#settled();
  }

  goesOn(): void {
    this.#resting--;
  }

  #settled(): void {
    if (!this.#isSuspended) return;
    this.#isSuspended = false;
    setImmediate(this.#turn);
  }

  /** No further handler starts; those whose promises are pending end first. */
  #stop(): void {
    if (this.#runner.pending > 0) {
      this.#isSuspended = true;
      return;
    }
    this.#ownLoop.close();
    Atomics.store(this.#words, L.PHASE, L.PHASE_ENDED);
    this.#outbox.ring();
  }

  #add(field: number, n: number): void {
    this.#stats[field] = (this.#stats[field] ?? 0) + n;
  }

  #stopping(): boolean {
    return Atomics.load(this.#header, L.STOP) !== 0;
  }

  #hasOutput(): boolean {
    return this.#stdout.writableLength > 0 || this.#stderr.writableLength > 0;
  }
}
