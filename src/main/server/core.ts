/**
 * A server at work: its service and its connections, how it starts, and how it ends. What users see of it is in server.ts; how a
 * connection comes and goes, in connections.ts; what is sent from this thread, in outgoing.ts.
 */

import type { AddressInfo } from 'node:net';
import { clearInterval, clearTimeout, setInterval, setTimeout } from 'node:timers';
import { LONGEST_TIMER } from '../../shared/clock.js';
import { EEXIST, EpollError, invalidState, outOfRange } from '../../shared/errors.js';
import { Arena, BLOCK_BYTES } from '../../shared/server/arena.js';
import * as L from '../../shared/server/layout.js';
import { SERVER_HANDLER } from '../../shared/service/own-handlers.js';
import { TlsContext } from '../../shared/tls/context.js';
import type { ServerTask } from '../../worker/server/thread-setup.js';
import { Doorbell } from '../service/doorbell.js';
import type { ServiceEvent } from '../service/inbox/service-event.js';
import { onThreadDeath, WaitService } from '../service/service.js';
import { Accepting } from './accepting.js';
import { Book } from './book.js';
import { Clock } from './clock.js';
import { Closings } from './closings.js';
import { Connections } from './connections.js';
import type { ServerStats } from './events.js';
import { Listener } from './listener.js';
import type { CheckedServerOptions, ServerTlsOptions } from './options.js';
import { Outgoing } from './outgoing.js';
import { Recovery } from './recovery.js';
import { isPost, type ServerSink, Telling } from './telling.js';

/** How long threads that live have for what close() destroys after its timeout. */
const LAST_MS = 100;
const RETRY_MS = 5;

export class ServerCore {
  readonly outgoing: Outgoing;
  readonly #options: CheckedServerOptions;
  readonly #telling: Telling;
  readonly #memory: L.ServerMemory;
  readonly #arena: Arena;
  readonly #book: Book;
  readonly #doorbell: Doorbell;
  readonly #recovery: Recovery;
  readonly #closings: Closings;
  readonly #connections: Connections;
  readonly #clock: Clock;
  #context: TlsContext | undefined;
  #service: WaitService | undefined;
  #listener: Listener | undefined;
  #onEmpty: () => void = () => {};

  /** @throws what node:tls throws for the options; EpollError EMFILE … */
  constructor(options: CheckedServerOptions, sink: ServerSink) {
    this.#options = options;
    const telling = new Telling(sink);
    this.#telling = telling;
    const { plan, tls, idleTimeout, handshakeTimeout, maxOutput } = options;
    this.#context = tls && TlsContext.forServer(tls);
    this.#memory = L.memoryOf(plan);
    this.#arena = new Arena(plan.arena);
    this.#book = new Book(plan, this.#memory, this.#arena);
    this.#closings = new Closings(this.#memory.threads, (id, reason) => telling.closed(id, reason));
    this.#connections = new Connections({
      memory: this.#memory,
      book: this.#book,
      closings: this.#closings,
      tls: this.#context !== undefined,
      handshakeTimeout,
      telling,
      opened: () => this.#clock.start(),
      freed: () => this.#freed(),
      ended: () => this.#flushClosings(),
    });
    const wake = (slot: number): void => this.#connections.wake(slot);
    this.outgoing = new Outgoing(plan, this.#book, this.#connections, maxOutput);
    this.#clock = new Clock(this.#memory, this.#book, idleTimeout, tls === undefined ? 0 : handshakeTimeout, wake);
    try {
      this.#doorbell = new Doorbell(() => this.#connections.rung());
    } catch (error) {
      this.#context?.close();
      throw error;
    }
    this.#recovery = new Recovery({
      memory: this.#memory,
      arena: this.#arena,
      wake,
      done: slot => this.#connections.done(slot),
      later: call => setTimeout(call, RETRY_MS).unref(),
    });
  }

  /** Starts the threads, then listens. */
  async start(): Promise<void> {
    const { plan, module, handlerData, maxMessage, highWaterMark, maxOutput, idleTimeout, concurrency } = this.#options;
    const { threads, resourceLimits, threadFile, place } = this.#options;
    const task: ServerTask = {
      plan,
      module,
      handlerData,
      maxMessage,
      highWaterMark,
      maxOutput,
      idleTicks: this.#clock.ticks(idleTimeout),
      tls: this.#context !== undefined,
      concurrency,
      bell: this.#doorbell.bell,
    };
    const service = await WaitService.start({
      handler: new URL(SERVER_HANDLER),
      handlerData: task,
      threads,
      resourceLimits,
      threadFile,
      concurrency,
      capacity: plan.slots,
    });
    this.#service = service;
    this.#connections.serveBy(service);
    onThreadDeath(service, index => this.#died(index));
    service.on('message', value => this.#posted(value));
    service.on('error', (error, event) => this.#failed(error, event));
    if (place === undefined) return;
    const accepting = new Accepting(
      this.#connections,
      () => this.#isFull,
      () => this.#context,
    );
    this.#listener = await Listener.open(place, this.#options, accepting);
    this.#listener.ref();
  }

  get address(): AddressInfo | string | null {
    return this.#listener === undefined || this.#connections.isClosing ? null : this.#listener.address;
  }

  get connections(): number {
    return this.#connections.accepted - this.#closings.told;
  }

  /** An fd that is no connection of this server: to close one would take it from its own. @throws EpollError EEXIST */
  stranger(fd: number): number {
    if (this.#book.has(fd)) throw new EpollError(-EEXIST, 'epoll_ctl', fd);
    return fd;
  }

  /**
   * Whether a socket may be adopted.
   *
   * @param isRead whether there is something that was read from it already
   * @throws RangeError ERR_OUT_OF_RANGE, Error ERR_INVALID_STATE
   */
  admit(isRead: boolean): void {
    const { maxConnections } = this.#options;
    if (this.#connections.isClosing) throw invalidState('the server is closing');
    if (this.#isFull) {
      throw outOfRange('the number of connections', `at most maxConnections, ${maxConnections}`, maxConnections + 1);
    }
    if (isRead && this.#context !== undefined) {
      throw invalidState('with TLS, nothing may have been read from a socket that is adopted');
    }
  }

  /** One that was admitted. @throws (rejects) RangeError ERR_OUT_OF_RANGE, EpollError; the fd is closed then */
  async adopt(
    fd: number,
    address: Uint8Array,
    bytes: number,
    unread: Uint8Array | undefined,
  ): Promise<{ readonly id: number }> {
    const id = this.#connections.take(fd, address, bytes, unread, this.#context);
    this.#connections.register(id);
    if (this.#isFull) this.#listener?.pause();
    // Its 'connection' comes when the caller has had its turn.
    await undefined;
    this.#connections.greet(id);
    // Its socket may take nothing now, and the kernel say nothing of it.
    this.#connections.wake(L.slotOf(id));
    return { id };
  }

  /**
   * Whether there is no room for another. One whose end was told counts no more, though its slot may not be free yet: the run that
   * ended it goes on, or its handler's promise is pending. For those there are more slots than connections.
   */
  get #isFull(): boolean {
    return this.connections >= this.#options.maxConnections || this.#book.isFull;
  }

  #flushClosings(): void {
    this.#closings.flush(this.#connections.isOver);
    if (!this.#isFull) this.#listener?.resume();
    this.#checkEmpty();
  }

  #freed(): void {
    if (!this.#isFull) this.#listener?.resume();
    if (this.#book.size === 0) this.#clock.stop();
    this.#checkEmpty();
  }

  #checkEmpty(): void {
    if (this.#book.size === 0 && this.#closings.isEmpty) this.#onEmpty();
  }

  // ---- what the threads send -----------------------------------------------------------------------------

  #posted(value: unknown): void {
    if (!isPost(value)) return;
    this.#connections.mention(value.id);
    this.#closings.received(value.thread);
    this.#telling.posted(value);
    this.#flushClosings();
  }

  /** Its successor has not begun. All that it has posted has come. */
  #died(index: number): void {
    this.#recovery.recover(index, [...this.#book.slots()]);
    this.#closings.settle(index);
    this.#connections.lookAtAll();
    this.#flushClosings();
  }

  /** What a thread threw, or died of: in the run of `event`'s registration, which rests now. */
  #failed(error: Error, event: ServiceEvent | undefined): void {
    const id = event === undefined ? undefined : Number(event.data);
    if (id !== undefined) this.#connections.mention(id);
    this.#telling.failed(error, id);
    if (event !== undefined && id !== undefined) this.#connections.revive(id, event);
  }

  // ---- what users ask for --------------------------------------------------------------------------------

  /** @throws what node:tls throws for the options; ERR_INVALID_STATE without TLS, and once the server closes: its context is freed then */
  setSecureContext(tls: ServerTlsOptions): void {
    if (this.#context === undefined) throw invalidState('this server does without TLS');
    if (this.#connections.isClosing) throw invalidState('the server is closing');
    const context = TlsContext.forServer(tls, this.#context);
    this.#context.close();
    this.#context = context;
  }

  stats(): ServerStats {
    const service = this.#service;
    if (service === undefined) throw invalidState('the server has not started');
    this.#book.sweep();
    return {
      connections: this.connections,
      accepted: this.#connections.accepted,
      ...totalsOf(this.#memory),
      bytesKept: this.#arena.used * BLOCK_BYTES,
      closed: this.#closings.counts(),
      service: service.stats(),
    };
  }

  ref(): void {
    if (this.#connections.isOver) return;
    this.#service?.ref();
    this.#doorbell.ref();
    if (!this.#connections.isClosing) this.#listener?.ref();
  }

  unref(): void {
    if (this.#connections.isOver) return;
    this.#service?.unref();
    this.#doorbell.unref();
    this.#listener?.unref();
  }

  // ---- the end ---------------------------------------------------------------------------------------------

  /** @param expired resolves when what is left is to be destroyed */
  async close(expired: Promise<void>): Promise<void> {
    this.#connections.isClosing = true;
    const alive = setInterval(() => {}, LONGEST_TIMER);
    try {
      this.#listener?.close();
      Atomics.store(this.#memory.header, L.CLOSING, 1);
      this.#connections.wakeAll();
      const isLate = await this.#emptied(expired);
      if (isLate) await this.#destroyAll();
      await this.#service?.close(isLate ? { timeout: 0 } : {});
    } finally {
      clearInterval(alive);
      this.#finish();
    }
  }

  /** Waits until there is no connection. Whether `expired` came first. */
  async #emptied(expired: Promise<void>): Promise<boolean> {
    const empty = new Promise<boolean>(resolve => {
      this.#onEmpty = () => resolve(false);
    });
    this.#checkEmpty();
    return Promise.race([empty, expired.then(() => true)]);
  }

  /** What threads that live can end, they end. */
  async #destroyAll(): Promise<void> {
    this.#connections.destroyAll();
    let timer: NodeJS.Timeout | undefined;
    const last = new Promise<void>(resolve => {
      timer = setTimeout(resolve, LAST_MS);
    });
    await this.#emptied(last);
    clearTimeout(timer);
  }

  /** No thread runs any more. */
  #finish(): void {
    this.#clock.stop();
    this.#connections.finish();
    this.#flushClosings();
    this.#context?.close();
    this.#doorbell.close();
  }

  /** Nothing has begun: closes what was opened. */
  async abort(): Promise<void> {
    this.#connections.isClosing = true;
    this.#listener?.close();
    await this.#service?.close({ timeout: 0 });
    this.#finish();
  }
}

function totalsOf({ threads }: L.ServerMemory): Pick<ServerStats, 'messages' | 'bytesRead' | 'bytesWritten'> {
  const total = (field: number): number => threads.reduce((sum, { counts }) => sum + (counts[field] ?? 0), 0);
  return { messages: total(L.MESSAGES), bytesRead: total(L.BYTES_READ), bytesWritten: total(L.BYTES_WRITTEN) };
}
