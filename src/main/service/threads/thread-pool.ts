/**
 * The threads: a piscina pool in which each worker runs one start task, and then waits in its loop until the service
 * ends. A thread that dies is replaced, at once for the first time and ever more slowly if it keeps dying.
 *
 * A thread lives many times, one life after the other (thread-life.ts); all that is heard of it comes with the life that it
 * is about, so that nothing of a former one is taken for the present one's. What is heard, in whatever order, while this
 * thread is busy say:
 *   - the start task's answer: it runs, or (it did not load) it fails and its worker is ended here
 *   - the start task's rejection: it fails likewise; it may be the echo of its worker's end
 *   - an error that its worker throws, which is the reason of the end that follows
 *   - its worker's end
 *   - that no worker came up for it: one could not be made, or ended before it took a task
 * A life is over when its worker has ended, and not before, so that nothing of it still runs when its place is taken; or when
 * no worker came up. That is seen in one place, `#over`, once for each life. So it does not matter that the thread is in
 * its loop, and may die in a handler, before its answer is seen: its end, then, overtakes the answer, which is dropped.
 */
import { clearTimeout, setTimeout } from 'node:timers';
import { MessageChannel, type MessagePort, type ResourceLimits, type Worker } from 'node:worker_threads';
import type { ArrayTaskQueue, Piscina, queueOptionsSymbol } from 'piscina';
import { now } from '../../../shared/clock.js';
import { invalidType } from '../../../shared/errors.js';
import { requirePackage } from '../../../shared/kernel/packages.js';
import { koffiBinary } from '../../../shared/kernel/syscalls.js';
import { errorOf, type PackedError, unpackError } from '../../../shared/service/error-transfer.js';
import * as L from '../../../shared/service/layout.js';
import type { ThreadTask } from '../../../worker/service/thread.js';
import { Life } from './thread-life.js';

/** How long a thread must have lived for its death not to count as one of a series. */
const SETTLED_MS = 5000;
const FIRST_DELAY_MS = 100;
const LONGEST_DELAY_MS = 5000;
/** How long an exit waits for threads that are loading. */
const LOADING_MS = 800;

/** How long the end waits for threads that load their handler: one that is ended in the middle leaves open what it reads. */
const STARTING_MS = 500;

export interface ThreadPoolOptions {
  readonly plan: L.Plan;
  readonly epfd: number;
  readonly wakeFd: number;
  readonly bell: number;
  readonly handler: string | undefined;
  readonly handlerData: unknown;
  readonly resourceLimits: ResourceLimits | undefined;
  /** A path. */
  readonly threadFile: string;
  /**
   * A thread is dead; what it had is to be taken over. Its port still holds what it has sent, and no other begins in its place
   * before `done` is called.
   */
  readonly onDeath: (index: number, error: Error, done: () => void) => void;
}

/** With whose it is: what the pool shows its queue and its balancer, and does not send. */
type StartTask = ThreadTask & { readonly [queueOptionsSymbol]: Life };

interface Thread {
  readonly words: Int32Array;
  /** The present one, or the last. */
  life: Life | undefined;
  /** Deaths in a row. */
  deaths: number;
  /** Until the next life. */
  timer: NodeJS.Timeout | undefined;
}

/** A worker of the pool's. */
interface Seat {
  readonly worker: Worker;
  /** Whose start task it has taken; it never takes another. */
  life: Life | undefined;
}

export class ThreadPool {
  readonly #options: ThreadPoolOptions;
  readonly #piscina: Piscina<StartTask, PackedError | undefined>;
  readonly #threads: Thread[];
  readonly #queue: ArrayTaskQueue;
  /** Under which piscina lets a task say what it is. */
  readonly #lifeOf: typeof queueOptionsSymbol;
  /** By thread id: those that have not ended. */
  readonly #seats = new Map<number, Seat>();
  /** Called whenever a life begins to run or is over. */
  #onChange: () => void = () => {};
  /** Until all have started: what a death means. */
  #onFailure: ((error: Error) => void) | undefined;
  #closing = false;
  #destroying = false;
  restarts = 0;

  constructor(options: ThreadPoolOptions) {
    this.#options = options;
    const { plan, resourceLimits, threadFile } = options;
    this.#threads = Array.from({ length: plan.threads }, (_, index) => ({
      words: L.threadOf(plan, index).words,
      life: undefined,
      deaths: 0,
      timer: undefined,
    }));
    const piscina = requirePackage('piscina');
    this.#queue = new piscina.ArrayTaskQueue();
    this.#lifeOf = piscina.queueOptionsSymbol;
    this.#piscina = new piscina.Piscina({
      filename: threadFile,
      minThreads: 0, // a dead worker is not replaced by the pool, but by the next start task
      maxThreads: plan.threads,
      idleTimeout: Number.POSITIVE_INFINITY,
      atomics: 'disabled',
      recordTiming: false,
      taskQueue: this.#queue,
      // One start task for each worker: a worker that waits on epoll looks idle to the pool.
      loadBalancer: (task, workers) => {
        this.#watch();
        const life = task[this.#lifeOf];
        return workers.find(({ id }) => this.#seat(id, life)) ?? null;
      },
      ...(resourceLimits && { resourceLimits }),
    });
    // Each worker's own events are listened to below.
    this.#piscina.on('error', () => {});
  }

  /** Starts all threads; rejects with the first that fails to, or dies before all have. */
  start(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#onFailure = reject;
      this.#onChange = () => {
        if (this.#threads.some(({ life }) => life?.state !== 'running')) return;
        this.#onFailure = undefined;
        resolve();
      };
      for (const index of this.#threads.keys()) this.#begin(index);
    });
  }

  portOf(index: number): MessagePort | undefined {
    return this.#threads[index]?.life?.port;
  }

  /** Whether no thread is in its loop. */
  get ended(): boolean {
    return this.#threads.every(({ life, words }) => !isThere(life) || Atomics.load(words, L.PHASE) !== L.PHASE_WAITING);
  }

  // ---- a life, from its beginning to its end ------------------------------------------------------------

  #begin(index: number): void {
    const thread = this.#threads[index];
    if (thread === undefined) return;
    const { plan, epfd, wakeFd, bell, handler, handlerData } = this.#options;
    const { port1, port2 } = new MessageChannel();
    port1.unref();
    thread.life?.port.close();
    const life = new Life(index, port1);
    thread.life = life;
    Atomics.store(thread.words, L.THREAD_ID, 0);
    Atomics.store(thread.words, L.PHASE, L.PHASE_NEW);
    const from = { plan, index, epfd, wakeFd, bell, port: port2, koffi: koffiBinary(), handler, handlerData };
    const task: StartTask = { ...from, [this.#lifeOf]: life };
    try {
      this.#piscina.run(task, { transferList: [port2] }).then(
        failure => this.#answered(life, failure),
        error => this.#failed(life, errorOf(error)),
      );
    } catch (error) {
      // No worker could be made: there is no thread to be had, say.
      this.#over(life, errorOf(error));
    }
    this.#watch();
  }

  /** Gives the life's start task to the worker of this thread id, if that is free. */
  #seat(id: number, life: object | null): boolean {
    const seat = this.#seats.get(id);
    if (seat === undefined || seat.life !== undefined || !(life instanceof Life)) return false;
    seat.life = life;
    life.worker = seat.worker;
    life.state = 'starting';
    return true;
  }

  #answered(life: Life, failure: PackedError | undefined): void {
    const words = this.#threads[life.index]?.words;
    const phase = words === undefined ? L.PHASE_NEW : Atomics.load(words, L.PHASE);
    // What the threads' module answers, it answers when it has loaded: another module was given, and nobody waits.
    if (phase === L.PHASE_NEW || phase === L.PHASE_FORBIDDEN) {
      this.#failed(life, invalidType('threadFile', "'epoll-pool/thread', or a bundle of it", this.#options.threadFile));
    } else if (failure === undefined) this.#running(life);
    else this.#failed(life, unpackError(failure));
  }

  #running(life: Life): void {
    if (life.state !== 'starting') return;
    life.state = 'running';
    this.#onChange();
  }

  /** It has not started; once its worker has ended, it is over. */
  #failed(life: Life, reason: Error): void {
    if (life.state === 'over') return;
    life.reason ??= reason;
    if (life.worker === undefined) {
      this.#over(life, reason); // the pool is being destroyed
      return;
    }
    life.state = 'failed';
    life.worker.terminate();
  }

  /** Listens to workers that are new. */
  #watch(): void {
    for (const worker of this.#piscina.threads) {
      const id = worker.threadId;
      if (this.#seats.has(id)) continue;
      const seat: Seat = { worker, life: undefined };
      this.#seats.set(id, seat);
      let thrown: Error | undefined;
      worker.on('error', (error: unknown) => {
        thrown = errorOf(error);
      });
      worker.on('exit', code => {
        this.#seats.delete(id);
        const { life } = seat;
        const reason = life?.reason ?? thrown ?? deathOf(id, code);
        if (life === undefined) this.#missing(reason);
        else this.#over(life, reason);
      });
    }
  }

  /** A worker has ended before it took a task: there may be one too many. */
  #missing(reason: Error): void {
    const queued = this.#threads.flatMap(({ life }) => (life?.state === 'queued' ? [life] : []));
    const free = [...this.#seats.values()].filter(({ life }) => life === undefined);
    const [first] = queued;
    if (first !== undefined && free.length < queued.length) this.#over(first, reason);
  }

  /** The end of a life, for whatever reason: the only place where a death is seen to. */
  #over(life: Life, reason: Error): void {
    const thread = this.#threads[life.index];
    if (thread === undefined || life.state === 'over') return;
    const hadStarted = life.state === 'running';
    life.state = 'over';
    // Its task is not for whoever comes next.
    const left = this.#queue.tasks.find(task => task[this.#lifeOf] === life);
    if (left !== undefined) this.#queue.remove(left);
    const phase = Atomics.load(thread.words, L.PHASE);
    const lived = now() - life.startedAt;
    const replace = (): void => this.#replace(thread, life.index, lived);
    try {
      if (this.#onFailure !== undefined) this.#onFailure(reason);
      else if (this.#isDeath(phase, hadStarted)) this.#options.onDeath(life.index, reason, replace);
      else replace();
    } finally {
      this.#onChange();
    }
  }

  /** Whether a life that is over has left something behind, or its end is news. */
  #isDeath(phase: number, hadStarted: boolean): boolean {
    if (this.#destroying || phase === L.PHASE_ENDED) return false;
    // While the service ends, no thread is expected to start; but one that was in its loop may have been in a handler.
    return !this.#closing || hadStarted || phase === L.PHASE_WAITING;
  }

  #replace(thread: Thread, index: number, lived: number): void {
    if (this.#closing) return;
    if (lived > SETTLED_MS) thread.deaths = 0;
    const delay = thread.deaths === 0 ? 0 : Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** (thread.deaths - 1));
    thread.deaths++;
    thread.timer = setTimeout(() => {
      if (this.#closing) return;
      this.restarts++;
      this.#begin(index);
    }, delay);
  }

  // ---- the end of all -------------------------------------------------------------------------------------

  /** The owner is about to exit: no thread may be loading when Node ends it. Blocks, bounded. */
  settle(): void {
    const until = now() + LOADING_MS;
    for (const { words, life } of this.#threads) {
      if (!isThere(life)) continue;
      Atomics.compareExchange(words, L.PHASE, L.PHASE_NEW, L.PHASE_FORBIDDEN);
      const left = until - now();
      if (left > 0) Atomics.wait(words, L.PHASE, L.PHASE_LOADING, left);
    }
  }

  /** No thread is replaced any more. */
  stop(): void {
    this.#closing = true;
    for (const { timer } of this.#threads) clearTimeout(timer);
  }

  /** Whatever is being started has started or failed, or takes too long. */
  #settled(): Promise<void> {
    return new Promise(resolve => {
      const timer = setTimeout(resolve, STARTING_MS);
      this.#onChange = () => {
        if (this.#threads.some(({ life }) => life?.isUnsettled)) return;
        clearTimeout(timer);
        resolve();
      };
      this.#onChange();
    });
  }

  /** Ends all threads, wherever they are, except inside a system call; then `last` can take what they have sent. */
  async destroy(last: () => Promise<void>): Promise<void> {
    this.stop();
    this.#destroying = true;
    this.settle();
    await this.#settled();
    await this.#piscina.destroy();
    await last();
    for (const { life } of this.#threads) life?.port.close();
  }
}

function isThere(life: Life | undefined): boolean {
  return life !== undefined && life.state !== 'over';
}

/** What is known of a thread that ended without an error. */
function deathOf(id: number, code: number): Error {
  return Object.assign(new Error(`thread ${id} ended with exit code ${code}`), { code: 'ERR_WORKER_EXITED' });
}
