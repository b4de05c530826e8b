/** The reusable buffer that a wait fills. */
import { integer } from '../arguments.js';
import { ENOMEM, EpollError, invalidType, outOfRange } from '../errors.js';
import { DATA_HIGH, DATA_LOW, EVENT_WORDS, MAX_EVENTS } from '../kernel/syscalls.js';

/** One `struct epoll_event`: the mask and the caller's 64-bit identifier. */
export interface Event {
  readonly events: number;
  readonly data: bigint;
}

/** INT_MAX / 12: what the contract allows on every architecture. */
const MAX_CAPACITY = 178_956_970;

const halves = new Uint32Array(2);
const whole = new BigUint64Array(halves.buffer);

/** Two halves as one u64. */
export function joinWord64(low: number, high: number): bigint {
  halves[0] = low;
  halves[1] = high;
  return whole[0] ?? 0n;
}

/**
 * Fills a buffer's events by `call`, which is told where and how many at most, and returns how many or an errno. With
 * `keep`, a call that finds nothing leaves the buffer as it was.
 */
export let fill: <A, B>(
  events: Events,
  call: (a: A, words: Uint32Array, max: number, b: B) => number,
  a: A,
  b: B,
  keep?: boolean,
) => number;

/** Takes out the events from `from` on that carry this. */
export let discard: (events: Events, from: number, low: number, high: number) => void;

/** Throws ERR_INVALID_ARG_TYPE for whatever was not made by `new Events`. */
export let checkEvents: (events: unknown) => void;

/** A reusable buffer that `wait` fills: `capacity` events, of which the first `length` are valid. */
export class Events implements Iterable<Event> {
  readonly #words: Uint32Array;
  readonly #capacity: number;
  #length = 0;

  static {
    fill = (events, call, a, b, keep = false) => {
      const n = call(a, events.#words, Math.min(events.#capacity, MAX_EVENTS), b);
      if (n !== 0 || !keep) events.#length = Math.max(n, 0);
      return n;
    };
    discard = (events, from, low, high) => {
      const words = events.#words;
      let kept = from;
      for (let i = from; i < events.#length; i++) {
        const at = i * EVENT_WORDS;
        if (words[at + DATA_LOW] === low && words[at + DATA_HIGH] === high) continue;
        words.copyWithin(kept * EVENT_WORDS, at, at + EVENT_WORDS);
        kept++;
      }
      events.#length = kept;
    };
    checkEvents = events => {
      if (typeof events !== 'object' || events === null || !(#words in events)) {
        throw invalidType('events', 'an Events buffer', events);
      }
    };
  }

  /**
   * @param capacity the most events that one wait returns: 1 to INT_MAX / 12
   * @throws RangeError ERR_OUT_OF_RANGE, TypeError ERR_INVALID_ARG_TYPE, EpollError ENOMEM
   */
  constructor(capacity: number) {
    this.#capacity = integer(capacity, 'capacity', 1, MAX_CAPACITY);
    try {
      this.#words = new Uint32Array(this.#capacity * EVENT_WORDS);
    } catch {
      throw new EpollError(ENOMEM, 'mmap');
    }
  }

  get capacity(): number {
    return this.#capacity;
  }

  get length(): number {
    return this.#length;
  }

  /** The mask of event `index`, unsigned; allocates nothing. @throws RangeError at or past `length` */
  eventsAt(index: number): number {
    if (!(typeof index === 'number' && index >>> 0 === index && index < this.#length)) this.#reject(index);
    return this.#words[index * EVENT_WORDS] ?? 0;
  }

  /** The 64 bits that the fd was registered with. @throws RangeError at or past `length` */
  dataAt(index: number): bigint {
    if (!(typeof index === 'number' && index >>> 0 === index && index < this.#length)) this.#reject(index);
    const at = index * EVENT_WORDS;
    halves[0] = this.#words[at + DATA_LOW] ?? 0;
    halves[1] = this.#words[at + DATA_HIGH] ?? 0;
    return whole[0] ?? 0n;
  }

  *[Symbol.iterator](): IterableIterator<Event> {
    for (let i = 0; i < this.#length; i++) yield { events: this.eventsAt(i), data: this.dataAt(i) };
  }

  #reject(index: unknown): never {
    if (typeof index !== 'number') throw invalidType('index', 'a number', index);
    throw outOfRange('index', `a whole number below length, ${this.#length}`, index);
  }
}
