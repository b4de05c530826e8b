/**
 * Takes what the threads send. One reader serves all who ask: it carries out the requests at the head of a ring, notes what is
 * for listeners (mail.ts), and stops at an event, which waits for whoever wants it.
 */
import { setImmediate } from 'node:timers';
import type { MessagePort } from 'node:worker_threads';
import { now } from '../../../shared/clock.js';
import type { Files } from '../../../shared/service/files.js';
import * as L from '../../../shared/service/layout.js';
import { RingReader } from '../../../shared/service/ring.js';
import type { Waking } from '../../../shared/service/waking.js';
import type { Registry } from '../registry/registry.js';
import { entryEvent, Requests } from '../registry/requests.js';
import { throwLater } from '../uncaught.js';
import { Consumer, type HeldEvent } from './consumer.js';
import { Mail, type MailSink } from './mail.js';
import type { ServiceEvent } from './service-event.js';
import { StandIn } from './stand-in.js';

/** How much is taken, and for how many milliseconds, before the event loop has a turn. */
const ENTRIES_A_TURN = 1024;
const TURN_MS = 5;
/** How much of it what handlers have asked for may take first, so that slow listeners do not keep it waiting. */
const READING_MS = 2;
/** How much is taken from one ring, or from the kernel, before it is the next one's turn: at most; less for slow listeners. */
const ENTRIES_A_SOURCE = 16;

/** Where events go on the main thread. What it throws is an uncaught exception. */
export interface Sink extends MailSink {
  /** Whether `event` is to be called. */
  readonly wantsEvents: boolean;
  event(event: ServiceEvent): void;
  /** There may be something to `pull`. */
  pullable(): void;
  /** Whether it has an event that it pulled, and has not released. */
  holds(slot: number, generation: number): boolean;
}

/** One thread, as seen from here. */
export interface Link {
  readonly memory: L.ThreadMemory;
  readonly ring: RingReader;
}

export interface IntakeParts {
  readonly plan: L.Plan;
  readonly capacity: number;
  readonly registry: Registry;
  readonly files: Files;
  readonly waking: Waking;
  readonly sink: Sink;
  /** The epoll instance, if what is ready is for the main thread: the service has no handler. */
  readonly epfd: number | undefined;
  portOf(index: number): MessagePort | undefined;
  /** Has `drain` called again after the event loop had a turn; does not hold the process where the service does not. */
  again(): void;
  /** Calls back after the event loop had a turn; holds the process no more than `again`. */
  afterTurn(call: () => void): void;
}

export class Intake {
  readonly consumer: Consumer;
  readonly links: readonly Link[];
  readonly afterTurn: (call: () => void) => void;
  readonly #sink: Sink;
  readonly #registry: Registry;
  readonly #requests: Requests;
  readonly #standIn: StandIn | undefined;
  readonly #mail: Mail;
  readonly #again: () => void;
  /** The source whose turn it is: the rings, then what the kernel has. */
  #turn = 0;
  #most = ENTRIES_A_SOURCE;
  #scheduled = false;
  /** A consumer has pulled an event, and will come for the next. */
  #pulling = false;
  /** When the present turn is over. */
  #until = 0;

  constructor(parts: IntakeParts) {
    const { plan, capacity, registry, files, waking, sink, epfd } = parts;
    const { table } = registry;
    this.#sink = sink;
    this.#registry = registry;
    this.#mail = new Mail(plan, sink, parts.portOf);
    this.#again = parts.again;
    this.afterTurn = parts.afterTurn;
    this.links = Array.from({ length: plan.threads }, (_, index) => {
      const memory = L.threadOf(plan, index);
      return { memory, ring: new RingReader(memory) };
    });
    if (epfd !== undefined) this.#standIn = new StandIn(plan, epfd, table, files, waking, ENTRIES_A_SOURCE);
    this.consumer = new Consumer(
      table,
      files,
      slot => this.#standIn?.due(slot),
      (thread, count) => this.#standIn?.handled(thread, count),
    );
    this.#requests = new Requests(registry, capacity, (error, event) => this.#mail.failure(error, event));
  }

  /** Takes what the threads have sent, as far as somebody wants it. */
  drain(): void {
    const standIn = this.#standIn;
    if (this.#sink.wantsEvents) standIn?.begin();
    let threw = true;
    try {
      if (!this.#takeAll()) this.#again();
      else if (!this.#pulling) standIn?.end();
      threw = false;
    } finally {
      // What a listener threw is for the process to deal with, the rest goes on.
      if (threw) this.drainSoon();
    }
    this.#sink.pullable();
  }

  /** The same, when the event loop comes round. */
  drainSoon(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.afterTurn(() => {
      this.#scheduled = false;
      this.drain();
    });
  }

  /**
   * Carries out whatever the threads have asked so far: what is asked on this thread comes after that. Listeners are told
   * when it is their turn.
   */
  catchUp(): void {
    for (let index = 0; index < this.links.length; index++) this.#toEvent(index, this.links[index]?.ring.length ?? 0);
    if (this.#mail.isWaiting) this.drainSoon();
  }

  /** Carries out at most `most` requests at the head of a ring, up to an event. How many. */
  #toEvent(index: number, most: number): number {
    const ring = this.links[index]?.ring;
    if (ring === undefined) return 0;
    let taken = 0;
    for (; taken < most; taken++) {
      const at = ring.peek();
      if (at < 0) break;
      const entries = ring.ring;
      const op = entries[at + L.OP];
      if (op === L.EVENT) break;
      if (op === L.POST) this.#mail.expect(index, entries[at + L.OP_NOTED] ?? 0);
      else if (op === L.ERROR) {
        this.#registry.failed(entries[at + L.OP_SLOT] ?? 0, entries[at + L.OP_GENERATION] ?? 0);
        this.#mail.expect(index, entries[at + L.OP_NOTED] ?? 0, entryEvent(entries, at));
      } else this.#requests.carryOut(entries, at);
      ring.shift();
    }
    return taken;
  }

  /** False: there may be more. */
  #takeAll(): boolean {
    const from = now();
    this.#until = from + TURN_MS;
    const sources = this.links.length + 1;
    this.#readRings(from + READING_MS);
    let left = ENTRIES_A_TURN;
    for (let quiet = 0; quiet < sources; ) {
      const source = this.#turn;
      // Before it is served: the next one's turn comes whatever a listener throws.
      this.#turn = (source + 1) % sources;
      const taken = this.#takeFrom(source, this.#most) + this.#tell();
      quiet = taken === 0 ? quiet + 1 : 0;
      // Nothing is left in the rings: what they have brought is told in the rounds to come.
      if (quiet === sources && this.#mail.isWaiting) quiet = 0;
      if (taken === 0) continue;
      left -= taken;
      const late = now() > this.#until;
      this.#most = late ? Math.max(1, this.#most >> 1) : Math.min(ENTRIES_A_SOURCE, this.#most * 2);
      if (left <= 0 || late) return false;
    }
    return true;
  }

  /**
   * Carries out what is asked in the rings, as far as they go now, before any listener is called; until a moment, or as long as
   * there is room for what listeners are to be told.
   */
  #readRings(until: number): void {
    for (let i = 0; i < this.links.length; i++) {
      const index = (this.#turn + i) % this.links.length;
      for (let left = this.links[index]?.ring.length ?? 0; left > 0 && !this.#mail.isFull; ) {
        const taken = this.#toEvent(index, Math.min(left, ENTRIES_A_SOURCE));
        if (taken === 0) break;
        left -= taken;
        if (now() > until) return;
      }
    }
  }

  /** At most `most` entries of one ring, or what the kernel has, unless listeners take too long. How many. */
  #takeFrom(index: number, most: number): number {
    const ring = this.links[index]?.ring;
    if (ring === undefined) return this.#takeReady(most);
    let taken = 0;
    while (taken < most && !this.#mail.isFull) {
      taken += this.#toEvent(index, most - taken);
      const held = taken < most && this.#sink.wantsEvents ? shiftEvent(ring, index) : undefined;
      if (held === undefined) break;
      taken++;
      this.#deliver(held);
      if (now() > this.#until) break;
    }
    return taken;
  }

  /** What is for the main thread to fetch, or due, while there is a listener. How many. */
  #takeReady(most: number): number {
    let taken = 0;
    while (taken < most && this.#sink.wantsEvents) {
      const held = this.#standIn?.next(most);
      if (held === undefined) break;
      taken++;
      this.#deliver(held);
      if (now() > this.#until) break;
    }
    return taken;
  }

  /** What listeners are to be told, as much as of one source. How much. */
  #tell(): number {
    const mail = this.#mail;
    if (mail.isWaiting && mail.isEmpty) this.#endRound();
    let told = 0;
    while (told < this.#most && !mail.isEmpty) {
      told++;
      mail.tell();
      if (now() > this.#until) break;
    }
    return told;
  }

  /** The mail's next round, if all that stood in the rings when the present one began was read, up to events. */
  #endRound(): void {
    for (const { ring } of this.links) {
      const at = ring.isPastMark ? -1 : ring.peek();
      if (at >= 0 && ring.ring[at + L.OP] !== L.EVENT) return;
    }
    this.#mail.nextRound();
    for (const { ring } of this.links) ring.mark();
  }

  /** An event for a listener; it is let go when the listener has returned, or thrown. */
  #deliver(held: HeldEvent): void {
    const event = this.consumer.open(held);
    if (event === undefined) return;
    try {
      this.#sink.event(event);
    } finally {
      // Before this one: it is the others' turn the next time.
      if (!this.#sink.wantsEvents) this.#standIn?.giveBack();
      this.consumer.release(held);
    }
  }

  /** The next event, for a consumer that asks for them one by one; undefined: `pullable` follows when there may be one. */
  pull(): HeldEvent | undefined {
    this.#standIn?.begin();
    const held = this.#pullFromRings() ?? this.#standIn?.next(ENTRIES_A_SOURCE);
    this.#pulling = held !== undefined;
    if (!this.#pulling) {
      if (this.#standIn?.isTired) this.#again();
      this.#standIn?.end();
    }
    if (this.#mail.isWaiting) this.drainSoon();
    return held;
  }

  /** That consumer asks for no more. Before it lets go of what it has: it is the others' turn the next time. */
  abandon(): void {
    this.#pulling = false;
    this.#standIn?.end();
  }

  #pullFromRings(): HeldEvent | undefined {
    for (let i = 0; i < this.links.length; i++) {
      this.#turn = (this.#turn + 1) % this.links.length;
      const ring = this.links[this.#turn]?.ring;
      this.#toEvent(this.#turn, ring?.length ?? 0);
      const held = ring && shiftEvent(ring, this.#turn);
      if (held !== undefined) return held;
    }
    return undefined;
  }

  /** What thread `index` counted, and what counts for it. */
  countsOf(index: number): Float64Array | undefined {
    return this.#standIn?.stats[index];
  }

  /** Whether it is with the consumer, or in a ring. */
  isOnItsWay(slot: number, generation: number): boolean {
    return this.#sink.holds(slot, generation) || this.links.some(({ ring }) => ring.has(L.EVENT, slot, generation));
  }

  /** Thread `index` is dead, and its ring is read: it is told, then `done` is called (mail.ts). */
  died(index: number, error: Error, events: readonly ServiceEvent[], done: () => void): void {
    this.#mail.death(index, error, events, done);
  }

  /** Takes all there is, with turns of the event loop. Whatever listeners throw is an uncaught exception, and the rest is taken. */
  async drainQuietly(): Promise<void> {
    for (;;) {
      try {
        if (this.#takeAll()) return;
      } catch (error) {
        throwLater(error);
      }
      await new Promise(resolve => setImmediate(resolve));
    }
  }
}

/** The event at the head of a ring; undefined: there is none. */
function shiftEvent(ring: RingReader, thread: number): HeldEvent | undefined {
  const at = ring.peek();
  if (at < 0 || ring.ring[at + L.OP] !== L.EVENT) return undefined;
  const slot = ring.ring[at + L.OP_SLOT] ?? 0;
  const generation = ring.ring[at + L.OP_GENERATION] ?? 0;
  const isCounted = ring.ring[at + L.OP_MASK] === 1;
  ring.shift();
  return { slot, generation, due: undefined, thread, isCounted };
}
