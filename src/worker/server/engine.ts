/**
 * The runs of one thread: what is done for a connection that is ready, or was woken.
 *
 * A run takes the connection's lock (lock.ts), so it has the socket and the chains to itself, and does in this order:
 *   commands     what others have asked for: to destroy it, to look whether a time-out has passed …
 *   handshake    TLS, until that is done; then open(), once
 *   output       what the mailbox has, and what is kept, as far as the socket takes it
 *   the end      if it is ending: our end of stream once all is sent; what still comes is dropped; over with the peer's end
 *   input        unless a promise is pending, or too much output is kept: read, find messages, handle them one by one
 *
 * Only runs read, handle messages and end a connection; whoever else has its lock only sends. A connection is, by its FLAGS,
 *   new       not OPENED      SHAKING first, with TLS
 *   open      OPENED          its AWAIT says which thread has its handler's pending promise, if any
 *   ending    ENDING          no further message is handled: end(), the peer's end, an error that the peer is told of, the server's close()
 *   doomed    DOOMED          it ends as soon as a run can: destroy(), a broken socket, a limit
 *   ended     ENDED           its socket is not touched any more; the main thread knows
 *   done      CLOSE_CALLED    after the last promise; the main thread may use its slot again
 * and never goes back. ENDED is set by a run under the lock, once; close() follows in the same run, or, if a promise is pending, in
 * the run that its end asks for. A thread that dies leaves its owner number in LOCK or in AWAIT: the main thread finds it there
 * and has another thread end the connection (COMMAND_THREAD).
 */
import { now } from '../../shared/clock.js';
import { EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLRDHUP } from '../../shared/epoll/flags.js';
import { invalidType } from '../../shared/errors.js';
import { shutdown } from '../../shared/kernel/sockets.js';
import { Arena } from '../../shared/server/arena.js';
import { BYTES } from '../../shared/server/chain.js';
import * as L from '../../shared/server/layout.js';
import * as lock from '../../shared/server/lock.js';
import { type CloseReason, codeOfReason, reasonOf } from '../../shared/server/reasons.js';
import { report } from '../../shared/server/report.js';
import { packError } from '../../shared/service/error-transfer.js';
import { releaseContext } from '../../shared/tls/context.js';
import * as tls from '../../shared/tls/session.js';
import type { ThreadServices } from '../service/handler.js';
import type { Connection } from './connection.js';
import { Correspondence } from './correspondence.js';
import { LiveConnection } from './live-connection.js';
import type { LoadedModule } from './module.js';
import { Promises } from './promises.js';
import { OutOfMemory, Reader, TooLong } from './reader.js';
import { Senders } from './senders.js';
import type { ServerTask } from './thread-setup.js';
import { AT_END, BROKEN, NOTHING, Wire } from './wire.js';

const INPUT_EVENTS = EPOLLIN | EPOLLRDHUP | EPOLLERR | EPOLLHUP;
const HANGING_EVENTS = EPOLLRDHUP | EPOLLERR | EPOLLHUP;
const OUTPUT_EVENTS = EPOLLOUT | EPOLLERR | EPOLLHUP;
/** What one run does before it is others' turn: reads, and milliseconds in handlers. */
const MOST_READS = 8;
const MOST_MS = 2;
/** How many messages are handled between two looks at the clock. */
const CLOCK_EVERY = 8;
const BOTH = 2;
const CAUSES: Readonly<Record<number, CloseReason>> = {
  [lock.DESTROYED]: 'destroyed',
  [lock.TOO_SLOW]: 'too-slow',
  [lock.NO_MEMORY]: 'memory',
};
/** A connection that ended for an error lingers for a part of what one that was ended does. */
const LINGER_PART = 5;

export class Engine {
  readonly #task: ServerTask;
  readonly #memory: L.ServerMemory;
  readonly #words: Int32Array;
  readonly #header: Int32Array;
  readonly #counts: Float64Array;
  readonly #owner: number;
  readonly #module: LoadedModule;
  readonly #wire: Wire;
  readonly #senders: Senders;
  readonly #reader: Reader;
  readonly #promises: Promises;
  readonly #correspondence: Correspondence;
  readonly #wake: (slot: number) => void;
  /** By slot: this thread's object of its connection. */
  readonly #connections: Array<LiveConnection | undefined> = [];
  /** Whose input is being read. */
  #framed: Connection | undefined;
  #reads = 0;
  #handled = 0;
  #began = 0;
  #again = false;

  constructor(task: ServerTask, module: LoadedModule, thread: ThreadServices) {
    const { plan, maxMessage, maxOutput } = task;
    const memory = L.memoryOf(plan);
    const arena = new Arena(plan.arena);
    const { index } = thread;
    this.#task = task;
    this.#memory = memory;
    this.#words = memory.words;
    this.#header = memory.header;
    this.#counts = memory.threads[index]?.counts ?? new Float64Array(8);
    this.#owner = index + 1;
    this.#module = module;
    const wake = (to: number): void => {
      const id = L.loadRegistration(memory.words, to * L.CONNECTION_WORDS);
      // Not known yet: its first run is still to come.
      if (id >= 0) thread.wake(id);
    };
    this.#wake = wake;
    this.#wire = new Wire({ memory, counts: this.#counts, arena, maxOutput });
    this.#senders = new Senders({ memory, arena, wire: this.#wire, index, maxOutput, wake });
    const { frame } = module;
    const framer = frame && ((input: Buffer, seen: number) => length(frame(input, seen, this.#current())));
    this.#reader = new Reader(memory.words, arena, this.#wire, framer, maxMessage);
    this.#correspondence = new Correspondence(task, memory, arena, this.#wire, this.#senders, thread, wake);
    this.#promises = new Promises(memory, thread, module.hooks, {
      settled: (slot, failed, error) => this.#settled(slot, failed, error),
    });
  }

  #current(): Connection {
    if (this.#framed === undefined) throw new Error('no connection is being read');
    return this.#framed;
  }

  /** One run. @param registration its id with the service @param events the mask that the kernel gave, 0 if it was woken */
  visit(slot: number, registration: number, events: number): void {
    const words = this.#words;
    const base = slot * L.CONNECTION_WORDS;
    const generation = Atomics.load(words, base + L.GENERATION);
    if (generation === 0) return;
    if (L.loadRegistration(words, base) < 0) L.storeRegistration(words, base, registration);
    if (events !== 0) Atomics.or(words, base + L.EVENTS, events);
    if (lock.take(words, base, generation, this.#owner, lock.RUN, true) !== lock.TAKEN) return;
    this.#correspondence.enter(slot, generation);
    this.#again = false;
    try {
      this.#run(base, slot, generation);
    } catch (error) {
      this.#broke(base, slot, generation, error);
    }
    this.#correspondence.leave();
    this.#wire.countWire(base);
    this.#senders.letGo(base, slot, generation);
    if (this.#again) this.#wake(slot);
  }

  /** This thread's object of a connection. */
  #connectionOf(slot: number, generation: number): LiveConnection {
    const id = L.idOf(slot, generation);
    const known = this.#connections[slot];
    if (known?.id === id) return known;
    const fresh = new LiveConnection(this.#correspondence, id, slot, generation);
    this.#connections[slot] = fresh;
    return fresh;
  }

  #flags(base: number): number {
    return this.#words[base + L.FLAGS] ?? 0;
  }

  #set(base: number, flags: number): void {
    this.#words[base + L.FLAGS] = this.#flags(base) | flags;
  }

  #clear(base: number, flags: number): void {
    this.#words[base + L.FLAGS] = this.#flags(base) & ~flags;
  }

  #run(base: number, slot: number, generation: number): void {
    const words = this.#words;
    this.#note(base, Atomics.exchange(words, base + L.EVENTS, 0));
    const connection = this.#connectionOf(slot, generation);
    if ((this.#flags(base) & L.ENDED) === 0) {
      this.#obey(base, slot, connection, Atomics.exchange(words, base + L.COMMANDS, 0));
      if (this.#isReady(base, slot, connection)) this.#serve(base, slot, generation, connection);
      if ((this.#flags(base) & L.DOOMED) !== 0) this.#finish(base, slot, 'reset');
    }
    if ((this.#flags(base) & L.ENDED) !== 0) this.#close(base, slot, connection);
  }

  /** A fault of this package's own: that connection ends, and no other. */
  #broke(base: number, slot: number, generation: number, error: unknown): void {
    this.#correspondence.failed(L.idOf(slot, generation), packError(error));
    this.#wire.doom(base, 'handler');
    if ((this.#flags(base) & L.ENDED) === 0) this.#finish(base, slot, 'handler');
    this.#close(base, slot, this.#connectionOf(slot, generation));
  }

  /** What the kernel has said. */
  #note(base: number, events: number): void {
    if (events === 0) return;
    let flags = this.#flags(base);
    if (events & INPUT_EVENTS) flags |= L.READABLE;
    if (events & HANGING_EVENTS) flags |= L.HANGING;
    if (events & EPOLLERR) flags |= L.ERROR;
    if (events & OUTPUT_EVENTS) flags &= ~L.BLOCKED;
    // A session may wait for the other direction than the one that is asked of it.
    if (this.#task.tls) flags = (flags | L.READABLE) & ~L.BLOCKED;
    this.#words[base + L.FLAGS] = flags;
  }

  /** What others have asked for. */
  #obey(base: number, slot: number, connection: Connection, commands: number): void {
    if (commands & L.COMMAND_THREAD) this.#wire.doom(base, 'thread');
    const cause = lock.causeOf(this.#words, base);
    if (cause !== 0) this.#wire.doom(base, CAUSES[cause] ?? 'destroyed');
    if (commands === 0 || (this.#flags(base) & L.DOOMED) !== 0) return;
    if (commands & L.COMMAND_FAILED) this.#endFor(base, slot, 'handler');
    if (commands & L.COMMAND_LATE) this.#late(base);
    if (commands & L.COMMAND_IDLE) this.#idle(base, slot, connection);
  }

  /** A handshake, or an end, that may have taken too long. */
  #late(base: number): void {
    const deadline = this.#words[base + L.DEADLINE] ?? 0;
    if (deadline === 0 || Atomics.load(this.#header, L.TICK) - deadline < 0) return;
    const flags = this.#flags(base);
    if (flags & L.SHAKING) this.#wire.doom(base, 'handshake');
    else if (flags & L.ENDING) this.#wire.doom(base, 'end');
  }

  /** idleTimeout may have passed. */
  #idle(base: number, slot: number, connection: Connection): void {
    const words = this.#words;
    const since = Atomics.load(this.#header, L.TICK) - (words[base + L.ACTIVITY] ?? 0);
    const flags = this.#flags(base);
    if (Atomics.load(words, base + L.AWAIT) !== 0 || since < this.#task.idleTicks) return;
    if ((flags & L.OPENED) === 0 || (flags & L.ENDING) !== 0) return;
    const inMiddle = (words[base + L.INPUT + BYTES] ?? 0) > 0;
    const error = Object.assign(new Error('idleTimeout has passed in the middle of a message'), { code: 'ETIMEDOUT' });
    if (!inMiddle || !this.#refuse(base, slot, error, connection)) this.#wire.doom(base, 'idle');
    else this.#endFor(base, slot, 'idle');
  }

  /** Handshake and open(). Whether it is open, or was. */
  #isReady(base: number, slot: number, connection: Connection): boolean {
    const flags = this.#flags(base);
    if ((flags & L.DOOMED) !== 0) return false;
    if ((flags & L.OPENED) !== 0) return true;
    if (Atomics.load(this.#header, L.CLOSING) !== 0) {
      this.#wire.doom(base, 'server');
      return false;
    }
    if ((flags & L.SHAKING) !== 0) {
      if (!this.#shake(base)) return false;
      report(this.#memory, this.#task.bell, slot, L.REPORT_OPENED);
    }
    this.#set(base, L.OPENED);
    const { open } = this.#module;
    if (open === undefined) return true;
    try {
      this.#watch(open(connection), connection.id);
    } catch (error) {
      this.#correspondence.failed(connection.id, packError(error));
      this.#endFor(base, slot, 'handler');
    }
    return (this.#flags(base) & L.DOOMED) === 0;
  }

  /** Nobody waits for an async open() or close(); what it throws is told all the same. */
  #watch(result: unknown, id: number): void {
    if (!isThenable(result)) return;
    Promise.resolve(result).catch(error => this.#correspondence.failed(id, packError(error)));
  }

  /** Goes on with the TLS handshake. Whether it is done. */
  #shake(base: number): boolean {
    const words = this.#words;
    let ssl = L.loadWide(words, base + L.SSL);
    if (ssl === 0) {
      const context = L.loadWide(words, base + L.CONTEXT);
      ssl = tls.acceptSession(context, words[base + L.FD] ?? -1);
      if (ssl === 0) {
        this.#wire.doom(base, 'handshake');
        return false;
      }
      L.storeWide(words, base + L.SSL, ssl);
      this.#releaseContext(base);
    }
    const result = tls.handshake(ssl);
    if (result === tls.WANT_READ || result === tls.WANT_WRITE) return false;
    if (result !== tls.DONE) {
      this.#wire.doom(base, 'handshake');
      return false;
    }
    this.#clear(base, L.SHAKING);
    words[base + L.DEADLINE] = 0;
    words[base + L.ACTIVITY] = Atomics.load(this.#header, L.TICK);
    lock.open(words, base);
    return true;
  }

  #releaseContext(base: number): void {
    const context = L.loadWide(this.#words, base + L.CONTEXT);
    if (context === 0) return;
    L.storeWide(this.#words, base + L.CONTEXT, 0);
    releaseContext(context);
  }

  /** Output, the end, input. */
  #serve(base: number, slot: number, generation: number, connection: Connection): void {
    const words = this.#words;
    this.#wire.drain(base, slot, generation);
    if (!this.#wire.flush(base)) return;
    const waits = Atomics.load(words, base + L.AWAIT) !== 0;
    const isPaused = waits || this.#wire.kept(base) > this.#task.highWaterMark;
    if ((this.#flags(base) & L.ERROR) !== 0 && isPaused) {
      this.#wire.doom(base, 'reset');
      return;
    }
    if (!waits && Atomics.load(this.#header, L.CLOSING) !== 0 && (this.#flags(base) & L.ENDING) === 0) {
      words[base + L.REASON] = codeOfReason('server');
      this.#endSoon(base, slot, this.#task.lingerTicks);
    }
    if ((this.#flags(base) & L.ENDING) === 0 && !isPaused) this.#input(base, slot, connection);
    if ((this.#flags(base) & (L.ENDING | L.DOOMED)) === L.ENDING) this.#linger(base, slot, generation);
  }

  // ---- input ----------------------------------------------------------------------------------------------

  #input(base: number, slot: number, connection: Connection): void {
    this.#reads = 0;
    this.#handled = 0;
    this.#began = 0;
    this.#framed = connection;
    this.#correspondence.frames(base);
    const reader = this.#reader;
    reader.begin(slot);
    try {
      while (this.#next(base, slot, connection)) {}
      if (this.#mayGoOn(base) || Atomics.load(this.#words, base + L.AWAIT) !== 0) reader.end();
      else reader.forget(slot);
    } catch (error) {
      reader.forget(slot);
      if (error instanceof OutOfMemory) this.#wire.doom(base, 'memory');
      else if (error instanceof TooLong) this.#end(base, slot, 'too-long', error.error, connection);
      else this.#end(base, slot, 'protocol', error, connection);
    }
    this.#promises.lend(reader);
  }

  #mayGoOn(base: number): boolean {
    return (this.#flags(base) & (L.DOOMED | L.ENDING)) === 0;
  }

  /** One message, or one more read. False: that was all for this run. */
  #next(base: number, slot: number, connection: Connection): boolean {
    const message = this.#reader.next();
    if (!this.#mayGoOn(base)) return false; // frame() may send
    if (message !== undefined) return this.#handle(base, slot, connection, message);
    const flags = this.#flags(base);
    const unseen = (this.#words[base + L.BACKLOG + BYTES] ?? 0) > 0;
    if (!unseen && (flags & L.PEER_ENDED) !== 0) return this.#last(base, slot, connection);
    if (!unseen && (flags & L.READABLE) === 0) return false;
    if (++this.#reads > MOST_READS) {
      this.#again = true;
      return false;
    }
    const n = this.#reader.fill();
    if (unseen) return true;
    if (n === BROKEN) {
      this.#wire.doom(base, 'reset');
      return false;
    }
    if (n === AT_END) {
      this.#set(base, L.PEER_ENDED);
      this.#clear(base, L.READABLE);
    } else if (n === NOTHING || (!this.#reader.isFull && !this.#task.tls && (flags & L.HANGING) === 0)) {
      this.#clear(base, L.READABLE);
    }
    return n !== NOTHING;
  }

  /** The peer has ended its side, and no whole message is left. */
  #last(base: number, slot: number, connection: Connection): boolean {
    const { atEnd } = this.#module.hooks;
    const rest = this.#reader.leftover();
    const ssl = L.loadWide(this.#words, base + L.SSL);
    if (rest.length > 0 && atEnd !== undefined && (ssl === 0 || !tls.wasTruncated(ssl))) {
      const count = length(atEnd.call(this.#module.hooks, rest, connection));
      if (count > 0) {
        this.#reader.consume();
        return this.#handle(base, slot, connection, rest.subarray(0, count));
      }
    }
    this.#reader.consume();
    this.#endSoon(base, slot, this.#task.lingerTicks);
    return false;
  }

  /** False: no further message in this run. */
  #handle(base: number, slot: number, connection: Connection, bytes: Buffer): boolean {
    const { decode, handle, hooks } = this.#module;
    const message: unknown = decode === undefined ? bytes : decode(bytes, connection);
    let result: unknown;
    try {
      result = handle(message, connection);
      if (isThenable(result)) {
        this.#promises.add(slot, connection, message, result, this.#reader.lent);
        return false;
      }
      hooks.settled?.(message, connection, false);
    } catch (error) {
      this.#failed(base, slot, connection, message, error);
      return false;
    }
    this.#counts[L.MESSAGES] = (this.#counts[L.MESSAGES] ?? 0) + 1;
    this.#words[base + L.ACTIVITY] = Atomics.load(this.#header, L.TICK);
    if (!this.#mayGoOn(base) || this.#wire.kept(base) > this.#task.highWaterMark) return false;
    if (Atomics.load(this.#header, L.CLOSING) !== 0) {
      this.#again = true;
      return false;
    }
    return !this.#isTired();
  }

  #isTired(): boolean {
    if (++this.#handled % CLOCK_EVERY !== 0 && this.#began !== 0) return false;
    const time = now();
    if (this.#began === 0) this.#began = time;
    if (time - this.#began < MOST_MS) return false;
    this.#again = true;
    return true;
  }

  #failed(base: number, slot: number, connection: Connection, message: unknown, error: unknown): void {
    try {
      this.#module.hooks.settled?.(message, connection, true);
    } catch {
      // What the handler threw is told.
    }
    this.#correspondence.failed(connection.id, packError(error));
    this.#endFor(base, slot, 'handler');
  }

  /** A handler's promise has settled, in this thread: outside any run. */
  #settled(slot: number, failed: boolean, error: unknown): void {
    const words = this.#words;
    const base = slot * L.CONNECTION_WORDS;
    if (failed) {
      const id = L.idOf(slot, Atomics.load(words, base + L.GENERATION));
      this.#correspondence.failed(id, packError(error));
      Atomics.or(words, base + L.COMMANDS, L.COMMAND_FAILED);
    } else {
      this.#counts[L.MESSAGES] = (this.#counts[L.MESSAGES] ?? 0) + 1;
    }
    Atomics.store(words, base + L.ACTIVITY, Atomics.load(this.#header, L.TICK));
    Atomics.store(words, base + L.AWAIT, 0);
    this.#wake(slot);
  }

  // ---- the end --------------------------------------------------------------------------------------------

  /** What the peer did is no message: it is told what refuse() gives, and then the connection ends. */
  #end(base: number, slot: number, reason: CloseReason, error: unknown, connection: Connection): void {
    this.#refuse(base, slot, error, connection);
    this.#endFor(base, slot, reason);
  }

  /** Sends what refuse() gives. Whether there was something. */
  #refuse(base: number, slot: number, error: unknown, _connection: Connection): boolean {
    let last: unknown;
    try {
      last = this.#module.refuse?.(error);
    } catch {
      return false;
    }
    if (!(last instanceof Uint8Array)) return false;
    this.#wire.send(base, slot, last);
    return true;
  }

  #endFor(base: number, slot: number, reason: CloseReason): void {
    const words = this.#words;
    if (words[base + L.REASON] === 0) words[base + L.REASON] = codeOfReason(reason);
    this.#endSoon(base, slot, Math.ceil(this.#task.lingerTicks / LINGER_PART));
  }

  /** No further message; our end of stream when all is sent. */
  #endSoon(base: number, slot: number, ticks: number): void {
    const words = this.#words;
    this.#set(base, L.ENDING);
    lock.shut(words, base);
    this.#reader.forget(slot);
    if (words[base + L.DEADLINE] === 0) words[base + L.DEADLINE] = Atomics.load(this.#header, L.TICK) + ticks;
  }

  #linger(base: number, slot: number, generation: number): void {
    const words = this.#words;
    if (words[base + L.DEADLINE] === 0) this.#endSoon(base, slot, this.#task.lingerTicks);
    this.#wire.drain(base, slot, generation);
    const before = this.#wire.kept(base);
    if (!this.#wire.flush(base)) return;
    const after = this.#wire.kept(base);
    if (after < before) words[base + L.DEADLINE] = Atomics.load(this.#header, L.TICK) + this.#task.lingerTicks;
    if (after === 0 && (this.#flags(base) & L.END_SENT) === 0) this.#wire.sendEnd(base);
    for (let reads = 0; (this.#flags(base) & L.READABLE) !== 0; reads++) {
      if (reads === MOST_READS) {
        this.#again = true;
        break;
      }
      const n = this.#reader.discard(base);
      if (n === BROKEN) {
        this.#wire.doom(base, 'reset');
        return;
      }
      if (n === AT_END) this.#set(base, L.PEER_ENDED);
      if (n <= 0) this.#clear(base, L.READABLE);
    }
    const both = L.PEER_ENDED | L.END_SENT;
    if ((this.#flags(base) & both) === both) this.#wire.doom(base, 'end');
  }

  /** It is over: nothing touches the socket after this. @param reason if none is known */
  #finish(base: number, slot: number, reason: CloseReason): void {
    const words = this.#words;
    if (words[base + L.REASON] === 0) words[base + L.REASON] = codeOfReason(reason);
    lock.shut(words, base);
    const flags = this.#flags(base);
    this.#set(base, L.ENDED);
    this.#reader.forget(slot);
    this.#wire.chains.clear(base + L.OUTPUT);
    this.#wire.drain(base, slot, 0);
    const ssl = L.loadWide(words, base + L.SSL);
    this.#wire.countWire(base);
    L.storeWide(words, base + L.SSL, 0);
    if (ssl !== 0) {
      const quiet = L.SHAKING | L.END_SENT | L.BLOCKED | L.ERROR;
      if ((flags & quiet) === 0 && reasonOf(words[base + L.REASON] ?? 0) === 'idle') tls.shutdown(ssl);
      tls.freeSession(ssl);
    }
    this.#releaseContext(base);
    // The fd is closed by the main thread, which may be busy: the peer is told now.
    if ((flags & L.END_SENT) === 0 || (flags & L.PEER_ENDED) === 0) shutdown(words[base + L.FD] ?? -1, BOTH);
    if (Atomics.load(words, base + L.AWAIT) !== 0) report(this.#memory, this.#task.bell, slot, L.REPORT_ENDED);
  }

  /** Calls close(), once nothing of it is at work, and tells the main thread. */
  #close(base: number, slot: number, connection: Connection): void {
    const words = this.#words;
    const flags = this.#flags(base);
    if ((flags & L.CLOSE_CALLED) !== 0 || Atomics.load(words, base + L.AWAIT) !== 0) return;
    this.#set(base, L.CLOSE_CALLED);
    if ((flags & L.OPENED) !== 0) {
      try {
        this.#watch(this.#module.close?.(connection, reasonOf(words[base + L.REASON] ?? 0)), connection.id);
      } catch (error) {
        this.#correspondence.failed(connection.id, packError(error));
      }
    }
    this.#connections[slot] = undefined;
    report(this.#memory, this.#task.bell, slot, L.REPORT_ENDED | L.REPORT_DONE);
  }
}

/** What frame() gave. */
function length(value: unknown): number {
  if (typeof value === 'number' && value >= 0 && Number.isSafeInteger(value)) return value;
  throw invalidType("what the protocol's frame() gives", 'a whole number of at least 0', value);
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  const mayBe = (typeof value === 'object' && value !== null) || typeof value === 'function';
  return mayBe && 'then' in value && typeof value.then === 'function';
}
