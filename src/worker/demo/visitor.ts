/**
 * What the demo's threads do with a connection that is ready: the same in every row, and written as one would for one
 * thread. It reads into the connection's inbox, handles the whole messages in it and keeps the rest. Nothing in it
 * keeps two threads apart; it only counts, with atomics, what happens.
 */
import { createHash } from 'node:crypto';
import * as L from '../../shared/demo/ledger.js';
import { ANSWER, connectionOf, frame, sequenceOf } from '../../shared/demo/message.js';

/** What reads and writes the connection: returns -1 when it would block. */
export interface Stream {
  read(buffer: NodeJS.ArrayBufferView): number;
  write(buffer: NodeJS.ArrayBufferView): number;
}

/** The handler's work: this many rounds of SHA-256 for a message; now and then it waits, as for a disk. */
const ROUNDS = 20;
const WAIT_EVERY = 64;
const WAIT_MS = 2;
const never = new Int32Array(new SharedArrayBuffer(4));

export class Visitor {
  readonly #ledger: L.Ledger;
  readonly #counts: Int32Array;
  readonly #inboxes: Uint8Array[];
  /** The thread's own copy of an inbox: the message in hand stays what it is. */
  readonly #copy = Buffer.alloc(L.INBOX);
  readonly #answer = Buffer.alloc(ANSWER);
  #amongDebris = false;

  constructor(ledger: L.Ledger) {
    this.#ledger = ledger;
    this.#counts = ledger.join();
    this.#inboxes = Array.from({ length: ledger.plan.connections }, (_, i) => ledger.inbox(i));
  }

  /** @param untilEmpty reads until a read would block, as edge-triggered programs must; otherwise once */
  visit(connection: number, stream: Stream, untilEmpty: boolean): void {
    const { inside } = this.#ledger;
    if (Atomics.add(inside, connection, 1) > 0) this.count(L.OVERLAPS);
    let reads = 0;
    while (this.#receive(connection, stream)) {
      reads++;
      if (!untilEmpty || this.#ledger.stopping) break;
    }
    if (reads === 0) this.count(L.EMPTY);
    Atomics.sub(inside, connection, 1);
  }

  /** One read, and the messages that are whole with it. False: there was nothing to read. */
  #receive(connection: number, stream: Stream): boolean {
    const { received } = this.#ledger;
    const inbox = this.#inboxes[connection];
    if (inbox === undefined) return false;
    let length = received[connection] ?? 0;
    if (length >= L.INBOX) {
      // Only two threads at once can have filled it with what is no message.
      length = 0;
      this.count(L.TORN);
    }
    const n = stream.read(inbox.subarray(length));
    if (n <= 0) return false;
    length += n;
    received[connection] = length;
    const used = this.#handleAll(connection, inbox.subarray(0, length), stream);
    inbox.copyWithin(0, used, length);
    received[connection] = length - used;
    return true;
  }

  /** @returns how many bytes are done with */
  #handleAll(connection: number, bytes: Uint8Array, stream: Stream): number {
    const copy = this.#copy;
    copy.set(bytes);
    for (let at = 0; ; ) {
      const { kind, length } = frame(copy.subarray(at, bytes.length));
      if (kind === 'part') return at;
      const message = copy.subarray(at, at + length);
      at += length;
      if (kind === 'whole' && connectionOf(message) === connection) this.#handle(connection, message, stream);
      else this.#debris();
    }
  }

  #debris(): void {
    if (!this.#amongDebris) this.count(L.TORN);
    this.#amongDebris = true;
  }

  #handle(connection: number, message: Buffer, stream: Stream): void {
    const { seen, last } = this.#ledger;
    this.#amongDebris = false;
    const sequence = sequenceOf(message);
    const times = Atomics.add(seen, this.#ledger.firstOf(connection) + sequence, 1);
    this.count(times === 0 ? L.HANDLED : L.DOUBLED);
    if (Atomics.exchange(last, connection, sequence + 1) > sequence + 1) this.count(L.DISORDERED);
    let digest = message;
    for (let i = 0; i < ROUNDS; i++) digest = createHash('sha256').update(digest).update(message).digest();
    if ((connection + sequence) % WAIT_EVERY === 0) Atomics.wait(never, 0, 0, WAIT_MS);
    this.#answer.writeUInt32LE(sequence);
    stream.write(this.#answer);
  }

  count(field: number): void {
    Atomics.add(this.#counts, field, 1);
  }
}
