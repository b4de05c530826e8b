/**
 * Events of a service without a handler, on the main thread: for one consumer at a time, a listener or an iteration.
 *
 * The main thread holds a registration from the moment that it is reserved for it, by a thread (which puts that in its ring)
 * or by itself. What is due with it stays in the claim word until the consumer's turn comes, so that whatever came until then
 * is one event; what the main thread fetches is the consumer's at once. It is let go once the listener has returned, or the
 * iteration asks for the next; what came meanwhile, or a level registration that may still be ready, is due again then. What
 * the main thread holds is freed as soon as it is unregistered: the slot's generation says whether an event's registration
 * still is there.
 */
import { EPOLLERR, EPOLLHUP, EPOLLONESHOT, READINESS } from '../../../shared/epoll/flags.js';
import * as claims from '../../../shared/service/claim.js';
import type { Files } from '../../../shared/service/files.js';
import { SLOT_WORDS } from '../../../shared/service/layout.js';
import { NOT_ITS_FILE, readiness } from '../../../shared/service/readiness.js';
import type { SlotTable } from '../registry/slot-table.js';
import { eventOf, type ServiceEvent } from './service-event.js';

/** A registration that the main thread holds. */
export interface HeldEvent {
  readonly slot: number;
  readonly generation: number;
  /** What was taken with it; in the claim word, and more may come, if undefined. */
  readonly due: number | undefined;
  /** The thread whose event it is, and whether that has counted it as handled. */
  readonly thread: number;
  readonly isCounted: boolean;
}

export class Consumer {
  readonly #table: SlotTable;
  readonly #files: Files;
  readonly #onDue: (slot: number) => void;
  readonly #onHandled: (thread: number, count: number) => void;

  /**
   * @param onDue a registration that was let go is due
   * @param onHandled an event that was not counted is one after all (1), or one that was is none (-1)
   */
  constructor(
    table: SlotTable,
    files: Files,
    onDue: (slot: number) => void,
    onHandled: (thread: number, count: number) => void,
  ) {
    this.#table = table;
    this.#files = files;
    this.#onHandled = onHandled;
    this.#onDue = onDue;
  }

  /** What the consumer is to see of it; undefined: the registration is gone, or not ready any more. */
  open(event: HeldEvent): ServiceEvent | undefined {
    const opened = this.#open(event);
    // A look that finds nothing is no event, and a level registration has one after each of its events.
    if (event.isCounted !== (opened !== undefined)) this.#onHandled(event.thread, event.isCounted ? -1 : 1);
    return opened;
  }

  #open(event: HeldEvent): ServiceEvent | undefined {
    const table = this.#table;
    // The kernel has just told of it: it needs no look.
    const { slot, due: told } = event;
    if (told === undefined && !this.#isHeld(event)) return undefined;
    const interest = table.interestOf(slot);
    const due = told ?? claims.takeOwn(table.words, slot * SLOT_WORDS, (interest & EPOLLONESHOT) !== 0);
    const mask = told ?? readiness(this.#files, slot, due, interest, false, false);
    const events = mask & (interest | EPOLLERR | EPOLLHUP) & READINESS;
    if (mask === NOT_ITS_FILE || (events === 0 && (due & claims.WAKE) === 0)) {
      this.#letGo(slot, false);
      return undefined;
    }
    return eventOf(table, slot, events);
  }

  /** The consumer has done with it. */
  release(event: HeldEvent): void {
    if (this.#isHeld(event)) this.#letGo(event.slot, claims.isLevel(this.#table.interestOf(event.slot)));
  }

  #letGo(slot: number, look: boolean): void {
    const verdict = claims.release(this.#table.words, slot * SLOT_WORDS, look && this.#files.canAsk(slot));
    if (verdict === claims.STILL_DUE) this.#onDue(slot);
  }

  #isHeld({ slot, generation }: HeldEvent): boolean {
    const table = this.#table;
    return table.isHeld(slot, generation) && claims.ownerOf(table.wordOf(slot)) === claims.MAIN;
  }
}
