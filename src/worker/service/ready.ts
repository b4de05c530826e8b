/** What a handler is given: one registration that is ready. */

import type { EventInit, FdLike } from '../../shared/arguments.js';
import * as args from '../../shared/arguments.js';
import { joinWord64 } from '../../shared/epoll/events.js';
import { EPOLLEXCLUSIVE } from '../../shared/epoll/flags.js';
import { invalidState, outOfRange } from '../../shared/errors.js';
import { readInto, writeFrom } from '../../shared/kernel/transfer.js';
import * as claims from '../../shared/service/claim.js';
import * as L from '../../shared/service/layout.js';
import type { Outbox } from './outbox.js';

/** What a handler is given. The object is reused: it is valid until the handler returns, or its promise settles. */
export interface Ready {
  /** The registration's fd. */
  readonly fd: number;
  /** What it is ready for, unsigned. */
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

/** The one object of a thread, moved from registration to registration by the wait loop. */
export class ReadyRegistration implements Ready {
  readonly #plan: L.Plan;
  readonly #slots: Int32Array;
  readonly #outbox: Outbox;
  readonly #stride: number;
  readonly #states: Uint8Array[] = [];
  #running = false;
  #slot = 0;
  #generation = 0;
  #fd = 0;
  #events = 0;
  #low = 0;
  #high = 0;
  /** UNREGISTER or CLOSE, once this run has asked for it. */
  #ended = NOT_ENDED;
  #sawEmpty = false;

  constructor(plan: L.Plan, outbox: Outbox) {
    this.#plan = plan;
    this.#slots = L.slotsOf(plan);
    this.#outbox = outbox;
    this.#stride = L.stateStride(plan.stateBytes);
  }

  /** For the wait loop: a run begins. */
  begin(slot: number, generation: number, fd: number, events: number, low: number, high: number): void {
    this.#running = true;
    this.#slot = slot;
    this.#generation = generation;
    this.#fd = fd;
    this.#events = events;
    this.#low = low;
    this.#high = high;
    this.#ended = NOT_ENDED;
    this.#sawEmpty = false;
  }

  /** For the wait loop: the run has ended. */
  end(): void {
    this.#running = false;
  }

  /** For the wait loop: the run has failed; the main thread is told. */
  fail(thrown: unknown): void {
    this.#outbox.error(thrown);
    this.#push(L.ERROR);
  }

  /** For the wait loop: whether the last read of this run would have blocked. */
  get sawEmpty(): boolean {
    return this.#sawEmpty;
  }

  get fd(): number {
    return this.#fd;
  }

  get events(): number {
    return this.#events;
  }

  get data(): bigint {
    return joinWord64(this.#low, this.#high);
  }

  get state(): Uint8Array {
    this.#check();
    if (this.#stride === 0) return NO_STATE;
    let view = this.#states[this.#slot];
    if (view === undefined) {
      view = new Uint8Array(this.#plan.state, this.#slot * this.#stride, this.#plan.stateBytes);
      this.#states[this.#slot] = view;
    }
    return view;
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
    this.#outbox.post(value);
  }

  register(fd: FdLike, event: EventInit): void {
    this.#check();
    const target = args.descriptor(fd);
    const events = serviceMask(event, target);
    this.#outbox.push(L.REGISTER, this.#slot, this.#generation, target, events, data[0], data[1]);
  }

  modify(event: EventInit): void {
    this.#check();
    const events = serviceMask(event, this.#fd);
    this.#rest();
    this.#outbox.push(L.MODIFY, this.#slot, this.#generation, this.#fd, events, data[0], data[1]);
  }

  unregister(): void {
    this.#finish(L.UNREGISTER);
  }

  close(): void {
    this.#finish(L.CLOSE);
  }

  #finish(op: number): void {
    this.#check();
    // Asked twice, or for less: done already. A close() after unregister() is told that there is nothing to close.
    if (this.#ended === op || this.#ended === L.CLOSE) return;
    this.#ended = op;
    this.#rest();
    this.#push(op);
  }

  /** Before the request: set after it, REST could meet a registration that the request has armed already. */
  #rest(): void {
    claims.rest(this.#slots, this.#slot * L.SLOT_WORDS + L.CLAIM, this.#generation);
  }

  /** With the event of this run: an 'error' is to tell it, whatever has become of the registration by then. */
  #push(op: number): void {
    this.#outbox.push(op, this.#slot, this.#generation, this.#fd, this.#events, this.#low, this.#high);
  }

  #check(): void {
    if (!this.#running) throw invalidState('a Ready is valid until its handler returns, or its promise settles');
  }
}

/** Checks the event of a register or modify; its data goes to `data`. */
function serviceMask(event: EventInit, fd: number): number {
  const events = args.eventInit(event, fd, data);
  if (events & EPOLLEXCLUSIVE) throw outOfRange('event.events', 'without EPOLLEXCLUSIVE in a service', events);
  return events;
}
