/**
 * Where a connection's input becomes messages: one thread's reader, for one connection at a time, during a run.
 *
 * Input is read into the thread's own buffer, and whole messages are handled from there, uncopied. What is left when the run ends is
 * kept: the beginning of a message, which frame() has seen, in the connection's INPUT chain, and what nobody has looked at behind
 * it, in BACKLOG. The next run takes up both, on whichever thread.
 *
 * The beginning of a message is in one of two places:
 *   in the buffer    from #start; while it is short, or was read in this run
 *   in the chain     longer than the buffer, or longer than SHORT when the run began. What is read then goes behind it: only counted
 *                    if the length is known already, through this thread's assembly for frame() if not.
 */
import { outOfRange } from '../../shared/errors.js';
import type { Arena } from '../../shared/server/arena.js';
import type { Chains } from '../../shared/server/chain.js';
import * as L from '../../shared/server/layout.js';
import { Assemblies } from './assembly.js';
import type { Wire } from './wire.js';

const BUFFER_BYTES = 65_536;
/** With less room than this behind what is there, it is moved to the front. */
const LEAST_ROOM = 8192;
/** Kept beginnings up to this long are copied back into the buffer. */
const SHORT = 4096;
/** Buffers that are kept for when handlers hold some. */
const MOST_SPARE = 16;

/** The connection's bytes would have exceeded what there is. */
export class OutOfMemory extends Error {}
/** A message beyond maxMessage. */
export class TooLong {
  readonly error: Error;
  constructor(most: number, length: number) {
    this.error = outOfRange('the bytes of a message', `at most ${most}`, length);
  }
}

/** What finds a message in `input`; undefined: whatever has come is one. */
export type Framer = (input: Buffer, seen: number) => number;

export class Reader {
  readonly #words: Int32Array;
  readonly #wire: Wire;
  readonly #chains: Chains;
  readonly #assemblies: Assemblies;
  readonly #maxMessage: number;
  readonly #spare: Buffer[] = [];
  #buffer: Buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES);
  #slot = 0;
  #base = 0;
  #start = 0;
  #end = 0;
  #seen = 0;
  #total = 0;
  #chained = false;
  /** Set once, before the first run. */
  frame: Framer | undefined;
  /** Whether the last message lies in the thread's buffer. */
  lent = false;

  constructor(words: Int32Array, arena: Arena, wire: Wire, maxMessage: number) {
    this.#words = words;
    this.#wire = wire;
    this.#chains = wire.chains;
    this.#assemblies = new Assemblies(arena, wire.chains);
    this.#maxMessage = maxMessage;
  }

  /** Takes up a connection's input where the last run has left it. */
  begin(slot: number): void {
    const words = this.#words;
    const base = L.baseOf(slot);
    this.#slot = slot;
    this.#base = base;
    this.#start = 0;
    this.#end = 0;
    this.#seen = words[base + L.SEEN] ?? 0;
    this.#total = words[base + L.TOTAL] ?? 0;
    const kept = this.#chains.bytesOf(base + L.INPUT);
    this.#chained = Math.max(kept, this.#total) > SHORT;
    if (kept === 0 || this.#chained) return;
    this.#end = this.#chains.peek(base + L.INPUT, this.#buffer, 0, kept);
    this.#clearInput();
  }

  #clearInput(): void {
    const words = this.#words;
    this.#chains.clear(this.#base + L.INPUT);
    words[this.#base + L.EPOCH] = ((words[this.#base + L.EPOCH] ?? 0) + 1) | 0;
    words[this.#base + L.SEEN] = 0;
    words[this.#base + L.TOTAL] = 0;
  }

  /** Whether the buffer has bytes behind the last message. */
  get hasMore(): boolean {
    return this.#end > this.#start;
  }

  /** The next whole message; undefined: more must come. @throws TooLong, OutOfMemory, and what frame() throws */
  next(): Buffer | undefined {
    if (this.#chained) return this.#nextOfChain();
    const have = this.#end - this.#start;
    if (have === 0) return undefined;
    if (this.#total === 0 && have > this.#seen) {
      this.#total = this.#measure(this.#buffer.subarray(this.#start, this.#end), this.#seen);
      this.#seen = have;
    }
    this.#check(have);
    if (this.#total === 0 || have < this.#total) return undefined;
    const message = this.#buffer.subarray(this.#start, this.#start + this.#total);
    this.#start += this.#total;
    this.#finish(true);
    return message;
  }

  #measure(input: Buffer, seen: number): number {
    return this.frame === undefined ? input.length : this.frame(input, seen);
  }

  #check(have: number): void {
    const length = Math.max(this.#total, this.#total === 0 ? have : 0);
    if (length > this.#maxMessage) throw new TooLong(this.#maxMessage, length);
  }

  /** The message is whole: the next begins behind it. */
  #finish(lent: boolean): void {
    this.#seen = 0;
    this.#total = 0;
    if (this.#words[this.#base + L.POSITION] !== 0) this.#words[this.#base + L.POSITION] = 0;
    this.lent = lent;
  }

  #nextOfChain(): Buffer | undefined {
    const at = this.#base + L.INPUT;
    const fresh = this.#end - this.#start;
    if (this.#total > 0) {
      const missing = this.#total - this.#chains.bytesOf(at);
      if (fresh < missing) {
        this.#chain();
        return undefined;
      }
      const message = Buffer.allocUnsafeSlow(this.#total);
      const kept = this.#chains.peek(at, message, 0, this.#total);
      this.#buffer.copy(message, kept, this.#start, this.#start + missing);
      this.#start += missing;
      this.#unchain();
      return message;
    }
    if (fresh === 0) return undefined;
    this.#chain();
    const epoch = this.#words[this.#base + L.EPOCH] ?? 0;
    const whole = this.#assemblies.whole(this.#slot, epoch, at);
    this.#total = this.#measure(whole, this.#seen);
    this.#seen = whole.length;
    this.#check(whole.length);
    if (this.#total === 0) return undefined;
    if (this.#total > whole.length) {
      this.#assemblies.drop(this.#slot);
      return undefined;
    }
    // What is behind the message came with the last bytes, as a rule, which still are in the buffer.
    const rest = whole.length - this.#total;
    if (rest <= fresh) this.#start = this.#end - rest;
    else if (!this.#putBack(whole, this.#total)) throw new OutOfMemory();
    const message = whole.subarray(0, this.#total);
    this.#unchain();
    return message;
  }

  #putBack(bytes: Buffer, from: number): boolean {
    return this.#chains.prepend(this.#base + L.BACKLOG, this.#slot + 1, bytes, from, bytes.length);
  }

  #unchain(): void {
    this.#assemblies.drop(this.#slot);
    this.#clearInput();
    this.#chained = false;
    this.#finish(false);
  }

  /** What is in the buffer goes behind the chain. */
  #chain(): void {
    if (!this.#chains.append(this.#base + L.INPUT, this.#slot + 1, this.#buffer, this.#start, this.#end)) {
      throw new OutOfMemory();
    }
    this.#start = this.#end;
    this.#chained = true;
  }

  /** Reads more, from what was kept unseen or from the socket. As Wire.read. @throws OutOfMemory */
  fill(): number {
    this.#makeRoom();
    const at = this.#base + L.BACKLOG;
    let room = BUFFER_BYTES - this.#end;
    if (this.frame === undefined) room = Math.min(room, this.#maxMessage);
    let n: number;
    if (this.#chains.bytesOf(at) > 0) {
      n = this.#chains.peek(at, this.#buffer, this.#end, room);
      this.#chains.drop(at, n);
      this.isFull = true;
    } else {
      n = this.#wire.read(this.#base, this.#buffer, this.#end, room);
      this.isFull = n === room;
    }
    if (n > 0) this.#end += n;
    return n;
  }

  /** Whether the last fill() left no room: there may be more. */
  isFull = false;

  /** Reads what nobody wants any more. As Wire.read. */
  discard(base: number): number {
    return this.#wire.read(base, this.#buffer, 0, BUFFER_BYTES);
  }

  #makeRoom(): void {
    if (this.#start === this.#end) {
      this.#start = 0;
      this.#end = 0;
    } else if (!this.#chained && this.#total > BUFFER_BYTES) {
      this.#chain();
      this.#makeRoom();
    } else if (this.#start > 0 && BUFFER_BYTES - this.#end < Math.max(LEAST_ROOM, this.#total)) {
      this.#buffer.copyWithin(0, this.#start, this.#end);
      this.#end -= this.#start;
      this.#start = 0;
    }
    if (this.#end === BUFFER_BYTES) {
      this.#chain();
      this.#makeRoom();
    }
  }

  /** All that is left of an unfinished message, in one piece. */
  leftover(): Buffer {
    if (!this.#chained) return this.#buffer.subarray(this.#start, this.#end);
    const at = this.#base + L.INPUT;
    const rest = Buffer.allocUnsafeSlow(this.#chains.bytesOf(at));
    this.#chains.peek(at, rest, 0, rest.length);
    return rest;
  }

  /** Takes all that is left as a message. */
  consume(): void {
    const lent = !this.#chained;
    if (this.#chained) this.#unchain();
    this.#start = this.#end;
    this.#finish(lent);
  }

  /** The run ends: keeps what is left. @throws OutOfMemory */
  end(): void {
    const words = this.#words;
    const base = this.#base;
    const tag = this.#slot + 1;
    if (this.#chained) {
      words[base + L.SEEN] = this.#seen;
      words[base + L.TOTAL] = this.#total;
    } else if (this.#seen > 0 || this.#total > 0) {
      if (!this.#chains.append(base + L.INPUT, tag, this.#buffer, this.#start, this.#end)) throw new OutOfMemory();
      words[base + L.SEEN] = this.#seen;
      words[base + L.TOTAL] = this.#total;
    } else if (this.#start < this.#end) {
      if (!this.#chains.prepend(base + L.BACKLOG, tag, this.#buffer, this.#start, this.#end)) throw new OutOfMemory();
    }
    this.#start = 0;
    this.#end = 0;
  }

  /** What was read last goes on being used: the reader has another buffer from now on. After end(). */
  lend(): Buffer {
    const lent = this.#buffer;
    this.#buffer = this.#spare.pop() ?? Buffer.allocUnsafeSlow(BUFFER_BYTES);
    return lent;
  }

  /** A buffer that was lent is not used any more. */
  giveBack(buffer: Buffer): void {
    if (this.#spare.length < MOST_SPARE) this.#spare.push(buffer);
  }

  /** Drops all that is kept of a connection's input. */
  forget(slot: number): void {
    const words = this.#words;
    const base = L.baseOf(slot);
    this.#assemblies.drop(slot);
    this.#chains.clear(base + L.BACKLOG);
    if (this.#chains.headOf(base + L.INPUT) < 0) return;
    this.#chains.clear(base + L.INPUT);
    words[base + L.EPOCH] = ((words[base + L.EPOCH] ?? 0) + 1) | 0;
    words[base + L.SEEN] = 0;
    words[base + L.TOTAL] = 0;
  }
}
