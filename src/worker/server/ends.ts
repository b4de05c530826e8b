/**
 * How connections end, in a run: at once (finish), or when the peer has been sent what is kept, and our end of stream, and has ended its
 * own side (endSoon, then linger with every run). What still comes from it meanwhile is read and dropped: closing a socket with unread
 * input would reset it, and take from the peer what it was sent last.
 */
import { hasPassed, sharedDeadline } from '../../shared/clock.js';
import { shutdown } from '../../shared/kernel/sockets.js';
import { BYTES } from '../../shared/server/chain.js';
import * as L from '../../shared/server/layout.js';
import * as lock from '../../shared/server/lock.js';
import { type CloseReason, codeOfReason, reasonOf } from '../../shared/server/reasons.js';
import { report } from '../../shared/server/report.js';
import { packError } from '../../shared/service/error-transfer.js';
import * as tls from '../../shared/tls/session.js';
import type { Connections } from './connections.js';
import type { Correspondence } from './correspondence.js';
import type { Flags } from './flags.js';
import type { Handshakes } from './handshakes.js';
import type { LoadedModule } from './module.js';
import type { Reader } from './reader.js';
import type { ServerTask } from './thread-setup.js';
import { AT_END, BROKEN, MORE, type Wire } from './wire.js';

/** What one run drops before it is others' turn. */
const MOST_READS = 8;
const BOTH = 2;
/** How long a peer's end is waited for. */
const LINGER_MS = 10_000;
/** A connection that ended for an error lingers for a part of what one that was ended does. */
const LINGER_PART = 5;

export interface EndParts {
  readonly task: ServerTask;
  readonly memory: L.ServerMemory;
  readonly module: LoadedModule;
  readonly wire: Wire;
  readonly reader: Reader;
  readonly flags: Flags;
  readonly handshakes: Handshakes;
  readonly correspondence: Correspondence;
  readonly connections: Connections;
}

export class Ends {
  readonly #task: ServerTask;
  readonly #memory: L.ServerMemory;
  readonly #words: Int32Array;
  readonly #header: Int32Array;
  readonly #module: LoadedModule;
  readonly #wire: Wire;
  readonly #reader: Reader;
  readonly #flags: Flags;
  readonly #handshakes: Handshakes;
  readonly #correspondence: Correspondence;
  readonly #connections: Connections;

  constructor({ task, memory, module, wire, reader, flags, handshakes, correspondence, connections }: EndParts) {
    this.#task = task;
    this.#memory = memory;
    this.#words = memory.words;
    this.#header = memory.header;
    this.#module = module;
    this.#wire = wire;
    this.#reader = reader;
    this.#flags = flags;
    this.#handshakes = handshakes;
    this.#correspondence = correspondence;
    this.#connections = connections;
  }

  /** A handshake, or an end, that may have taken too long. */
  late(base: number): void {
    const deadline = this.#words[base + L.DEADLINE] ?? 0;
    if (deadline === 0 || !hasPassed(deadline)) return;
    const flags = this.#flags.of(base);
    if (flags & L.SHAKING) this.#wire.doom(base, 'handshake');
    else if (flags & L.ENDING) this.#wire.doom(base, 'end');
  }

  /** idleTimeout may have passed. */
  idle(base: number, slot: number): void {
    const words = this.#words;
    const since = Atomics.load(this.#header, L.TICK) - (words[base + L.ACTIVITY] ?? 0);
    const flags = this.#flags.of(base);
    if (Atomics.load(words, base + L.AWAIT) !== 0 || since < this.#task.idleTicks) return;
    if ((flags & L.OPENED) === 0 || (flags & (L.ENDING | L.DOOMED)) !== 0) return;
    const inMiddle = (words[base + L.INPUT + BYTES] ?? 0) > 0;
    const error = Object.assign(new Error('idleTimeout has passed in the middle of a message'), { code: 'ETIMEDOUT' });
    if (!inMiddle || !this.refuse(base, slot, error)) this.#wire.doom(base, 'idle');
    else this.endFor(base, slot, 'idle');
  }

  /** What the peer did is no message: it is told what refuse() gives, and then the connection ends. */
  end(base: number, slot: number, reason: CloseReason, error: unknown): void {
    this.refuse(base, slot, error);
    this.endFor(base, slot, reason);
  }

  /** Sends what refuse() gives. Whether there was something. */
  refuse(base: number, slot: number, error: unknown): boolean {
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

  /** Its handler, or its peer, has ended it: sends what is kept, and no message more. */
  endFor(base: number, slot: number, reason: CloseReason): void {
    const words = this.#words;
    if (words[base + L.REASON] === 0) words[base + L.REASON] = codeOfReason(reason);
    this.endSoon(base, slot, LINGER_MS / LINGER_PART);
  }

  /** No further message; our end of stream when all is sent. */
  endSoon(base: number, slot: number, ms = LINGER_MS): void {
    const words = this.#words;
    this.#flags.set(base, L.ENDING);
    lock.shut(words, base);
    this.#reader.forget(slot);
    if (words[base + L.DEADLINE] === 0) words[base + L.DEADLINE] = sharedDeadline(ms);
  }

  /** Goes on with an end. Whether there may be more to do at once. */
  linger(base: number, slot: number, generation: number): boolean {
    const words = this.#words;
    if (words[base + L.DEADLINE] === 0) this.endSoon(base, slot);
    this.#wire.drain(base, slot, generation);
    const before = this.#wire.kept(base);
    if (!this.#wire.flush(base)) return false;
    const after = this.#wire.kept(base);
    if (after < before) words[base + L.DEADLINE] = sharedDeadline(LINGER_MS);
    if (after === 0 && (this.#flags.of(base) & L.END_SENT) === 0) this.#wire.sendEnd(base);
    for (let reads = 0; (this.#flags.of(base) & L.READABLE) !== 0; reads++) {
      if (reads === MOST_READS) {
        return true;
      }
      const n = this.#reader.discard(base);
      if (n === BROKEN) {
        this.#wire.doom(base, 'reset');
        return false;
      }
      if (n === AT_END) this.#flags.set(base, L.PEER_ENDED);
      if (n <= 0 && n !== MORE) this.#flags.clear(base, L.READABLE);
    }
    const both = L.PEER_ENDED | L.END_SENT;
    if ((this.#flags.of(base) & both) === both) this.#wire.doom(base, 'end');
    return false;
  }

  /** It is over: nothing touches the socket after this. @param reason if none is known */
  finish(base: number, slot: number, reason: CloseReason): void {
    const words = this.#words;
    if (words[base + L.REASON] === 0) words[base + L.REASON] = codeOfReason(reason);
    lock.shut(words, base);
    const flags = this.#flags.of(base);
    this.#flags.set(base, L.ENDED);
    this.#reader.forget(slot);
    this.#wire.chains.clear(base + L.OUTPUT);
    this.#wire.drain(base, slot, 0);
    const ssl = L.loadWide(words, base + L.SSL);
    this.#wire.countWire(base);
    if (ssl !== 0) {
      L.storeWide(words, base + L.SSL, 0);
      const quiet = L.SHAKING | L.END_SENT | L.BLOCKED | L.ERROR;
      if ((flags & quiet) === 0 && reasonOf(words[base + L.REASON] ?? 0) === 'idle') tls.shutdown(ssl);
      tls.freeSession(ssl);
    }
    this.#handshakes.releaseContext(base);
    // The fd is closed by the main thread, which may be busy: the peer is told now.
    if ((flags & L.END_SENT) === 0 || (flags & L.PEER_ENDED) === 0) shutdown(words[base + L.FD] ?? -1, BOTH);
    if (Atomics.load(words, base + L.AWAIT) !== 0) report(this.#memory, this.#task.bell, slot, L.REPORT_ENDED);
  }

  /** Calls close(), once nothing of it is at work, and tells the main thread. */
  close(base: number, slot: number, generation: number): void {
    const words = this.#words;
    const flags = this.#flags.of(base);
    if ((flags & L.CLOSE_CALLED) !== 0 || Atomics.load(words, base + L.AWAIT) !== 0) return;
    this.#flags.set(base, L.CLOSE_CALLED);
    const { close } = this.#module;
    if ((flags & L.OPENED) !== 0 && close !== undefined) {
      const connection = this.#connections.of(slot, generation);
      try {
        this.#correspondence.watch(close(connection, reasonOf(words[base + L.REASON] ?? 0)), connection.id);
      } catch (error) {
        this.#correspondence.failed(connection.id, packError(error));
      }
    }
    this.#connections.forget(slot, generation);
    report(this.#memory, this.#task.bell, slot, L.REPORT_ENDED | L.REPORT_DONE);
  }
}
