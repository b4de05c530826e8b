/** One load test from beginning to end. */
import { availableParallelism, hostname } from 'node:os';
import { basename } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { EPOLLET, EPOLLIN } from '../../shared/epoll/flags.js';
import { encodeHost } from '../../shared/kernel/sockaddr.js';
import { close, timerfd } from '../../shared/kernel/sys.js';
import * as B from '../../shared/load/board.js';
import { clock } from '../../shared/load/clock.js';
import { Schedule } from '../../shared/load/schedule.js';
import type { WaitService } from '../service/service.js';
import { Connector } from './connector.js';
import { Fleet } from './fleet.js';
import { openingAtATime } from './limits.js';
import type { LoadPlan } from './options.js';
import type { LoadProgress } from './progress.js';
import { completeResult, type LoadResult, type StopReason, type ThreadShare } from './result.js';
import { Tally } from './tally.js';
import { threadCpu } from './thread-cpu.js';
import { warnings } from './warnings.js';

/** How often the main thread looks, in milliseconds. */
const PACE = 20;
/** How often progress is told; the shortest interval of the series is as long. */
const INTERVAL = 100;
/** From the making of an open loop's timer to its first expiry, and how exactly that must be known, in milliseconds. */
const LEAD = 10;
const PRECISION = 0.05;
const ATTEMPTS = 20;
/** How long the threads have to end; they do nothing that takes time, but a module of the user's may. */
const CLOSE_MS = 1000;
/** Timeouts without one connection that could be opened: a number of requests comes to no end. */
const DEAD_AFTER = 3;

/** The processor time and the threads' busy time at one moment. */
interface Usage {
  readonly cpu: NodeJS.CpuUsage;
  readonly busy: ReadonlyMap<number, number>;
  /** Processor time by the kernel's number of the thread; the main thread's is the process's. */
  readonly threads: ReadonlyMap<number, number>;
}

export class Session {
  readonly #plan: LoadPlan;
  readonly #board: B.Assignment;
  readonly #service: WaitService;
  readonly #tally: Tally;
  readonly #fleet: Fleet;
  readonly #schedule: Schedule | undefined;
  readonly #signal: AbortSignal | undefined;
  readonly #onProgress: ((progress: LoadProgress) => void) | undefined;
  readonly #begun = clock();
  #failure: Error | undefined;
  /** What a script's check() has thrown. */
  readonly #notes = new Set<string>();
  #timer = -1;
  #stopped: StopReason | null = null;
  #started = 0;
  #ended = 0;
  #before: Usage;
  #shown = 0;

  constructor(
    plan: LoadPlan,
    board: B.Assignment,
    service: WaitService,
    signal: AbortSignal | undefined,
    onProgress: ((progress: LoadProgress) => void) | undefined,
  ) {
    this.#plan = plan;
    this.#board = board;
    this.#service = service;
    this.#signal = signal;
    this.#onProgress = onProgress;
    this.#tally = new Tally(board, plan.timeoutsCount);
    this.#schedule = board.schedule && new Schedule(board.schedule);
    const opening = openingAtATime();
    const connector = new Connector(plan.target, plan.timeout, opening, address =>
      B.tellAddress(board, encodeHost(address, plan.target.port).bytes),
    );
    this.#fleet = new Fleet(board, plan.connections, plan.timeout, opening, service, connector, this.#tally);
    this.#before = this.#usage();
    service.on('message', value => {
      if (!B.isParting(value)) return;
      if (value.kind === 'note') this.#notes.add(value.detail);
      else this.#fleet.parted(value);
    });
    service.on('error', error => {
      this.#failure ??= error;
    });
  }

  async run(): Promise<LoadResult> {
    try {
      await this.#connect();
      this.#fleet.scan(clock());
      if (this.#fleet.open > 0 && !this.#isStopped()) await this.#drive();
      else this.#nothing();
      if (this.#failure !== undefined) throw this.#failure;
      const after = this.#usage();
      // Only what no thread goes on counting adds up.
      await this.#close();
      this.#tally.sample(this.#ended - this.#started);
      this.#tally.end(this.#ended - this.#started);
      return this.#result(after);
    } finally {
      await this.#close();
      this.#fleet.close();
      if (this.#timer >= 0) close(this.#timer);
    }
  }

  async #close(): Promise<void> {
    this.#fleet.end();
    await this.#service.close({ timeout: CLOSE_MS });
  }

  /** Until each connection has been tried, or none has been opened for as long as an answer may take. */
  async #connect(): Promise<void> {
    let tried = false;
    const all = this.#fleet.openAll().finally(() => {
      tried = true;
    });
    let until = clock() + this.#plan.timeout;
    // An attempt fails when it has taken that long: one at least is seen to, if none succeeds.
    const isKnown = () => this.#fleet.open > 0 || this.#tally.errorCount > 0;
    for (let open = 0; !tried && !(clock() >= until && isKnown()) && !this.#isStopped(); ) {
      await Promise.race([all, sleep(PACE)]);
      this.#fleet.scan(clock());
      if (this.#fleet.open > open) until = clock() + this.#plan.timeout;
      open = this.#fleet.open;
      this.#tell('connecting', 0);
    }
  }

  /** By a signal, or by too many errors. */
  #isStopped(): boolean {
    if (this.#signal?.aborted === true) this.#stopped ??= 'interrupted';
    if (B.isFaulty(this.#board)) this.#stopped ??= 'errors';
    return this.#stopped !== null;
  }

  #nothing(): void {
    this.#started = this.#begun;
    this.#ended = clock();
  }

  async #drive(): Promise<void> {
    const { schedule } = this.#board;
    const { rate, warmup, duration } = this.#plan;
    if (schedule === undefined || this.#schedule === undefined) {
      this.#start(clock() + warmup);
      void this.#fleet.start();
    } else {
      // The first requests are due once all connections are there for them.
      await this.#fleet.start();
      const first = this.#arm(schedule.tick);
      this.#start(first + this.#schedule.limit(rate, warmup, duration));
      this.#schedule.begin(first);
      await this.#service.register(this.#timer, { events: EPOLLIN | EPOLLET, data: B.TIMER_DATA });
    }
    await this.#watch();
  }

  /** The timer of an open loop. @returns when it expires first: as late as it is later, every request would be */
  #arm(tick: number): number {
    for (let attempt = 1; ; attempt++) {
      const before = clock();
      // Rounded up to a whole nanosecond there: what is whole must stay what it is.
      this.#timer = timerfd(LEAD, tick - 0.25e-6);
      if (clock() - before < PRECISION || attempt === ATTEMPTS) return before + LEAD;
      close(this.#timer);
    }
  }

  /** @param from when counting begins */
  #start(from: number): void {
    const { times } = this.#board;
    this.#started = from;
    times[B.COUNT_FROM] = from;
    times[B.END] = from + this.#plan.duration;
    times[B.DEADLINE] = from + this.#plan.duration + this.#plan.timeout;
    this.#before = this.#usage();
  }

  async #watch(): Promise<void> {
    const { times } = this.#board;
    let next = this.#started;
    let counting = this.#plan.warmup === 0;
    if (counting) next += INTERVAL;
    let quiet = 0;
    for (;;) {
      const before = clock();
      await sleep(Math.max(1, Math.min(PACE, next - before)));
      const now = clock();
      this.#fleet.scan(now);
      if (now >= next) {
        if (!counting) this.#before = this.#usage();
        counting = true;
        this.#tally.sample(now - this.#started);
        this.#tell(now < (times[B.END] ?? 0) ? 'running' : 'finishing', now - this.#started);
        next += INTERVAL * Math.max(1, Math.ceil((now - next) / INTERVAL));
      } else if (!counting) {
        this.#tell('warming up', now - this.#started);
      }
      if (this.#failure !== undefined) return;
      if (this.#isStopped()) {
        await this.#heard();
        return this.#stop(now);
      }
      if (this.#plan.duration === Number.POSITIVE_INFINITY && this.#isDead(now)) {
        this.#stopped = 'unreachable';
        return this.#stop(now);
      }
      // Twice: a thread may have looked at the clock before the end, and send after it.
      quiet = this.#isOver(now) ? quiet + 1 : 0;
      if (quiet === 2) break;
    }
    const end = times[B.END] ?? 0;
    const last = Math.max(this.#tally.last, B.isSpent(this.#board) ? this.#tally.lastError : 0);
    this.#ended = B.isSpent(this.#board) ? last : Math.max(end, last);
  }

  /** The errors that have ended the test: the threads have counted them all, and may still have to tell some. */
  async #heard(): Promise<void> {
    const until = clock() + CLOSE_MS;
    const isMissing = () => B.isFaulty(this.#board) && this.#tally.errorCount < this.#plan.stopAfter;
    while (isMissing() && clock() < until) await sleep(1);
  }

  /** At once: what is under way is not waited for. */
  #stop(now: number): void {
    this.#board.times[B.END] = Math.min(now, this.#board.times[B.END] ?? now);
    this.#board.times[B.DEADLINE] = now;
    this.#ended = Math.max(now, this.#started);
  }

  /** No connection could be opened for three timeouts, though it was tried. */
  #isDead(now: number): boolean {
    const { open, lastOpened, failedSince } = this.#fleet;
    const last = Math.max(lastOpened, this.#tally.most(B.OPENED));
    return open === 0 && failedSince > 0 && now - last > DEAD_AFTER * this.#plan.timeout;
  }

  #isOver(now: number): boolean {
    const { times, requests } = this.#board;
    if (this.#tally.underWay > 0) return false;
    if (now >= (times[B.DEADLINE] ?? 0)) return true;
    if (B.isSpent(this.#board)) return this.#tally.sum(B.REQUESTS) + this.#tally.refused >= requests;
    if (now < (times[B.END] ?? 0)) return false;
    // What a thread has taken it is going to send.
    const schedule = this.#schedule;
    return schedule === undefined || (schedule.left <= 0 && schedule.taken === this.#tally.sum(B.BEGUN));
  }

  #tell(phase: LoadProgress['phase'], elapsed: number): void {
    const now = clock();
    if (this.#onProgress === undefined || now - this.#shown < INTERVAL * 0.9) return;
    this.#shown = now;
    const { duration, requests } = this.#plan;
    const done = this.#tally.sum(B.RESPONSES);
    this.#onProgress({
      phase,
      elapsed: Math.max(0, elapsed),
      fraction: Math.min(1, Math.max(0, elapsed / duration, done / requests)),
      connections: this.#fleet.open,
      responses: done,
      errors: this.#tally.errorCount,
    });
  }

  #usage(): Usage {
    const busy = this.#service.stats().threads.map(({ threadId, busyMs }): [number, number] => [threadId, busyMs]);
    const threads = [process.pid, ...this.#tally.threads.map(({ counts }) => counts[B.KERNEL_THREAD] ?? 0)];
    return {
      cpu: process.cpuUsage(),
      busy: new Map(busy),
      threads: new Map(threads.map(thread => [thread, threadCpu(thread)])),
    };
  }

  #shares(after: Usage): ThreadShare[] {
    return this.#tally.threads.map(({ counts }, i) => {
      const id = counts[B.THREAD_ID] ?? 0;
      return {
        name: String(i + 1),
        responses: counts[B.RESPONSES] ?? 0,
        bytes: counts[B.BYTES_RECEIVED] ?? 0,
        busy: since(this.#before.busy, after.busy, id),
        cpu: since(this.#before.threads, after.threads, counts[B.KERNEL_THREAD] ?? 0),
      };
    });
  }

  /** @param after the usage, when the test had ended */
  #result(after: Usage): LoadResult {
    const plan = this.#plan;
    const tally = this.#tally;
    const { times } = this.#board;
    const duration = Math.max(0, this.#ended - this.#started);
    const threads = this.#shares(after);
    const finite = (value: number): number | null => (Number.isFinite(value) ? value : null);
    const result = completeResult({
      urls: [plan.target.url],
      method: plan.method,
      settings: {
        connections: plan.connections,
        threads: plan.threads,
        duration: finite(plan.duration),
        requests: finite(plan.requests),
        rate: plan.rate,
        stages: plan.stages ?? null,
        pipelining: plan.pipelining,
        timeout: plan.timeout,
        warmup: plan.warmup,
        timeoutsCount: plan.timeoutsCount,
        urls: plan.list.length === 0 ? null : plan.list.length,
        script: fileName(plan.script),
        protocol: fileName(plan.protocol),
        headers: plan.base.headers.map(([name]) => name),
        body: plan.target.protocol === 'tcp' ? plan.request.length : (plan.base.body?.length ?? 0),
        expect: plan.expect,
        stopAfter: finite(plan.stopAfter),
        insecure: plan.tls?.rejectUnauthorized === false,
        resume: plan.resume,
      },
      interrupted: this.#stopped === 'interrupted',
      stopped: this.#stopped,
      requests: tally.sum(B.REQUESTS),
      responses: tally.sum(B.RESPONSES),
      retried: tally.sum(B.RETRIES),
      bytesSent: tally.sum(B.BYTES_SENT),
      bytesReceived: tally.sum(B.BYTES_RECEIVED),
      statuses: tally.statuses(),
      errors: tally.allErrors(),
      errorDetails: tally.details(),
      series: tally.series,
      threads,
      hosts: [
        {
          host: hostname(),
          started: Date.now() - (clock() - this.#started),
          duration,
          processors: availableParallelism(),
          cpuUser: (after.cpu.user - this.#before.cpu.user) / 1000,
          cpuSystem: (after.cpu.system - this.#before.cpu.system) / 1000,
          cpuMain: since(this.#before.threads, after.threads, process.pid),
        },
      ],
      conditions: plan.conditions,
      warnings: [],
      histogram: tally.histogram().toJSON(),
      tls: plan.tls === undefined ? null : { resumed: tally.sum(B.RESUMED), histogram: tally.handshakes().toJSON() },
    });
    const end = Math.min(times[B.END] ?? 0, this.#ended);
    // Beyond the number that was asked for nothing was due.
    const missed = B.isSpent(this.#board) ? 0 : (this.#schedule?.missed(end) ?? 0);
    const facts = {
      missed,
      late: tally.sum(B.LATE),
      connected: this.#started !== this.#begun,
      gaveUp: this.#stopped === 'unreachable',
      pauses: this.#fleet.pauses,
      thrown: [...this.#notes],
    };
    return { ...result, warnings: warnings(result, facts) };
  }
}

/** Of a file:// URL, without its folders: they are nobody's business. */
function fileName(url: string | undefined): string | null {
  return url === undefined ? null : basename(fileURLToPath(url));
}

/** What was added between two looks. */
function since(before: ReadonlyMap<number, number>, after: ReadonlyMap<number, number>, key: number): number {
  return Math.max(0, (after.get(key) ?? 0) - (before.get(key) ?? 0));
}
