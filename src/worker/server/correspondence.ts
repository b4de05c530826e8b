/** What connections' objects are for in one thread: each call of theirs, in a run of that connection or outside of it. */
import * as args from '../../shared/arguments.js';
import { invalidType } from '../../shared/errors.js';
import { decode } from '../../shared/kernel/sockaddr.js';
import type { Arena } from '../../shared/server/arena.js';
import * as L from '../../shared/server/layout.js';
import * as lock from '../../shared/server/lock.js';
import * as mailbox from '../../shared/server/mailbox.js';
import { type PackedError, packError } from '../../shared/service/error-transfer.js';
import { alpnOf, peerCertificateOf, servernameOf } from '../../shared/tls/agreed.js';
import type { ThreadServices } from '../service/handler.js';
import type { ConnectionTls } from './connection.js';
import type { Host } from './live-connection.js';
import type { Framing } from './protocols/protocol.js';
import type { Senders } from './senders.js';
import { isThenable } from './thenable.js';
import type { Post, ServerTask, WakeThread } from './thread-setup.js';
import type { Wire } from './wire.js';

const NOBODY = -1;
const NOTHING = new Uint8Array(0);
const ENDED = L.ENDING | L.DOOMED | L.ENDED;
const MOST_ID = Number.MAX_SAFE_INTEGER;
/** How long what TLS has agreed on is waited for, where another thread has the connection: two that wait for each other go on then. */
const MOST_WAIT_MS = 1000;

/** What frame() may ask, of the connection that is being read. */
class LiveFraming implements Framing {
  base = 0;
  readonly maxMessage: number;
  readonly #words: Int32Array;
  readonly #header: Int32Array;

  constructor(words: Int32Array, header: Int32Array, maxMessage: number) {
    this.#words = words;
    this.#header = header;
    this.maxMessage = maxMessage;
  }

  get position(): number {
    return this.#words[this.base + L.POSITION] ?? 0;
  }

  set position(value: number) {
    if (this.position !== value) this.#words[this.base + L.POSITION] = value;
  }

  get ending(): boolean {
    // Asked when an answer is made too, outside any run: not of the connection that was framed last.
    return Atomics.load(this.#header, L.CLOSING) !== 0;
  }
}

export class Correspondence implements Host {
  readonly framing: Framing;
  readonly #framing: LiveFraming;
  readonly #task: ServerTask;
  readonly #words: Int32Array;
  readonly #header: Int32Array;
  readonly #own: Int32Array;
  readonly #arena: Arena;
  readonly #wire: Wire;
  readonly #senders: Senders;
  readonly #thread: ThreadServices;
  readonly #wake: WakeThread;
  readonly #owner: number;
  /** Whose run this thread is in. */
  #slot = NOBODY;
  #generation = 0;

  constructor(
    task: ServerTask,
    memory: L.ServerMemory,
    arena: Arena,
    wire: Wire,
    senders: Senders,
    thread: ThreadServices,
    wake: WakeThread,
  ) {
    this.#task = task;
    this.#words = memory.words;
    this.#header = memory.header;
    this.#own = memory.threads[thread.index]?.words ?? new Int32Array(8);
    this.#arena = arena;
    this.#wire = wire;
    this.#senders = senders;
    this.#thread = thread;
    this.#wake = wake;
    this.#owner = thread.index + 1;
    this.#framing = new LiveFraming(memory.words, memory.header, task.maxMessage);
    this.framing = this.#framing;
  }

  /** A run begins: this thread has the connection's lock. */
  enter(slot: number, generation: number): void {
    this.#slot = slot;
    this.#generation = generation;
  }

  leave(): void {
    this.#slot = NOBODY;
  }

  frames(base: number): void {
    this.#framing.base = base;
  }

  #isOwn(slot: number, generation: number): boolean {
    return slot === this.#slot && generation === this.#generation;
  }

  // ---- what it is -------------------------------------------------------------------------------------------

  isOpen(slot: number, generation: number): boolean {
    return lock.isOpen(this.#words, L.baseOf(slot), generation);
  }

  addressOf(slot: number, generation: number): { readonly address: string; readonly port: number } | undefined {
    const words = this.#words;
    const base = L.baseOf(slot);
    if (Atomics.load(words, base + L.GENERATION) !== generation) return undefined;
    const length = words[base + L.ADDRESS_BYTES] ?? 0;
    const bytes = Buffer.from(words.slice(base + L.ADDRESS, base + L.ADDRESS + L.ADDRESS_WORDS).buffer);
    if (Atomics.load(words, base + L.GENERATION) !== generation) return undefined;
    return length === 0 ? undefined : decode(bytes, Math.min(length, bytes.length));
  }

  tlsOf(slot: number, generation: number): ConnectionTls | undefined {
    if (!this.#task.tls) return undefined;
    const words = this.#words;
    const base = L.baseOf(slot);
    const isOwn = this.#isOwn(slot, generation);
    if (!isOwn && lock.takeSoon(words, base, generation, this.#owner, MOST_WAIT_MS) !== lock.TAKEN) return undefined;
    const ssl = L.loadWide(words, base + L.SSL);
    const details =
      ssl === 0
        ? undefined
        : { alpn: alpnOf(ssl), servername: servernameOf(ssl), peerCertificate: peerCertificateOf(ssl) };
    if (!isOwn) this.#senders.letGo(base, slot, generation, words[base + L.FLAGS] ?? 0);
    return details;
  }

  stateOf(slot: number, generation: number, known: Uint8Array | undefined): Uint8Array {
    const { state, stateBytes } = this.#task.plan;
    if (stateBytes === 0) return NOTHING;
    const base = L.baseOf(slot);
    if (Atomics.load(this.#words, base + L.GENERATION) !== generation) {
      // The bytes are another connection's, or will be: who asks this late has some of his own.
      return known === undefined || known.buffer === state ? new Uint8Array(stateBytes) : known;
    }
    if (known !== undefined) return known;
    this.#words[base + L.STATE_USED] = 1;
    return new Uint8Array(state, slot * L.stateStride(stateBytes), stateBytes);
  }

  pendingOf(slot: number, generation: number): number {
    const base = L.baseOf(slot);
    if (Atomics.load(this.#words, base + L.GENERATION) !== generation) return 0;
    return this.#wire.kept(base) + mailbox.bytesIn(this.#arena, this.#words, base);
  }

  // ---- what it does -----------------------------------------------------------------------------------------

  send(slot: number, generation: number, bytes: Uint8Array | string): boolean {
    return this.#send(slot, generation, bytesOf(bytes)) && this.pendingOf(slot, generation) === 0;
  }

  /** Whether it was taken. */
  #send(slot: number, generation: number, bytes: Uint8Array): boolean {
    if (!this.#isOwn(slot, generation)) return this.#senders.deliver(slot, generation, bytes, mailbox.DATA);
    const base = L.baseOf(slot);
    if (((this.#words[base + L.FLAGS] ?? 0) & ENDED) !== 0) return false;
    return bytes.byteLength === 0 || this.#wire.send(base, slot, bytes);
  }

  end(slot: number, generation: number, given: Uint8Array | string | undefined): void {
    const bytes = given === undefined ? NOTHING : bytesOf(given);
    if (!this.#isOwn(slot, generation)) {
      this.#senders.deliver(slot, generation, bytes, mailbox.LAST);
      return;
    }
    const base = L.baseOf(slot);
    // What others have sent before comes before.
    this.#wire.drain(base, slot, generation);
    if (!this.#send(slot, generation, bytes)) return;
    this.#words[base + L.FLAGS] = (this.#words[base + L.FLAGS] ?? 0) | L.ENDING;
    lock.shut(this.#words, base);
  }

  destroy(slot: number, generation: number): void {
    const base = L.baseOf(slot);
    if (this.#isOwn(slot, generation)) this.#wire.doom(base, 'destroyed');
    else if (lock.doom(this.#words, base, generation, lock.DESTROYED)) this.#wake(slot);
  }

  sendTo(id: number, bytes: Uint8Array | string): boolean {
    args.integer(id, 'id', 0, MOST_ID);
    const data = bytesOf(bytes);
    const slot = L.slotOf(id);
    return slot < this.#task.plan.slots && this.#send(slot, L.generationOf(id), data);
  }

  broadcast(bytes: Uint8Array | string, except: number | undefined): number {
    if (except !== undefined) args.integer(except, 'except', 0, MOST_ID);
    const data = bytesOf(bytes);
    const words = this.#words;
    const top = Atomics.load(this.#header, L.TOP);
    let count = 0;
    for (let slot = 0; slot < top; slot++) {
      const generation = Atomics.load(words, L.baseOf(slot) + L.GENERATION);
      if (generation === 0 || L.idOf(slot, generation) === except) continue;
      if (this.#send(slot, generation, data)) count++;
    }
    return count;
  }

  post(id: number, value: unknown): void {
    this.#post({ id, thread: this.#owner - 1, value });
  }

  /** A handler has thrown. */
  failed(id: number, error: PackedError): void {
    this.#post({ id, thread: this.#owner - 1, error });
  }

  /** Nobody waits for an async open() or close(); what it throws is told all the same. */
  watch(result: unknown, id: number): void {
    if (isThenable(result)) Promise.resolve(result).catch(error => this.failed(id, packError(error)));
  }

  #post(post: Post): void {
    this.#thread.post(post);
    Atomics.add(this.#own, L.POSTED, 1);
  }
}

/** @throws TypeError ERR_INVALID_ARG_TYPE */
function bytesOf(bytes: Uint8Array | string): Uint8Array {
  if (typeof bytes === 'string') return Buffer.from(bytes);
  if (!(bytes instanceof Uint8Array)) throw invalidType('bytes', 'a Uint8Array or a string', bytes);
  return bytes;
}
