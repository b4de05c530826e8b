/**
 * Takes what the threads send: entries of their rings, and the values in their ports. Events go to whoever wants them,
 * requests to the registry, what handlers posted or threw to the service's listeners.
 */
import type { MessagePort } from 'node:worker_threads';
import { now } from '../../../shared/clock.js';
import { joinWord64 } from '../../../shared/epoll/events.js';
import * as L from '../../../shared/service/layout.js';
import { RingReader } from '../../../shared/service/ring.js';
import type { Registry } from '../registry/registry.js';
import { Requests } from '../registry/requests.js';
import { throwLater } from '../uncaught.js';
import { Consumer, eventOf, type HeldEvent, type ServiceEvent } from './consumer.js';
import { Mail, type MailSink } from './mail.js';
import { StandIn } from './stand-in.js';

/** How much is taken, and for how many milliseconds, before the event loop has a turn. */
const ENTRIES_A_TURN = 1024;
const TURN_MS = 5;
/** How much is taken from one ring, or from the kernel, before it is the next one's turn: at most; less for slow listeners. */
const ENTRIES_A_SOURCE = 16;
/** How often the kernel is asked for one event. */
const LOOKS_A_PULL = 16;

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
  readonly #sink: Sink;
  readonly #registry: Registry;
  readonly #requests: Requests;
  readonly #standIn: StandIn | undefined;
  readonly #mail: Mail;
  readonly #again: () => void;
  readonly afterTurn: (call: () => void) => void;
  readonly #take = (held: HeldEvent): void => this.#deliver(held);
  /** The ring whose turn it is; after the last, what the kernel has. */
  #turn = 0;
  #most = ENTRIES_A_SOURCE;
  #scheduled = false;
  /** A consumer has pulled an event, and will come for the next. */
  #pulling = false;

  constructor({ plan, capacity, registry, sink, epfd, portOf, again, afterTurn }: IntakeParts) {
    this.#sink = sink;
    this.#registry = registry;
    this.#mail = new Mail(plan, registry, sink, portOf);
    this.#again = again;
    this.afterTurn = afterTurn;
    this.links = Array.from({ length: plan.threads }, (_, index) => {
      const memory = L.threadOf(plan, index);
      return { memory, ring: new RingReader(memory) };
    });
    this.consumer = new Consumer(registry);
    this.#requests = new Requests(registry, capacity, (error, event) => sink.error(error, event));
    if (epfd !== undefined) this.#standIn = new StandIn(plan, epfd, registry, this.#requests, ENTRIES_A_SOURCE);
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

  /** False: there may be more. */
  #takeAll(): boolean {
    const until = now() + TURN_MS;
    const sources = this.links.length + 1;
    let left = ENTRIES_A_TURN;
    for (let quiet = 0; quiet < sources; ) {
      const source = this.#turn;
      // Before it is served: the next one's turn comes whatever a listener throws.
      this.#turn = (source + 1) % sources;
      const taken = this.#takeFrom(source, this.#most) + this.#takeDue();
      quiet = taken === 0 ? quiet + 1 : 0;
      if (taken === 0) continue;
      left -= taken;
      const late = now() > until;
      this.#most = late ? Math.max(1, this.#most >> 1) : Math.min(ENTRIES_A_SOURCE, this.#most * 2);
      if (left <= 0 || late) return false;
    }
    return true;
  }

  /** At most `most` entries of one ring, or what the kernel has. How many. */
  #takeFrom(index: number, most: number): number {
    const link = this.links[index];
    if (link === undefined) return this.#sink.wantsEvents ? (this.#standIn?.take(most, this.#take) ?? 0) : 0;
    const { ring } = link;
    let taken = 0;
    for (; taken < most; taken++) {
      const at = ring.peek();
      if (at < 0) break;
      if (ring.ring[at + L.OP] !== L.EVENT) {
        this.#carryOut(index, ring, at);
        continue;
      }
      if (!this.#sink.wantsEvents) break;
      this.#deliver(shiftEvent(ring, at));
    }
    return taken;
  }

  #carryOut(index: number, ring: RingReader, at: number): void {
    const entry = ring.ring;
    const op = entry[at + L.OP] ?? 0;
    const slot = entry[at + L.OP_SLOT] ?? 0;
    const generation = entry[at + L.OP_GENERATION] ?? 0;
    const fd = entry[at + L.OP_FD] ?? 0;
    const mask = entry[at + L.OP_MASK] ?? 0;
    const low = (entry[at + L.OP_LOW] ?? 0) >>> 0;
    const high = (entry[at + L.OP_HIGH] ?? 0) >>> 0;
    ring.shift();
    const requests = this.#requests;
    if (op === L.REARM) requests.rearm(slot, generation);
    else if (op === L.RELEASED) requests.released(slot, generation);
    else if (op === L.POST) this.#mail.open(index, this.#mail.receive(index));
    else if (op === L.REGISTER) requests.register(fd, mask, low, high);
    else if (op === L.MODIFY) requests.modify(slot, generation, fd, mask, low, high);
    else {
      const event = { fd, events: mask >>> 0, data: joinWord64(low, high) };
      if (op === L.ERROR) this.#mail.open(index, this.#mail.receive(index), slot, generation, event);
      else requests.remove(slot, generation, op === L.CLOSE, event);
    }
  }

  /** An event for a listener; it is let go when the listener has returned, or thrown. */
  #deliver(held: HeldEvent): void {
    const event = this.consumer.open(held);
    if (event === undefined) return;
    let threw = true;
    try {
      this.#sink.event(event);
      threw = false;
    } finally {
      // Before this one: it is the others' turn the next time.
      if (threw || !this.#sink.wantsEvents) this.#standIn?.giveBack();
      this.consumer.release(held);
    }
  }

  /** What is due once more, while there is a listener. How many. */
  #takeDue(): number {
    let taken = 0;
    for (; taken < this.#most && this.#sink.wantsEvents; taken++) {
      const held = this.consumer.shiftDue();
      if (held === undefined) break;
      this.#deliver(held);
    }
    return taken;
  }

  /** The next event, for a consumer that asks for them one by one; undefined: `pullable` follows when there may be one. */
  pull(): HeldEvent | undefined {
    const standIn = this.#standIn;
    standIn?.begin();
    let event = this.#nextAtHand();
    for (let looks = 1; event === undefined && standIn !== undefined && standIn.look(ENTRIES_A_SOURCE) > 0; looks++) {
      event = this.#nextAtHand();
      if (looks < LOOKS_A_PULL) continue;
      // Nothing but what threads hold, or what is no more, over and over.
      if (event === undefined) this.#again();
      break;
    }
    this.#pulling = event !== undefined;
    if (!this.#pulling) standIn?.end();
    return event;
  }

  #nextAtHand(): HeldEvent | undefined {
    return this.consumer.shiftDue() ?? this.#standIn?.shift() ?? this.#pullFromRings();
  }

  /** That consumer asks for no more. Before it lets go of what it has: it is the others' turn the next time. */
  abandon(): void {
    this.#pulling = false;
    this.#standIn?.giveBack();
    this.#standIn?.end();
  }

  #pullFromRings(): HeldEvent | undefined {
    for (let i = 0; i < this.links.length; i++) {
      this.#turn = (this.#turn + 1) % this.links.length;
      const ring = this.links[this.#turn]?.ring;
      const at = ring?.peek() ?? -1;
      if (ring === undefined || at < 0) continue;
      if (ring.ring[at + L.OP] === L.EVENT) return shiftEvent(ring, at);
    }
    return undefined;
  }

  /** What thread `index` counted, and what counts for it. */
  countsOf(index: number): Float64Array | undefined {
    return this.#standIn?.stats[index];
  }

  /** What is due, or held by the consumer, or in a ring. */
  isOnItsWay(slot: number, generation: number): boolean {
    return (
      this.consumer.isDue(slot, generation) ||
      this.#sink.holds(slot, generation) ||
      this.links.some(({ ring }) => ring.has(L.EVENT, slot, generation))
    );
  }

  /** A thread has given an event up, or lost it with its life. */
  rearm(slot: number, generation: number): void {
    this.#requests.rearm(slot, generation);
  }

  /**
   * Takes what a dead thread has sent: its ring, if there is a handler (events wait for whoever wants them), and what it
   * could not announce there any more. Listeners may throw: `guarded` sees to that.
   */
  takeRest(index: number, ring: boolean, guarded: (call: () => void) => void): void {
    const link = this.links[index];
    if (link === undefined) return;
    if (ring) while (link.ring.peek() >= 0) guarded(() => this.#takeFrom(index, 1));
    const { words } = link.memory;
    const [slot = 0, generation = 0, mask = 0] = words.subarray(L.AT_SLOT, L.AT_MASK + 1);
    for (let parcel = this.#mail.receive(index); parcel !== undefined; parcel = this.#mail.receive(index)) {
      const last = parcel;
      const event = this.#registry.table.isHeld(slot, generation) ? eventOf(this.#registry, slot, mask) : undefined;
      guarded(() => this.#mail.open(index, last, slot, generation, event));
    }
    this.#mail.settle(index, words[L.POSTED] ?? 0);
  }

  /** Takes all there is. Whatever listeners throw is an uncaught exception, and the rest is taken all the same. */
  drainQuietly(): void {
    for (;;) {
      try {
        if (this.#takeAll()) return;
      } catch (error) {
        throwLater(error);
      }
    }
  }
}

function shiftEvent(ring: RingReader, at: number): HeldEvent {
  const slot = ring.ring[at + L.OP_SLOT] ?? 0;
  const generation = ring.ring[at + L.OP_GENERATION] ?? 0;
  const mask = ring.ring[at + L.OP_MASK] ?? 0;
  ring.shift();
  return { slot, generation, mask };
}
