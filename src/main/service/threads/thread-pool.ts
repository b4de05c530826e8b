/**
 * The threads: a piscina pool in which each worker runs one start task, and then waits in its loop until the service
 * ends. A thread that dies is replaced, at once for the first time and ever more slowly if it keeps dying.
 */
import { clearTimeout, setTimeout } from 'node:timers';
import { MessageChannel, type MessagePort, type ResourceLimits, type Worker } from 'node:worker_threads';
import { Piscina } from 'piscina';
import { koffiBinary } from '../../../shared/kernel/syscalls.js';
import { type PackedError, unpackError } from '../../../shared/service/error-transfer.js';
import * as L from '../../../shared/service/layout.js';
import type { ThreadTask } from '../../../worker/service/thread.js';
import { StartQueue } from './start-queue.js';

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
  /** A thread is dead; what it had is to be taken over. Its port still holds what it has sent. */
  readonly onDeath: (index: number, error: Error) => void;
}

interface Thread {
  readonly words: Int32Array;
  port: MessagePort | undefined;
  startedAt: number;
  /** Deaths in a row. */
  deaths: number;
  timer: NodeJS.Timeout | undefined;
  /** Whether its death was seen to, or it has not been started. */
  dead: boolean;
}

export class ThreadPool {
  readonly #options: ThreadPoolOptions;
  readonly #piscina: Piscina<ThreadTask, PackedError | undefined>;
  readonly #threads: Thread[];
  readonly #queue = new StartQueue();
  readonly #known = new WeakSet<Worker>();
  /** Workers that have a start task, by thread id. */
  readonly #taken = new Set<number>();
  readonly #errors = new Map<number, Error>();
  readonly #starting = new Set<Promise<void>>();
  #closing = false;
  #destroying = false;
  restarts = 0;

  constructor(options: ThreadPoolOptions) {
    this.#options = options;
    const { plan, resourceLimits } = options;
    this.#threads = Array.from({ length: plan.threads }, (_, index) => ({
      words: L.threadOf(plan, index).words,
      port: undefined,
      startedAt: 0,
      deaths: 0,
      timer: undefined,
      dead: true,
    }));
    this.#piscina = new Piscina({
      filename: new URL('../../../worker/service/thread.cjs', import.meta.url).href,
      minThreads: 0, // a dead worker is not replaced by the pool, but by the next start task
      maxThreads: plan.threads,
      idleTimeout: Number.POSITIVE_INFINITY,
      atomics: 'disabled',
      recordTiming: false,
      taskQueue: this.#queue,
      // One start task for each worker: a worker that waits on epoll looks idle to the pool.
      loadBalancer: (_task, workers) => {
        const free = workers.find(worker => !this.#taken.has(worker.id)) ?? null;
        if (free !== null) this.#taken.add(free.id);
        return free;
      },
      ...(resourceLimits && { resourceLimits }),
    });
    // Each worker's own events are listened to below.
    this.#piscina.on('error', () => {});
  }

  /** Starts all threads; rejects with the first failure, after every thread is past the point where it cannot be ended. */
  async start(): Promise<void> {
    const starts = this.#threads.map((_, index) => this.#start(index));
    await Promise.all(starts);
  }

  portOf(index: number): MessagePort | undefined {
    return this.#threads[index]?.port;
  }

  /** Whether no thread is in its loop. */
  get ended(): boolean {
    return this.#threads.every(({ dead, words }) => dead || Atomics.load(words, L.PHASE) !== L.PHASE_WAITING);
  }

  async #start(index: number): Promise<void> {
    const started = this.#begin(index);
    this.#starting.add(started);
    try {
      await started;
    } finally {
      this.#starting.delete(started);
    }
  }

  async #begin(index: number): Promise<void> {
    const thread = this.#threads[index];
    if (thread === undefined) return;
    const { plan, epfd, wakeFd, bell, handler, handlerData } = this.#options;
    const { port1, port2 } = new MessageChannel();
    port1.unref();
    thread.port?.close();
    thread.port = port1;
    thread.startedAt = performance.now();
    thread.dead = false;
    Atomics.store(thread.words, L.THREAD_ID, 0);
    Atomics.store(thread.words, L.PHASE, L.PHASE_NEW);
    const task: ThreadTask = { plan, index, epfd, wakeFd, bell, port: port2, koffi: koffiBinary(), handler, handlerData };
    const started = this.#queue.add(() => this.#piscina.run(task, { transferList: [port2] }));
    this.#watch();
    let failure: PackedError | undefined;
    try {
      failure = await started;
    } catch (error) {
      // The worker did not come up, or died in its start (or the task could not be cloned).
      const cause = this.#causeOf(thread) ?? (error instanceof Error ? error : new Error(String(error)));
      this.#forget(thread);
      throw cause;
    }
    if (failure !== undefined) {
      this.#end(thread);
      throw unpackError(failure);
    }
    this.#watch();
  }

  /** Listens to workers that are new. */
  #watch(): void {
    for (const worker of this.#piscina.threads) {
      if (this.#known.has(worker)) continue;
      this.#known.add(worker);
      const id = worker.threadId;
      worker.on('error', (error: unknown) => {
        this.#errors.set(id, error instanceof Error ? error : new Error(String(error)));
      });
      worker.on('exit', code => this.#exited(id, code));
    }
  }

  #exited(id: number, code: number): void {
    const hadTask = this.#taken.delete(id);
    const error = this.#errors.get(id) ?? deathOf(id, code);
    if (!hadTask) {
      this.#errors.delete(id);
      this.#queue.giveUpOne(error);
      return;
    }
    const index = this.#threads.findIndex(({ words }) => Atomics.load(words, L.THREAD_ID) === id);
    const thread = this.#threads[index];
    if (thread === undefined || thread.dead) return;
    // While its start task runs, the task's rejection tells; this keeps the reason for it.
    this.#errors.set(id, error);
    const phase = Atomics.load(thread.words, L.PHASE);
    if (phase !== L.PHASE_WAITING && phase !== L.PHASE_ENDED) return;
    this.#errors.delete(id);
    thread.dead = true;
    if (phase === L.PHASE_ENDED || this.#destroying) return;
    try {
      this.#options.onDeath(index, error);
    } finally {
      this.#replace(index);
    }
  }

  #causeOf(thread: Thread): Error | undefined {
    return this.#errors.get(Atomics.load(thread.words, L.THREAD_ID));
  }

  #forget(thread: Thread): void {
    this.#errors.delete(Atomics.load(thread.words, L.THREAD_ID));
    thread.dead = true;
  }

  /** The thread lives, but its handler did not load: its worker goes, so that the next start has a fresh one. */
  #end(thread: Thread): void {
    const id = Atomics.load(thread.words, L.THREAD_ID);
    thread.dead = true;
    const worker = this.#piscina.threads.find(({ threadId }) => threadId === id);
    worker?.terminate();
  }

  #replace(index: number): void {
    const thread = this.#threads[index];
    if (thread === undefined || this.#closing) return;
    if (performance.now() - thread.startedAt > SETTLED_MS) thread.deaths = 0;
    const delay = thread.deaths === 0 ? 0 : Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** (thread.deaths - 1));
    thread.deaths++;
    thread.timer = setTimeout(() => this.#restart(index), delay);
  }

  #restart(index: number): void {
    if (this.#closing) return;
    this.restarts++;
    this.#start(index).catch(error => {
      if (this.#closing) return;
      this.#options.onDeath(index, error);
      this.#replace(index);
    });
  }

  /** The owner is about to exit: no thread may be loading when Node ends it. Blocks, bounded. */
  settle(): void {
    const until = performance.now() + LOADING_MS;
    for (const { words, dead } of this.#threads) {
      if (dead) continue;
      Atomics.compareExchange(words, L.PHASE, L.PHASE_NEW, L.PHASE_FORBIDDEN);
      const left = until - performance.now();
      if (left > 0) Atomics.wait(words, L.PHASE, L.PHASE_LOADING, left);
    }
  }

  /** No thread is replaced any more. */
  stop(): void {
    this.#closing = true;
    for (const { timer } of this.#threads) clearTimeout(timer);
  }

  /** Whatever is being started has started or failed, or takes too long. */
  async #started(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise(resolve => {
      timer = setTimeout(resolve, STARTING_MS);
    });
    await Promise.race([Promise.allSettled(this.#starting), late]);
    clearTimeout(timer);
  }

  /** Ends all threads, wherever they are, except inside a system call; then `last` can take what they have sent. */
  async destroy(last: () => void): Promise<void> {
    this.stop();
    this.#destroying = true;
    this.settle();
    await this.#started();
    await this.#piscina.destroy();
    last();
    for (const { port } of this.#threads) port?.close();
  }
}

/** What is known of a thread that ended without an error. */
function deathOf(id: number, code: number): Error {
  return Object.assign(new Error(`thread ${id} ended with exit code ${code}`), { code: 'ERR_WORKER_EXITED' });
}
