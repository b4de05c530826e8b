/**
 * What a service is made of, and how it runs: starts, sees to dead threads, and ends. What users see of it is in
 * service.ts, what the threads send goes through intake.ts.
 */
import { setImmediate } from 'node:timers';
import { EpollError } from '../../shared/errors.js';
import { knowsRegisteredFiles } from '../../shared/kernel/syscalls.js';
import { Files } from '../../shared/service/files.js';
import * as L from '../../shared/service/layout.js';
import { Waking } from '../../shared/service/waking.js';
import { Direct } from './direct.js';
import { addExitHook, removeExitHook } from './exit-hook.js';
import { Intake, type Sink } from './inbox/intake.js';
import type { CheckedOptions } from './options.js';
import { Registry } from './registry/registry.js';
import { Resources } from './resources.js';
import { recover } from './threads/recovery.js';
import { ThreadPool } from './threads/thread-pool.js';

export class Core {
  readonly registry: Registry;
  readonly intake: Intake;
  readonly resources: Resources;
  readonly pool: ThreadPool;
  readonly direct: Direct;
  readonly #waking: Waking;
  readonly #header: Int32Array;
  readonly #hasHandler: boolean;
  readonly #exit = (): void => this.#atExit();
  #onEnded: (() => void) | undefined;

  /** @throws EpollError, with nothing left open */
  constructor(options: CheckedOptions, sink: Sink) {
    const { plan, capacity, handler, handlerData, resourceLimits, threadFile } = options;
    this.#header = L.headerOf(plan);
    this.#hasHandler = handler !== undefined;
    this.resources = new Resources(() => this.#rung());
    const { epfd, exitFd, wakeFd, doorbell } = this.resources;
    const files = new Files(plan, epfd, 1);
    this.#waking = new Waking(plan, wakeFd);
    const waking = this.#waking;
    this.registry = new Registry({ plan, capacity, epfd, exitFd, wakeFd, files, waking });
    this.direct = new Direct(this.registry, waking, capacity);
    this.intake = new Intake({
      plan,
      capacity,
      registry: this.registry,
      files,
      waking,
      sink,
      epfd: this.#hasHandler ? undefined : epfd,
      portOf: index => this.pool.portOf(index),
      again: () => this.#ring(),
      afterTurn: call => this.#afterTurn(call),
    });
    const code = this.registry.addOwn();
    if (code < 0) {
      this.resources.close();
      throw new EpollError(code, 'epoll_ctl', exitFd);
    }
    this.#header[L.KCMP] = knowsRegisteredFiles(epfd, exitFd) ? 1 : 0;
    this.pool = new ThreadPool({
      plan,
      epfd,
      wakeFd,
      bell: doorbell.bell,
      handler,
      handlerData,
      resourceLimits,
      threadFile,
      onDeath: (index, error, done) => this.#died(index, error, done),
    });
    addExitHook(this.#exit);
  }

  /** Node is about to end the threads: none may be in epoll_wait, or inside koffi's loading. */
  #atExit(): void {
    this.#halt();
    this.pool.settle();
  }

  #halt(): void {
    Atomics.store(this.#header, L.STOP, 1);
    this.resources.wakeAll();
    Atomics.notify(this.#header, L.POSTS);
    // After STOP, which keeps it 0 from now on: a thread that is about to sleep on it finds out.
    Atomics.store(this.#header, L.AWAKE, 0);
    Atomics.notify(this.#header, L.AWAKE);
    for (const { ring } of this.intake.links) ring.wakeWriter();
  }

  /** A thread has rung. */
  #rung(): void {
    // Before the rings are looked at: what is put in after that look rings again.
    Atomics.store(this.#header, L.DOORBELL, 0);
    try {
      this.intake.drain();
    } finally {
      this.#checkEnded();
    }
  }

  /** As a thread rings. */
  #ring(): void {
    if (Atomics.exchange(this.#header, L.DOORBELL, 1) === 0) this.resources.doorbell.ring();
  }

  #afterTurn(call: () => void): void {
    const turn = setImmediate(call);
    if (this.resources.doorbell.isRef) return;
    turn.unref();
    // Alone, it would wait for the loop to have something else to do.
    this.#ring();
  }

  /** A thread is dead: what it has sent counts, what it had goes on elsewhere, at once; listeners are told in their turn. */
  #died(index: number, error: Error, done: () => void): void {
    const memory = this.intake.links[index]?.memory;
    if (memory === undefined) return;
    // What it had asked for, and what others had by now.
    this.intake.catchUp();
    const all = this.intake.links.map(link => link.memory);
    const interrupted = recover(this.registry, this.#waking, memory, index + 1, all, (slot, generation) =>
      this.intake.isOnItsWay(slot, generation),
    );
    this.intake.died(index, error, interrupted, done);
    // It may have died before it rang for what it had put in its ring, or with its hand on the bell: nobody else would ring.
    Atomics.store(this.#header, L.DOORBELL, 0);
    if (this.#onEnded === undefined || !this.pool.ended) this.intake.drainSoon();
    this.#checkEnded();
  }

  // ---- the end --------------------------------------------------------------------------------------------

  #checkEnded(): void {
    if (this.#onEnded !== undefined && this.pool.ended) this.#onEnded();
  }

  /** No handler starts any more. Resolves when none runs, or `expired` does. */
  async stop(expired: Promise<void>): Promise<void> {
    this.pool.stop();
    this.#halt();
    const ended = new Promise<void>(resolve => {
      this.#onEnded = resolve;
    });
    this.#checkEnded();
    await Promise.race([ended, expired]);
  }

  /** Joins the threads, takes what they have left, and closes everything. */
  async destroy(): Promise<void> {
    this.#halt();
    // Not before they are dead: as long as one sends on, there is no end of it.
    await this.pool.destroy(() => this.intake.drainQuietly());
    this.registry.releaseAll();
    removeExitHook(this.#exit);
    this.resources.close();
  }
}
