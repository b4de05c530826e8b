/**
 * A server's connections as the main thread knows them, from the socket that was accepted until its fd is closed.
 *
 * Threads report by the bell: a handshake that is done, a connection that has ended, one whose close() was called. Only the last lets
 * its slot and its fd be used again, once the service has unregistered it: until then no other connection has either.
 */
import { EPOLLET, EPOLLIN, EPOLLOUT, EPOLLRDHUP } from '../../shared/epoll/flags.js';
import { invalidState, outOfRange } from '../../shared/errors.js';
import { decode } from '../../shared/kernel/sockaddr.js';
import { shutdown } from '../../shared/kernel/sockets.js';
import * as L from '../../shared/server/layout.js';
import * as lock from '../../shared/server/lock.js';
import { type CloseReason, codeOfReason, reasonOf } from '../../shared/server/reasons.js';
import { releaseContext, type TlsContext } from '../../shared/tls/context.js';
import { freeSession } from '../../shared/tls/session.js';
import type { Direct } from '../service/direct.js';
import type { Registration } from '../service/inbox/service-event.js';
import { directOf, type WaitService } from '../service/service.js';
import { closeTracked, trackIfPossible } from '../service/tracked-fd.js';
import { ANNOUNCED, type Book, CLOSED, GREETED } from './book.js';
import type { Closings } from './closings.js';
import type { Telling } from './telling.js';

const INTEREST = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
const BOTH = 2;

export interface ConnectionParts {
  readonly memory: L.ServerMemory;
  readonly book: Book;
  readonly closings: Closings;
  /** Whether they have handshakes, and what is told waits for those. */
  readonly tls: boolean;
  /** In milliseconds; 0: none. */
  readonly handshakeTimeout: number;
  readonly telling: Telling;
  /** There is one more. */
  readonly opened: () => void;
  /** A slot is free again. */
  readonly freed: () => void;
  /** One has ended, and may have been told. */
  readonly ended: () => void;
}

export class Connections {
  readonly #parts: ConnectionParts;
  readonly #memory: L.ServerMemory;
  readonly #words: Int32Array;
  readonly #book: Book;
  #service: WaitService | undefined;
  #direct: Direct | undefined;
  /** The server closes: none is taken, and those that are there are to end. */
  isClosing = false;
  /** No thread runs any more. */
  isOver = false;
  accepted = 0;

  constructor(parts: ConnectionParts) {
    this.#parts = parts;
    this.#memory = parts.memory;
    this.#words = parts.memory.words;
    this.#book = parts.book;
  }

  /** The service that they are registered with; before any is taken. */
  serveBy(service: WaitService): void {
    this.#service = service;
    this.#direct = directOf(service);
  }

  // ---- the beginning -----------------------------------------------------------------------------------------

  /** A connected socket; `register` follows, and then `greet`. Its id. @throws why it is not the server's now; its fd is closed then */
  take(
    socket: number,
    address: Uint8Array,
    bytes: number,
    unread: Uint8Array | undefined,
    context: TlsContext | undefined,
  ): number {
    const fd = trackIfPossible(socket);
    if (this.#direct === undefined || this.isClosing) {
      closeTracked(fd);
      throw invalidState('the server is closing');
    }
    const pointer = context === undefined ? 0 : context.retain();
    const deadline = context === undefined ? 0 : this.#parts.handshakeTimeout;
    const id = this.#book.open(fd, address, bytes, pointer, deadline, unread);
    if (id < 0) {
      if (pointer !== 0) releaseContext(pointer);
      closeTracked(fd);
      throw outOfRange('what was read already', 'what there is memory for', unread?.length);
    }
    this.accepted++;
    this.#parts.opened();
    return id;
  }

  /** Threads serve it from now on. @throws as `take` */
  register(id: number): void {
    const slot = L.slotOf(id);
    const base = L.baseOf(slot);
    const fd = this.#words[base + L.FD] ?? -1;
    try {
      if (this.#direct === undefined || this.isClosing) throw invalidState('the server is closing');
      const registration = this.#direct.register(fd, INTEREST, id % 2 ** 32, Math.floor(id / 2 ** 32));
      L.storeRegistration(this.#words, base, registration);
    } catch (error) {
      this.accepted--;
      const context = L.loadWide(this.#words, base + L.CONTEXT);
      if (context !== 0) releaseContext(context);
      this.#book.retire(slot);
      this.#book.clear(slot);
      closeTracked(fd);
      this.#free(slot);
      throw error;
    }
  }

  /** Tells of it, and of what threads have reported of it so far. Until then nothing is told of it. */
  greet(id: number): void {
    const slot = L.slotOf(id);
    if (this.#book.idAt(slot) !== id) return;
    this.#book.note(slot, GREETED);
    if (!this.#parts.tls) this.#announce(slot);
    this.#look(slot);
  }

  #announce(slot: number): void {
    this.#book.note(slot, ANNOUNCED);
    if (!this.#parts.telling.wantsPeers) return;
    const words = this.#words;
    const base = L.baseOf(slot);
    const bytes = Buffer.from(words.slice(base + L.ADDRESS, base + L.ADDRESS + L.ADDRESS_WORDS).buffer);
    const length = words[base + L.ADDRESS_BYTES] ?? 0;
    const address = length === 0 ? undefined : decode(bytes, Math.min(length, bytes.length));
    this.#parts.telling.opened({
      id: this.#book.idAt(slot),
      remoteAddress: address?.address ?? '',
      remotePort: address?.port ?? 0,
    });
  }

  // ---- what threads report -----------------------------------------------------------------------------------

  /** A thread has rung. */
  rung(): void {
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

  /** Something is to be told of it: its beginning comes first, whose ring may be on its way still. */
  mention(id: number): void {
    const slot = L.slotOf(id);
    if (this.#book.idAt(slot) === id && !this.#book.knows(slot, ANNOUNCED)) this.#look(slot);
  }

  /** A thread is dead: it may have reported, and died before it rang, or after it had written that it rings. */
  lookAtAll(): void {
    // Otherwise no other thread would ever ring. Before the look, as in rung().
    Atomics.store(this.#memory.header, L.RUNG, 0);
    for (const slot of this.#book.slots()) this.#look(slot);
  }

  /** It has ended, and its close() was called, or is not to be called. As a thread reports. */
  done(slot: number): void {
    Atomics.or(this.#words, L.baseOf(slot) + L.REPORT, L.REPORT_ENDED | L.REPORT_DONE);
    this.#look(slot);
  }

  /** Takes what threads have reported of a connection. */
  #look(slot: number): void {
    // Not greeted: then it is looked at once more.
    if (!this.#book.knows(slot, GREETED) || this.#book.idAt(slot) === 0) return;
    const words = this.#words;
    const base = L.baseOf(slot);
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
    this.#parts.closings.add(id, reason);
    this.#parts.ended();
  }

  /** No thread uses it any more. */
  #release(slot: number): void {
    // The service ends, and nothing can be asked of it: finish() follows.
    if (!this.isOver && this.#service?.closed) return;
    const { fd, id } = this.#registrationOf(slot);
    this.#book.retire(slot);
    const done = (): void => {
      closeTracked(fd);
      this.#free(slot);
    };
    const direct = this.isOver ? undefined : this.#direct;
    if (direct === undefined) done();
    // The kernel knows no such fd: it was closed behind our back, and the number may be another's.
    else if (direct.unregister(fd, id, done) < 0) this.#free(slot);
  }

  #free(slot: number): void {
    this.#book.free(slot);
    this.#parts.freed();
  }

  // ---- runs --------------------------------------------------------------------------------------------------

  #registrationOf(slot: number): Registration {
    const words = this.#words;
    const base = L.baseOf(slot);
    return { fd: words[base + L.FD] ?? -1, id: L.loadRegistration(words, base) };
  }

  /** Has a connection run, on any thread; nothing if it has ended, or the service has. */
  wake(slot: number): void {
    if (this.#service?.closed !== false) return;
    // One that is not registered yet has a run as soon as it is. One that is not greeted yet may have had that run.
    const id = L.loadRegistration(this.#words, L.baseOf(slot));
    if (id >= 0) this.#direct?.wake(id);
  }

  /** Has one that rests run again. @param id its own @param registration its registration */
  revive(id: number, registration: Registration): void {
    const slot = L.slotOf(id);
    if (this.#book.idAt(slot) !== id) return;
    this.#service?.modify(registration, { events: INTEREST, data: id }).catch(() => {});
    this.wake(slot);
  }

  // ---- the end -----------------------------------------------------------------------------------------------

  wakeAll(): void {
    for (const slot of this.#book.slots()) this.wake(slot);
  }

  /** It is to end at once, in its next run. Whether it had not ended. */
  destroy(slot: number, generation: number): boolean {
    const words = this.#words;
    const base = L.baseOf(slot);
    // Its thread may have ended it, and this one not have heard of that yet.
    if (this.#book.knows(slot, CLOSED) || ((words[base + L.FLAGS] ?? 0) & L.ENDED) !== 0) return false;
    if (!lock.doom(words, base, generation, lock.DESTROYED)) return false;
    this.wake(slot);
    return true;
  }

  destroyAll(): void {
    for (const slot of this.#book.slots()) {
      const base = L.baseOf(slot);
      lock.doom(this.#words, base, Atomics.load(this.#words, base + L.GENERATION), lock.DESTROYED);
      this.wake(slot);
    }
  }

  /** No thread runs any more: ends what they have left. */
  finish(): void {
    this.isOver = true;
    for (const slot of [...this.#book.slots()]) this.#abandon(slot);
  }

  #abandon(slot: number): void {
    const words = this.#words;
    const base = L.baseOf(slot);
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
    this.#book.note(slot, GREETED);
    this.done(slot);
  }
}
