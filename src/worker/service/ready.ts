/** What a handler is given: one registration that is ready. */

import type { EventInit, FdLike } from '../../shared/arguments.js';
import * as args from '../../shared/arguments.js';
import { joinWord64 } from '../../shared/epoll/events.js';
import { EPOLLEXCLUSIVE } from '../../shared/epoll/flags.js';
import { invalidState, invalidType, outOfRange } from '../../shared/errors.js';
import { readInto, writeFrom } from '../../shared/kernel/transfer.js';
import * as claims from '../../shared/service/claim.js';
import * as L from '../../shared/service/layout.js';
import type { Waking } from '../../shared/service/waking.js';
import type { Outbox } from './outbox.js';

/**
 * What a handler is given. It is valid until the handler returns, or its promise settles; used later, it throws
 * (ERR_INVALID_STATE), or acts on its own registration if that runs again: never on another.
 */
export interface Ready {
  /** The registration's fd. */
  readonly fd: number;
  /** The registration's number, which no other one of this service ever has. */
  readonly id: number;
  /** What it is ready for, unsigned; 0 when it was woken and is not ready. */
  readonly events: number;
  /** What it was registered with, or modified to. */
  readonly data: bigint;
  /** This registration's own shared bytes (`stateBytes`), zeroed at register. */
  readonly state: Uint8Array;
  /** Bytes read; 0 at end of stream; -1 when it would block. Other failures throw EpollError. */
  read(buffer: NodeJS.ArrayBufferView): number;
  /** Bytes written; -1 when it would block. Other failures throw EpollError. */
  write(buffer: NodeJS.ArrayBufferView): number;
  /** Sends a structured clone of `value` to the service's 'message' listeners; waits while 1,024 are on their way. */
  post(value: unknown): void;
  /** One more run after the others had their turn, ready or not (`events` is 0 if it is not). */
  again(): void;
  /** The same for another registration of this service, by what register() gave; nothing if it has ended or rests. */
  wake(target: { readonly id: number }): void;
  /** Has another fd registered, in the order asked. A failure becomes an 'error' event that carries fd, mask and data. */
  register(fd: FdLike, event: EventInit): void;
  /** Replaces mask and data, and arms the registration again; it does not run until that is done. */
  modify(event: EventInit): void;
  /** Ends the registration; it does not run again. */
  unregister(): void;
  /** Unregisters, then closes the fd once nothing can touch it; closes nothing if the kernel knows no such fd here. */
  close(): void;
}

const NOT_ENDED = -1;
const NO_STATE = new Uint8Array(0);
const data = new Uint32Array(2);

/** What all of a thread's have in common. */
export interface ReadyParts {
  readonly plan: L.Plan;
  readonly slots: Int32Array;
  readonly outbox: Outbox;
  readonly waking: Waking;
}

/** One registration's, in one thread. */
export class ReadyRegistration implements Ready {
  slot: number;
  generation: number;
  readonly #parts: ReadyParts;
  #state: Uint8Array | undefined;
  #running = false;
  #fd = 0;
  #events = 0;
  #low = 0;
  #high = 0;
  /** UNREGISTER or CLOSE, once this run has asked for it. */
  #ended = NOT_ENDED;
  #sawEmpty = false;

  constructor(parts: ReadyParts, slot: number, generation: number) {
    this.#parts = parts;
    this.slot = slot;
    this.generation = generation;
  }

  /** It is another registration's from now on. */
  move(slot: number, generation: number): void {
    this.slot = slot;
    this.generation = generation;
    this.#state = undefined;
  }

  /** For the runner: a run begins. */
  begin(fd: number, events: number, low: number, high: number): void {
    this.#running = true;
    this.#fd = fd;
    this.#events = events;
    this.#low = low;
    this.#high = high;
    this.#ended = NOT_ENDED;
    this.#sawEmpty = false;
  }

  /** For the runner: the run has ended. */
  end(): void {
    this.#running = false;
  }

  /** For the runner: the run has failed; the main thread is told. */
  fail(thrown: unknown): void {
    this.#parts.outbox.error(thrown);
    this.#push(L.ERROR);
  }

  /** For the runner: whether the last read of this run would have blocked. */
  get sawEmpty(): boolean {
    return this.#sawEmpty;
  }

  get fd(): number {
    return this.#fd;
  }

  get id(): number {
    return L.idOf(this.slot, this.generation);
  }

  get events(): number {
    return this.#events;
  }

  get data(): bigint {
    return joinWord64(this.#low, this.#high);
  }

  get state(): Uint8Array {
    this.#check();
    if (this.#state !== undefined) return this.#state;
    const { plan, slots } = this.#parts;
    if (plan.stateBytes === 0) return NO_STATE;
    // Before it is seen: whoever registers next in this slot zeroes what was touched.
    Atomics.store(slots, this.slot * L.SLOT_WORDS + L.TOUCHED, 1);
    this.#state = new Uint8Array(plan.state, this.slot * L.stateStride(plan.stateBytes), plan.stateBytes);
    return this.#state;
  }

  read(buffer: NodeJS.ArrayBufferView): number {
    this.#check();
    this.#sawEmpty = false;
    const n = readInto(this.#fd, buffer);
    if (n < 0) this.#sawEmpty = true;
    return n;
  }

  write(buffer: NodeJS.ArrayBufferView): number {
    this.#check();
    return writeFrom(this.#fd, buffer);
  }

  post(value: unknown): void {
    this.#check();
    this.#parts.outbox.post(value);
  }

  again(): void {
    this.#check();
    claims.wake(this.#parts.slots, this.#base);
  }

  wake(target: { readonly id: number }): void {
    this.#check();
    wakeById(this.#parts.plan, this.#parts.waking, targetId(target));
  }

  register(fd: FdLike, event: EventInit): void {
    this.#check();
    const target = args.descriptor(fd);
    const events = serviceMask(event, target);
    this.#parts.outbox.push(L.REGISTER, this.slot, this.generation, target, events, data[0], data[1]);
  }

  modify(event: EventInit): void {
    this.#check();
    const events = serviceMask(event, this.#fd);
    this.#ask();
    this.#parts.outbox.push(L.MODIFY, this.slot, this.generation, this.#fd, events, data[0], data[1]);
  }

  unregister(): void {
    this.#finish(L.UNREGISTER);
  }

  close(): void {
    this.#finish(L.CLOSE);
  }

  #finish(op: number): void {
    this.#check();
    // Asked twice, or for less: done already. A close() after unregister() closes what is not registered any more: nothing.
    if (this.#ended === op || this.#ended === L.CLOSE) return;
    this.#ended = op;
    this.#ask();
    this.#push(op);
  }

  /** Before the request: it rests until that is carried out, whatever others ask for it meanwhile. */
  #ask(): void {
    Atomics.add(this.#parts.slots, this.#base + L.ASKS, 1);
    claims.ask(this.#parts.slots, this.#base);
  }

  /** With the event of this run: an 'error' is to tell it, whatever has become of the registration by then. */
  #push(op: number): void {
    this.#parts.outbox.push(op, this.slot, this.generation, this.#fd, this.#events, this.#low, this.#high);
  }

  get #base(): number {
    return this.slot * L.SLOT_WORDS;
  }

  #check(): void {
    if (!this.#running) throw invalidState('a Ready is valid until its handler returns, or its promise settles');
  }
}

/**
 * The objects that handlers are given. Each is one registration's for good, so that one that is used too late cannot mean
 * another; those used last are kept, so that a busy registration does not need a new one for each run.
 */
export class ReadyCache {
  readonly #parts: ReadyParts;
  readonly #only: ReadyRegistration | undefined;
  readonly #kept: Array<ReadyRegistration | undefined>;

  /** @param isTrusted whether the handler uses none after its run: one object is enough then @param size a power of two */
  constructor(parts: ReadyParts, isTrusted: boolean, size = 1024) {
    this.#parts = parts;
    this.#only = isTrusted ? new ReadyRegistration(parts, 0, 0) : undefined;
    this.#kept = new Array(isTrusted ? 0 : size).fill(undefined);
  }

  of(slot: number, generation: number): ReadyRegistration {
    const only = this.#only;
    if (only !== undefined) {
      only.move(slot, generation);
      return only;
    }
    const at = slot & (this.#kept.length - 1);
    const kept = this.#kept[at];
    if (kept !== undefined && kept.slot === slot && kept.generation === generation) return kept;
    const made = new ReadyRegistration(this.#parts, slot, generation);
    this.#kept[at] = made;
    return made;
  }
}

/** One more run for the registration of that id; nothing if it has ended. */
export function wakeById(plan: L.Plan, waking: Waking, id: number): boolean {
  const slot = L.slotOf(id);
  return slot < plan.slots && waking.wakeId(slot, id);
}

function targetId(target: { readonly id: number }): number {
  if ((typeof target !== 'object' && typeof target !== 'function') || target === null) {
    throw invalidType('target', 'an object with the id of a registration', target);
  }
  return args.integer(target.id, 'target.id', 0, Number.MAX_SAFE_INTEGER);
}

/** Checks the event of a register or modify; its data goes to `data`. */
function serviceMask(event: EventInit, fd: number): number {
  const events = args.eventInit(event, fd, data);
  if (events & EPOLLEXCLUSIVE) throw outOfRange('event.events', 'without EPOLLEXCLUSIVE in a service', events);
  return events;
}
