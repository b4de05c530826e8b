/**
 * A server at work: its service, its connections as the main thread knows them, its clock, and its end. What users see of it is in
 * server.ts.
 *
 * Threads report by the bell: a handshake that is done, a connection that has ended, one whose close() was called. Only the last lets
 * its slot and its fd be used again, once the service has unregistered it: until then no other connection has either.
 */

import type { AddressInfo } from 'node:net';
import { clearInterval, clearTimeout, setInterval, setTimeout } from 'node:timers';
import { LONGEST_TIMER } from '../../shared/clock.js';
import { EPOLLET, EPOLLIN, EPOLLOUT, EPOLLRDHUP } from '../../shared/epoll/flags.js';
import { EpollError, invalidState, outOfRange } from '../../shared/errors.js';
import { decode } from '../../shared/kernel/sockaddr.js';
import { shutdown } from '../../shared/kernel/sockets.js';
import { close } from '../../shared/kernel/syscalls.js';
import { Arena, BLOCK_BYTES } from '../../shared/server/arena.js';
import * as L from '../../shared/server/layout.js';
import * as lock from '../../shared/server/lock.js';
import * as mailbox from '../../shared/server/mailbox.js';
import { type CloseReason, codeOfReason, reasonOf } from '../../shared/server/reasons.js';
import { type PackedError, unpackError } from '../../shared/service/error-transfer.js';
import { SERVER_HANDLER } from '../../shared/service/own-handlers.js';
import { releaseContext, TlsContext } from '../../shared/tls/context.js';
import { freeSession } from '../../shared/tls/session.js';
import type { Post, ServerTask } from '../../worker/server/thread-setup.js';
import { Doorbell } from '../service/doorbell.js';
import type { Registration, ServiceEvent } from '../service/inbox/service-event.js';
import { onThreadDeath, WaitService } from '../service/service.js';
import { throwLater } from '../service/uncaught.js';
import { ANNOUNCED, Book, CLOSED, REGISTERED } from './book.js';
import { Clock } from './clock.js';
import { Closings } from './closings.js';
import type { Peer, ServerStats } from './events.js';
import { Listener } from './listener.js';
import type { CheckedServerOptions, ServerTlsOptions } from './options.js';
import { Recovery } from './recovery.js';

const INTEREST = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
const BOTH = 2;
/** How long threads that live have for what close() destroys after its timeout. */
const LAST_MS = 100;
const RETRY_MS = 5;

/** Where events go. */
export interface ServerSink {
  readonly wantsPeers: boolean;
  connection(peer: Peer): void;
  close(id: number, reason: CloseReason): void;
  message(value: unknown, id: number): void;
  error(error: Error, id: number | undefined): void;
}

export class ServerCore {
  readonly #options: CheckedServerOptions;
  readonly #sink: ServerSink;
  readonly #memory: L.ServerMemory;
  readonly #arena: Arena;
  readonly #book: Book;
  readonly #doorbell: Doorbell;
  readonly #recovery: Recovery;
  readonly #closings: Closings;
  readonly #clock: Clock;
  #context: TlsContext | undefined;
  #service: WaitService | undefined;
  #listener: Listener | undefined;
  #accepted = 0;
  #isClosing = false;
  #isOver = false;
  #onEmpty: () => void = () => {};
  #lastDeath: Error | undefined;

  /** @throws what node:tls throws for the options; EpollError EMFILE … */
  constructor(options: CheckedServerOptions, sink: ServerSink) {
    this.#options = options;
    this.#sink = sink;
    const { plan, tls, idleTimeout, handshakeTimeout } = options;
    this.#context = tls && TlsContext.forServer(tls);
    this.#memory = L.memoryOf(plan);
    this.#arena = new Arena(plan.arena);
    this.#book = new Book(plan, this.#memory, this.#arena);
    this.#closings = new Closings(this.#memory.threads, (id, reason) => this.#emit(() => sink.close(id, reason)));
    const shake = tls === undefined ? 0 : handshakeTimeout;
    this.#clock = new Clock(this.#memory, this.#book, idleTimeout, shake, slot => this.#wake(slot));
    try {
      this.#doorbell = new Doorbell(() => this.#rung());
    } catch (error) {
      this.#context?.close();
      throw error;
    }
    this.#recovery = new Recovery({
      memory: this.#memory,
      arena: this.#arena,
      wake: slot => this.#wake(slot),
      done: slot => this.#report(slot, L.REPORT_ENDED | L.REPORT_DONE),
      later: call => setTimeout(call, RETRY_MS).unref(),
    });
  }

  /** Starts the threads, then listens. */
  async start(): Promise<void> {
    const { plan, module, handlerData, maxMessage, highWaterMark, maxOutput, idleTimeout, concurrency } = this.#options;
    const { threads, resourceLimits, threadFile, maxConnections, place } = this.#options;
    const task: ServerTask = {
      plan,
      module,
      handlerData,
      maxMessage,
      highWaterMark,
      maxOutput,
      idleTicks: this.#clock.ticks(idleTimeout),
      tls: this.#context !== undefined,
      bell: this.#doorbell.bell,
    };
    const service = await WaitService.start({
      handler: new URL(SERVER_HANDLER),
      handlerData: task,
      threads,
      resourceLimits,
      threadFile,
      concurrency,
      capacity: Math.min(2 ** 24, maxConnections + 64),
    });
    this.#service = service;
    onThreadDeath(service, index => this.#died(index));
    service.on('message', value => this.#posted(value));
    service.on('error', (error, event) => this.#failed(service, error, event));
    if (place === undefined) return;
    this.#listener = await Listener.open(place, this.#options, (fd, address, bytes) => {
      this.#take(fd, address, bytes, undefined).catch(error => this.#lost(error));
      return this.#book.size < maxConnections;
    });
    this.#listener.ref();
  }

  /** Listeners may throw; that is an uncaught exception, and keeps nothing from going on. */
  #emit(call: () => void): void {
    try {
      call();
    } catch (error) {
      throwLater(error);
    }
  }

  get address(): AddressInfo | string | null {
    return this.#listener === undefined || this.#isClosing ? null : this.#listener.address;
  }

  get connections(): number {
    return this.#accepted - this.#closings.told;
  }

  /** A connection that was accepted could not be registered. */
  #lost(error: unknown): void {
    if (this.#isClosing) return;
    const code = error instanceof EpollError ? error.code : undefined;
    process.emitWarning(`a connection was dropped: ${error}`, code === undefined ? {} : { code });
  }

  // ---- connections ---------------------------------------------------------------------------------------

  /** A connected socket. @throws (rejects) why it is not the server's now; its fd is closed then */
  async #take(fd: number, address: Uint8Array, bytes: number, unread: Uint8Array | undefined): Promise<number> {
    const { handshakeTimeout } = this.#options;
    const service = this.#service;
    const context = this.#context;
    if (service === undefined || this.#isClosing) {
      close(fd);
      throw invalidState('the server is closing');
    }
    const pointer = context === undefined ? 0 : context.retain();
    const deadline = context === undefined ? 0 : handshakeTimeout;
    const id = this.#book.open({ fd, address, bytes, context: pointer, deadline, unread });
    if (id < 0) {
      if (pointer !== 0) releaseContext(pointer);
      close(fd);
      throw outOfRange('what was read already', 'what there is memory for', unread?.length);
    }
    const slot = L.slotOf(id);
    this.#accepted++;
    this.#clock.start();
    try {
      const registration = await service.register(fd, { events: INTEREST, data: id });
      L.storeRegistration(this.#memory.words, slot * L.CONNECTION_WORDS, registration.id);
    } catch (error) {
      this.#accepted--;
      if (pointer !== 0) releaseContext(pointer);
      this.#book.retire(slot);
      this.#book.clear(slot);
      this.#book.free(slot);
      close(fd);
      this.#freed();
      throw error;
    }
    this.#book.note(slot, REGISTERED);
    if (pointer === 0) this.#announce(slot);
    this.#look(slot);
    if (this.#isWanted(slot * L.CONNECTION_WORDS)) this.#wake(slot);
    return id;
  }

  /** @throws (rejects) RangeError ERR_OUT_OF_RANGE, EpollError; the fd is closed then */
  async adopt(
    fd: number,
    address: Uint8Array,
    bytes: number,
    unread: Uint8Array | undefined,
  ): Promise<{ readonly id: number }> {
    const { maxConnections } = this.#options;
    if (this.#book.size >= maxConnections) {
      close(fd);
      throw outOfRange('the number of connections', `at most maxConnections, ${maxConnections}`, maxConnections + 1);
    }
    if (this.#context !== undefined && unread !== undefined) {
      close(fd);
      throw invalidState('with TLS, nothing may have been read from a socket that is adopted');
    }
    const id = await this.#take(fd, address, bytes, unread);
    if (this.#book.size >= maxConnections) this.#listener?.pause();
    return { id };
  }

  /** Whether something was asked of it before its registration was known. */
  #isWanted(base: number): boolean {
    const { words } = this.#memory;
    const asked =
      Atomics.load(words, base + L.COMMANDS) | Atomics.load(words, base + L.MAIL) | lock.causeOf(words, base);
    return asked !== 0 || this.#isClosing;
  }

  #announce(slot: number): void {
    this.#book.note(slot, ANNOUNCED);
    if (!this.#sink.wantsPeers) return;
    const { words } = this.#memory;
    const base = slot * L.CONNECTION_WORDS;
    const bytes = Buffer.from(words.slice(base + L.ADDRESS, base + L.ADDRESS + L.ADDRESS_WORDS).buffer);
    const length = words[base + L.ADDRESS_BYTES] ?? 0;
    const address = length === 0 ? undefined : decode(bytes, Math.min(length, bytes.length));
    const peer = {
      id: this.#book.idAt(slot),
      remoteAddress: address?.address ?? '',
      remotePort: address?.port ?? 0,
    };
    this.#emit(() => this.#sink.connection(peer));
  }

  /** A thread has rung. */
  #rung(): void {
    const { header, dirty } = this.#memory;
    // Before the bits are looked at: what is set after that look rings again.
    Atomics.store(header, L.RUNG, 0);
    const words = (Atomics.load(header, L.TOP) + 31) >>> 5;
    for (let i = 0; i < words; i++) {
      if (dirty[i] === 0) continue;
      for (let bits = Atomics.exchange(dirty, i, 0); bits !== 0; bits &= bits - 1) {
        this.#look(i * 32 + 31 - Math.clz32(bits & -bits));
      }
    }
  }

  /** As a thread reports. */
  #report(slot: number, what: number): void {
    Atomics.or(this.#memory.words, slot * L.CONNECTION_WORDS + L.REPORT, what);
    this.#look(slot);
  }

  /** Takes what threads have reported of a connection. */
  #look(slot: number): void {
    // Its registration is being made: then it is looked at once more.
    if (!this.#book.knows(slot, REGISTERED) || this.#book.idAt(slot) === 0) return;
    const { words } = this.#memory;
    const base = slot * L.CONNECTION_WORDS;
    const what = Atomics.exchange(words, base + L.REPORT, 0);
    if (what & L.REPORT_OPENED) this.#announce(slot);
    if (what & L.REPORT_ENDED) this.#closedAt(slot, reasonOf(words[base + L.REASON] ?? 0));
    if (what & L.REPORT_DONE) this.#release(slot);
  }

  /** It has ended. */
  #closedAt(slot: number, reason: CloseReason): void {
    if (this.#book.knows(slot, CLOSED)) return;
    this.#book.note(slot, CLOSED);
    const id = this.#book.knows(slot, ANNOUNCED) ? this.#book.idAt(slot) : 0;
    this.#closings.add(id, reason);
    this.#flushClosings();
  }

  #flushClosings(): void {
    this.#closings.flush(this.#isOver);
    this.#checkEmpty();
  }

  /** No thread uses it any more. */
  #release(slot: number): void {
    const fd = this.#memory.words[slot * L.CONNECTION_WORDS + L.FD] ?? -1;
    this.#book.retire(slot);
    const done = (isKnown: boolean): void => {
      if (isKnown) close(fd);
      this.#book.free(slot);
      this.#freed();
    };
    if (this.#service === undefined || this.#isOver) {
      done(true);
      return;
    }
    this.#service.unregister(this.#registrationOf(slot)).then(
      () => done(true),
      // The kernel knows no such fd: it was closed behind our back, and the number may be another's.
      () => done(this.#isOver),
    );
  }

  #freed(): void {
    if (this.#book.size < this.#options.maxConnections) this.#listener?.resume();
    if (this.#book.size === 0) {
      this.#clock.stop();
    }
    this.#checkEmpty();
  }

  #checkEmpty(): void {
    if (this.#book.size === 0 && this.#closings.isEmpty) this.#onEmpty();
  }

  // ---- what the threads send -----------------------------------------------------------------------------

  #posted(value: unknown): void {
    if (!isPost(value)) return;
    this.#closings.received(value.thread);
    const { id } = value;
    if ('error' in value) this.#emit(() => this.#sink.error(errorOf(value.error), id));
    else this.#emit(() => this.#sink.message(value.value, id));
    this.#flushClosings();
  }

  /** Its successor has not begun. All that it has posted has come. */
  #died(index: number): void {
    this.#recovery.recover(index, [...this.#book.slots()]);
    this.#closings.settle(index);
    // It may have reported, and died before it rang.
    for (const slot of this.#book.slots()) this.#look(slot);
    this.#flushClosings();
  }

  /** What a thread threw, or died of: in the run of `event`'s registration, which rests now. */
  #failed(service: WaitService, error: Error, event: ServiceEvent | undefined): void {
    const id = event === undefined ? undefined : Number(event.data);
    // A thread's death is told once, whatever it had at work.
    if (error !== this.#lastDeath) this.#emit(() => this.#sink.error(error, id));
    this.#lastDeath = error;
    if (event === undefined || id === undefined || this.#book.idAt(L.slotOf(id)) !== id) return;
    service.modify(event, { events: INTEREST, data: id }).catch(() => {});
    this.#wake(L.slotOf(id));
  }

  #registrationOf(slot: number): Registration {
    const { words } = this.#memory;
    const base = slot * L.CONNECTION_WORDS;
    return { fd: words[base + L.FD] ?? -1, id: L.loadRegistration(words, base) };
  }

  #wake(slot: number): void {
    if (!this.#book.knows(slot, REGISTERED) || this.#isOver) return;
    try {
      this.#service?.wake(this.#registrationOf(slot));
    } catch {
      // It has ended, or the service has.
    }
  }

  // ---- what users ask for --------------------------------------------------------------------------------

  send(id: number, bytes: Uint8Array): boolean {
    return this.#mail(id, mailbox.DATA, bytes);
  }

  end(id: number): boolean {
    return this.#mail(id, mailbox.LAST, new Uint8Array(0));
  }

  #mail(id: number, kind: number, bytes: Uint8Array): boolean {
    const taken = this.#book.mail(id, kind, bytes, this.#options.maxOutput);
    if (L.slotOf(id) < this.#options.plan.slots) this.#wake(L.slotOf(id));
    return taken;
  }

  destroy(id: number): boolean {
    const slot = L.slotOf(id);
    const generation = L.generationOf(id);
    if (slot >= this.#options.plan.slots || generation === 0) return false;
    const { words } = this.#memory;
    const base = slot * L.CONNECTION_WORDS;
    if (this.#book.knows(slot, CLOSED) || !lock.doom(words, base, generation, lock.DESTROYED)) return false;
    this.#wake(slot);
    return true;
  }

  broadcast(bytes: Uint8Array, except: number | undefined): number {
    let count = 0;
    for (const slot of this.#book.slots()) {
      const id = this.#book.idAt(slot);
      if (id !== except && this.#mail(id, mailbox.DATA, bytes)) count++;
    }
    return count;
  }

  /** @throws what node:tls throws for the options; ERR_INVALID_STATE without TLS */
  setSecureContext(tls: ServerTlsOptions): void {
    if (this.#context === undefined) throw invalidState('this server does without TLS');
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
      accepted: this.#accepted,
      ...totalsOf(this.#memory),
      bytesKept: this.#arena.used * BLOCK_BYTES,
      closed: this.#closings.counts(),
      service: service.stats(),
    };
  }

  ref(): void {
    if (this.#isOver) return;
    this.#service?.ref();
    this.#doorbell.ref();
    if (!this.#isClosing) this.#listener?.ref();
  }

  unref(): void {
    if (this.#isOver) return;
    this.#service?.unref();
    this.#doorbell.unref();
    this.#listener?.unref();
  }

  // ---- the end ---------------------------------------------------------------------------------------------

  /** @param expired resolves when what is left is to be destroyed */
  async close(expired: Promise<void>): Promise<void> {
    this.#isClosing = true;
    const alive = setInterval(() => {}, LONGEST_TIMER);
    try {
      this.#listener?.close();
      Atomics.store(this.#memory.header, L.CLOSING, 1);
      for (const slot of this.#book.slots()) this.#wake(slot);
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
    for (const slot of this.#book.slots()) {
      const { words } = this.#memory;
      const base = slot * L.CONNECTION_WORDS;
      lock.doom(words, base, Atomics.load(words, base + L.GENERATION), lock.DESTROYED);
      this.#wake(slot);
    }
    let timer: NodeJS.Timeout | undefined;
    const last = new Promise<void>(resolve => {
      timer = setTimeout(resolve, LAST_MS);
    });
    await this.#emptied(last);
    clearTimeout(timer);
  }

  /** No thread runs any more. */
  #finish(): void {
    this.#isOver = true;
    this.#clock.stop();
    for (const slot of [...this.#book.slots()]) this.#abandon(slot);
    this.#flushClosings();
    this.#context?.close();
    this.#doorbell.close();
  }

  /** Ends a connection for threads that are no more. */
  #abandon(slot: number): void {
    const { words } = this.#memory;
    const base = slot * L.CONNECTION_WORDS;
    const flags = words[base + L.FLAGS] ?? 0;
    this.#book.clear(slot);
    if ((flags & L.ENDED) === 0) {
      if (words[base + L.REASON] === 0) words[base + L.REASON] = codeOfReason('destroyed');
      const ssl = L.loadWide(words, base + L.SSL);
      if (ssl !== 0) freeSession(ssl);
      shutdown(words[base + L.FD] ?? -1, BOTH);
    }
    const context = L.loadWide(words, base + L.CONTEXT);
    if (context !== 0) releaseContext(context);
    this.#book.note(slot, REGISTERED);
    this.#report(slot, L.REPORT_ENDED | L.REPORT_DONE);
  }

  /** Nothing has begun: closes what was opened. */
  async abort(): Promise<void> {
    this.#isClosing = true;
    this.#listener?.close();
    await this.#service?.close({ timeout: 0 });
    this.#finish();
  }
}

function isPost(value: unknown): value is Post {
  return typeof value === 'object' && value !== null && 'thread' in value;
}

function errorOf(packed: unknown): Error {
  return isPacked(packed) ? unpackError(packed) : new Error(String(packed));
}

function isPacked(value: unknown): value is PackedError {
  return typeof value === 'object' && value !== null && 'base' in value;
}

function totalsOf({ threads }: L.ServerMemory): Pick<ServerStats, 'messages' | 'bytesRead' | 'bytesWritten'> {
  const total = (field: number): number => threads.reduce((sum, { counts }) => sum + (counts[field] ?? 0), 0);
  return { messages: total(L.MESSAGES), bytesRead: total(L.BYTES_READ), bytesWritten: total(L.BYTES_WRITTEN) };
}
