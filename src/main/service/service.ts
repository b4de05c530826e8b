/** WaitService: one epoll instance, waited on by a pool of threads at the same time. */

import { clearInterval, clearTimeout, setInterval, setTimeout } from 'node:timers';
import type { EventInit, FdLike, Target } from '../../shared/arguments.js';
import * as args from '../../shared/arguments.js';
import { LONGEST_TIMER } from '../../shared/clock.js';
import { EPOLLEXCLUSIVE } from '../../shared/epoll/flags.js';
import { EBADF, EpollError, invalidState, outOfRange } from '../../shared/errors.js';
import { requirePackage } from '../../shared/kernel/packages.js';
import { requireLinux } from '../../shared/kernel/syscalls.js';
import { refuseOnBun } from '../../shared/runtime.js';
import { TypedEmitter } from '../typed-emitter.js';
import { Core } from './core.js';
import type { Direct } from './direct.js';
import type { Sink } from './inbox/intake.js';
import { EventIteration } from './inbox/iteration.js';
import type { Registration, ServiceEvent, WaitServiceEvents } from './inbox/service-event.js';
import { type CheckedOptions, checkServiceOptions, type WaitServiceOptions } from './options.js';
import { controlError, NO_ROOM } from './registry/registry.js';
import { full } from './registry/requests.js';
import { readStats, type WaitServiceStats } from './stats.js';

/** The constructor's argument: start() alone can make one, so nobody else can call the constructor. */
class Starting {
  constructor(
    readonly options: CheckedOptions,
    readonly open: (sink: Sink) => Core,
  ) {}
}

const data = new Uint32Array(2);

const deathListeners = new WeakMap<WaitService, (index: number) => void>();

/** Calls `listener` when a thread has died, before its successor begins and before the 'error'. @internal */
export function onThreadDeath(service: WaitService, listener: (index: number) => void): void {
  deathListeners.set(service, listener);
}

const directs = new WeakMap<WaitService, Direct>();

/** Its registrations, for a part of the package; not once it is closed. @internal */
export function directOf(service: WaitService): Direct {
  const direct = directs.get(service);
  if (direct === undefined) throw invalidState('not a service');
  return direct;
}

/**
 * One epoll instance, waited on by a pool of threads at the same time. Only the thread that started the service calls
 * epoll_ctl, one call at a time, in the order asked.
 *
 * Whatever the flags, one registration is never handled by two threads at once, and no readiness is lost:
 *   (none)        level: runs while ready; runs again after it returns if it is still ready
 *   EPOLLET       edge: runs once per edge; edges that come during a run cost one more run
 *   EPOLLONESHOT  runs once, then rests until modify()
 *
 * A registration rests (runs no more until modify()) after its handler threw, or when the thread died in its run; each
 * emits one 'error'. EPOLLEXCLUSIVE is for several instances, so the service refuses it (ERR_OUT_OF_RANGE).
 * Without a handler, events wait until somebody listens, and then the main thread takes what is ready itself for as long
 * as it is awake, in place of the threads; one consumer at a time: iterating beside an 'event' listener or
 * another iteration throws with code ERR_INVALID_STATE. What an 'event' listener throws is an uncaught exception.
 *
 * Emits: 'event' (ServiceEvent; without a handler), 'message' (value, from ready.post), 'error' (Error, ServiceEvent?).
 */
export class WaitService
  extends TypedEmitter<WaitServiceEvents>
  implements AsyncDisposable, AsyncIterable<ServiceEvent>
{
  readonly #core: Core;
  readonly #capacity: number;
  readonly #hasHandler: boolean;
  #iteration: EventIteration | undefined;
  #closing: Promise<void> | undefined;
  /** Ends the threads whose handlers still run. */
  #expire: () => void = () => {};

  private constructor(starting: Starting) {
    super();
    if (!(starting instanceof Starting)) throw invalidState('a WaitService is made by WaitService.start()');
    const { options, open } = starting;
    this.#capacity = options.capacity;
    this.#hasHandler = options.handler !== undefined;
    const isWanted = (): boolean => !this.closed && this.listenerCount('event') > 0;
    this.#core = open({
      get wantsEvents() {
        return isWanted();
      },
      event: event => this.emit('event', event),
      pullable: () => this.#iteration?.serve(),
      holds: (slot, generation) => this.#iteration?.holds(slot, generation) ?? false,
      died: index => deathListeners.get(this)?.(index),
      message: value => this.emit('message', value),
      error: (error, event) => (event === undefined ? this.emit('error', error) : this.emit('error', error, event)),
    });
    directs.set(this, this.#core.direct);
  }

  /**
   * Resolves once every thread waits and the handler is loaded.
   *
   * @throws (rejects) what loading the handler, or its setup, threw; TypeError, RangeError for options; EpollError EMFILE …;
   *   Error ERR_FEATURE_UNAVAILABLE_ON_PLATFORM
   */
  static async start(options: WaitServiceOptions = {}): Promise<WaitService> {
    const checked = checkServiceOptions(options);
    requireLinux();
    refuseOnBun('WaitService, and load() which stands on it, need Node; Epoll and wait() work, in Workers too');
    // Loaded when needed: whoever uses only the primitive does not load it. Here, while nothing is open that a failure would leave.
    requirePackage('piscina');
    const service = new WaitService(new Starting(checked, sink => new Core(checked, sink)));
    const alive = setInterval(() => {}, LONGEST_TIMER);
    try {
      await service.#core.pool.start();
      return service;
    } catch (error) {
      await service.#core.destroy();
      throw error;
    } finally {
      clearInterval(alive);
    }
  }

  get threads(): number {
    return this.#core.intake.links.length;
  }

  get closed(): boolean {
    return this.#closing !== undefined;
  }

  /**
   * Watches `fd` for the mask; `data` comes back with every event, it defaults to the fd.
   *
   * @throws (rejects) the kernel's EpollError: EEXIST, EBADF, EPERM for a regular file, ENOSPC …; TypeError, RangeError for
   *   arguments; RangeError ERR_OUT_OF_RANGE for one registration more than `capacity`
   */
  register(fd: FdLike, event: EventInit): Promise<Registration> {
    const { registry } = this.#core;
    return this.#control(
      () => ({ fd: args.descriptor(fd), id: undefined }),
      event,
      (target, events, low, high) => registry.add(target.fd, events, low, high),
      target => ({ fd: target.fd, id: registry.table.idOf(registry.added) }),
    );
  }

  /**
   * Replaces mask and data both, ends its rest, and looks at the fd anew. Where the target has an `id`, only that registration
   * is meant: ENOENT once it has ended.
   *
   * @throws (rejects) as `register`; ENOENT
   */
  modify(fd: FdLike, event: EventInit): Promise<void> {
    const { registry } = this.#core;
    return this.#control(
      () => args.target(fd),
      event,
      (target, events, low, high) => registry.modify(target.fd, target.id, events, low, high),
      () => undefined,
    );
  }

  #control<T>(
    read: () => Target,
    event: EventInit,
    call: (target: Target, events: number, low: number, high: number) => number,
    result: (target: Target) => T,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      const target = read();
      const events = args.eventInit(event, target.fd, data);
      if (events & EPOLLEXCLUSIVE) throw outOfRange('event.events', 'without EPOLLEXCLUSIVE in a service', events);
      const [low = 0, high = 0] = data;
      this.#submit(target.fd, () => {
        const code = this.closed ? -EBADF : call(target, events, low, high);
        if (code === 0) resolve(result(target));
        else reject(code === NO_ROOM ? full(this.#capacity) : controlError(code, target.fd));
      });
    });
  }

  /**
   * Once it resolves, no handler runs for this registration, and none will: the fd can be closed. Where the target has an
   * `id`, only that registration is meant.
   *
   * @throws (rejects) EpollError ENOENT, EBADF; TypeError, RangeError for the argument
   */
  unregister(fd: FdLike): Promise<void> {
    return new Promise((resolve, reject) => {
      const target = args.target(fd);
      this.#submit(target.fd, () => {
        const code = this.closed ? -EBADF : this.#core.registry.remove(target.fd, target.id, false, resolve);
        if (code < 0) reject(controlError(code, target.fd));
      });
    });
  }

  /**
   * One more run (or event), soon, whether it is ready or not; `events` is 0 if it is not. Several before it are one; a
   * registration that rests stays so; for a oneshot it counts as its run.
   *
   * @throws EpollError ENOENT for what is not registered (any more), EBADF after close(); TypeError, RangeError
   */
  wake(fd: FdLike): void {
    const target = args.target(fd);
    if (this.closed) throw new EpollError(EBADF, 'epoll_ctl', target.fd);
    this.#core.intake.catchUp();
    const code = this.#core.registry.wake(target.fd, target.id);
    if (code < 0) throw controlError(code, target.fd);
    if (!this.#hasHandler) this.#core.intake.drainSoon();
  }

  #submit(fd: number, call: () => void): void {
    if (this.closed) throw new EpollError(EBADF, 'epoll_ctl', fd);
    // What handlers have asked by now comes first.
    this.#core.intake.catchUp();
    this.#core.registry.submit(fd, call);
  }

  stats(): WaitServiceStats {
    const { registry, pool, intake } = this.#core;
    return {
      registrations: registry.table.size,
      controlCalls: registry.controlCalls,
      restarts: pool.restarts,
      threads: intake.links.map(({ memory }, index) => readStats(memory, intake.countsOf(index))),
    };
  }

  /** The service keeps the process alive; it does by default. */
  ref(): this {
    if (!this.closed) this.#core.resources.doorbell.ref();
    return this;
  }

  /** The service does not keep the process alive. */
  unref(): this {
    if (!this.closed) this.#core.resources.doorbell.unref();
    return this;
  }

  /**
   * Starts no further handler, lets running ones end, joins the threads, closes the epoll fd. Idempotent. With a
   * `timeout` (milliseconds) it ends the threads of handlers that still run by then; without, it waits for them.
   */
  close(options: { timeout?: number | undefined } = {}): Promise<void> {
    return new Promise((resolve, reject) => {
      args.options(options);
      const given: unknown = options.timeout;
      const timeout = given === undefined ? -1 : args.timeout(given, 'options.timeout');
      this.#closing ??= this.#close();
      this.#closing.then(resolve, reject);
      if (timeout >= 0) {
        const timer = setTimeout(() => this.#expire(), Math.min(timeout, LONGEST_TIMER));
        this.#closing.finally(() => clearTimeout(timer)).catch(() => {});
      }
    });
  }

  async #close(): Promise<void> {
    this.#iteration?.end();
    // What is awaited here is settled by threads, which do not hold the process.
    const alive = setInterval(() => {}, LONGEST_TIMER);
    try {
      await this.#core.stop(
        new Promise(resolve => {
          this.#expire = resolve;
        }),
      );
      await this.#core.destroy();
    } finally {
      clearInterval(alive);
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /**
   * Without a handler: a registration rests from the moment its event is yielded until the next is asked for.
   *
   * @throws Error ERR_INVALID_STATE beside an 'event' listener or another iteration, or with a handler
   */
  [Symbol.asyncIterator](): AsyncIterableIterator<ServiceEvent> {
    if (this.#hasHandler) throw invalidState('events go to the handler: there is nothing to iterate');
    if (this.#iteration !== undefined) throw invalidState('another iteration has the events');
    if (this.listenerCount('event') > 0) throw invalidState("an 'event' listener has the events");
    const iteration = new EventIteration(this.#core.intake, () => {
      this.#iteration = undefined;
    });
    this.#iteration = iteration;
    if (this.closed) iteration.end();
    return iteration;
  }

  // An 'event' listener is a consumer; once() and prependOnceListener() come through these.
  override on<K extends keyof WaitServiceEvents>(name: K, listener: (...args: WaitServiceEvents[K]) => void): this {
    this.#beforeListener(name);
    return super.on(name, listener);
  }

  override addListener<K extends keyof WaitServiceEvents>(
    name: K,
    listener: (...args: WaitServiceEvents[K]) => void,
  ): this {
    this.#beforeListener(name);
    return super.addListener(name, listener);
  }

  override prependListener<K extends keyof WaitServiceEvents>(
    name: K,
    listener: (...args: WaitServiceEvents[K]) => void,
  ): this {
    this.#beforeListener(name);
    return super.prependListener(name, listener);
  }

  #beforeListener(name: keyof WaitServiceEvents): void {
    if (name !== 'event') return;
    if (this.#iteration !== undefined) throw invalidState('an iteration has the events');
    if (!this.closed) this.#core.intake.drainSoon();
  }
}
