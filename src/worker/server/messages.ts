/** From input to handlers, in a run: reads, finds messages, handles one after the other, and keeps the rest. */
import { now } from '../../shared/clock.js';
import { invalidType } from '../../shared/errors.js';
import { BYTES } from '../../shared/server/chain.js';
import * as L from '../../shared/server/layout.js';
import { packError } from '../../shared/service/error-transfer.js';
import * as tls from '../../shared/tls/session.js';
import type { ThreadServices } from '../service/handler.js';
import type { Connection } from './connection.js';
import type { Connections } from './connections.js';
import type { Correspondence } from './correspondence.js';
import type { Ends } from './ends.js';
import type { Flags } from './flags.js';
import type { LoadedModule } from './module.js';
import type { Parking } from './parking.js';
import { Promises } from './promises.js';
import { OutOfMemory, type Reader, TooLong } from './reader.js';
import { isThenable } from './thenable.js';
import type { ServerTask, WakeThread } from './thread-setup.js';
import { AT_END, BROKEN, MORE, NOTHING, type Wire } from './wire.js';

/** What one run does before it is others' turn: reads, and milliseconds from its beginning, looked at after each message. */
const MOST_READS = 8;
const MOST_MS = 2;

export interface MessageParts {
  readonly task: ServerTask;
  readonly memory: L.ServerMemory;
  readonly counts: Float64Array;
  readonly module: LoadedModule;
  readonly thread: ThreadServices;
  readonly parking: Parking;
  readonly wire: Wire;
  readonly reader: Reader;
  readonly flags: Flags;
  readonly ends: Ends;
  readonly correspondence: Correspondence;
  readonly connections: Connections;
  readonly wake: WakeThread;
}

export class Messages {
  readonly #task: ServerTask;
  readonly #thread: ThreadServices;
  readonly #words: Int32Array;
  readonly #header: Int32Array;
  readonly #counts: Float64Array;
  readonly #module: LoadedModule;
  readonly #wire: Wire;
  readonly #reader: Reader;
  readonly #flags: Flags;
  readonly #ends: Ends;
  readonly #correspondence: Correspondence;
  readonly #connections: Connections;
  readonly #wake: WakeThread;
  readonly #promises: Promises;
  /** Whose input is being read. */
  #slot = 0;
  #generation = 0;
  #reads = 0;
  #began = 0;
  /** A message was handled, and nothing was done since. */
  #hasHandled = false;
  #again = false;

  constructor(parts: MessageParts) {
    const { task, memory, counts, module, thread, wire, reader, flags, ends, correspondence, connections, wake } =
      parts;
    this.#task = task;
    this.#thread = thread;
    this.#words = memory.words;
    this.#header = memory.header;
    this.#counts = counts;
    this.#module = module;
    this.#wire = wire;
    this.#reader = reader;
    this.#flags = flags;
    this.#ends = ends;
    this.#correspondence = correspondence;
    this.#connections = connections;
    this.#wake = wake;
    this.#promises = new Promises(parts, {
      threw: (slot, error) => this.#threw(slot, error),
      settled: (slot, failed) => this.#settled(slot, failed),
    });
    const { frame } = module;
    if (frame !== undefined) {
      reader.frame = (input, seen) => length(frame(input, seen, this.#connection));
    }
  }

  /** Made when it is asked for: where nothing has come, nobody is given it. */
  get #connection(): Connection {
    return this.#connections.of(this.#slot, this.#generation);
  }

  /** No message begins in this thread until a promise settles. */
  get isFull(): boolean {
    return this.#promises.isFull;
  }

  /** Whether there may be something for `take`: the mere beginning of a message (INPUT) is not. */
  hasInput(base: number): boolean {
    const unseen = (this.#words[base + L.BACKLOG + BYTES] ?? 0) > 0;
    return unseen || (this.#flags.of(base) & (L.READABLE | L.PEER_ENDED)) !== 0;
  }

  /** Reads and handles what there is. Whether there may be more to do at once. */
  take(base: number, slot: number, generation: number): boolean {
    this.#reads = 0;
    this.#began = this.#thread.now();
    this.#hasHandled = false;
    this.#again = false;
    this.#slot = slot;
    this.#generation = generation;
    this.#correspondence.frames(base);
    const reader = this.#reader;
    reader.begin(slot);
    try {
      while (this.#next(base, slot)) {}
      if (this.#mayGoOn(base) || Atomics.load(this.#words, base + L.AWAIT) !== 0) reader.end();
      else reader.forget(slot);
    } catch (error) {
      reader.forget(slot);
      if (error instanceof OutOfMemory) this.#wire.doom(base, 'memory');
      else if (error instanceof TooLong) this.#ends.end(base, slot, 'too-long', error.error);
      else this.#ends.end(base, slot, 'protocol', error);
    }
    this.#promises.lend(reader);
    return this.#again;
  }

  #mayGoOn(base: number): boolean {
    return (this.#flags.of(base) & (L.DOOMED | L.ENDING)) === 0;
  }

  /** One message, or one more read. False: that was all for this run. */
  #next(base: number, slot: number): boolean {
    if (this.#hasHandled) {
      this.#hasHandled = false;
      if ((this.#reader.hasMore || this.hasInput(base)) && this.#isTired()) return false;
    }
    const message = this.#reader.next();
    if (!this.#mayGoOn(base)) return false; // frame() may send
    if (message !== undefined) return this.#handle(base, slot, this.#connection, message);
    const flags = this.#flags.of(base);
    const unseen = (this.#words[base + L.BACKLOG + BYTES] ?? 0) > 0;
    if (!unseen && (flags & L.PEER_ENDED) !== 0) return this.#last(base, slot, this.#connection);
    if (!unseen && (flags & L.READABLE) === 0) return false;
    if (++this.#reads > MOST_READS) {
      this.#again = true;
      return false;
    }
    const n = this.#reader.fill();
    if (unseen) return true;
    if (n === MORE) return !this.#isTired();
    if (n === BROKEN) {
      this.#wire.doom(base, 'reset');
      return false;
    }
    if (n === AT_END) {
      this.#flags.set(base, L.PEER_ENDED);
      this.#flags.clear(base, L.READABLE);
    } else if (n === NOTHING || (!this.#reader.isFull && !this.#task.tls && (flags & L.HANGING) === 0)) {
      this.#flags.clear(base, L.READABLE);
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
    this.#ends.endSoon(base, slot);
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
    this.#hasHandled = true;
    return true;
  }

  #isTired(): boolean {
    if (now() - this.#began < MOST_MS) return false;
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
    this.#ends.endFor(base, slot, 'handler');
  }

  #threw(slot: number, error: unknown): void {
    const id = L.idOf(slot, Atomics.load(this.#words, L.baseOf(slot) + L.GENERATION));
    this.#correspondence.failed(id, packError(error));
  }

  /** A handler's promise has settled, in this thread: outside any run. */
  #settled(slot: number, failed: boolean): void {
    const words = this.#words;
    const base = L.baseOf(slot);
    if (failed) Atomics.or(words, base + L.COMMANDS, L.COMMAND_FAILED);
    else this.#counts[L.MESSAGES] = (this.#counts[L.MESSAGES] ?? 0) + 1;
    Atomics.store(words, base + L.ACTIVITY, Atomics.load(this.#header, L.TICK));
    Atomics.store(words, base + L.AWAIT, 0);
    this.#wake(slot);
  }
}

/** What frame() gave. */
function length(value: unknown): number {
  // Not isSafeInteger(): a length of 2^60, as a peer may claim, is a whole number, and too long.
  if (typeof value === 'number' && value >= 0 && Number.isInteger(value)) return value;
  throw invalidType("what the protocol's frame() gives", 'a whole number of at least 0', value);
}
