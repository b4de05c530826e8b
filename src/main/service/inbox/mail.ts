/**
 * What goes to the service's listeners, in order: the values in the threads' ports (what their handlers posted, and what they
 * threw), and the failures of what handlers asked for. It is noted when a ring says so, and told when it is the listeners' turn.
 *
 * Two runs of one registration may be on two threads, and their values in two rings; the numbers of the notes say what came
 * first. When a note is seen, whatever came before it stands in some ring. So the rings are read in rounds, each of which goes
 * as far as they went when it began; what a round brings is told once the next is over, and its own notes are sorted in.
 */
import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { type Parcel, unpackError } from '../../../shared/service/error-transfer.js';
import * as L from '../../../shared/service/layout.js';
import { throwLater } from '../uncaught.js';
import type { ServiceEvent } from './service-event.js';

/** Where it goes on the main thread. What it throws is an uncaught exception. */
export interface MailSink {
  message(value: unknown): void;
  error(error: Error, event?: ServiceEvent): void;
  /** Thread `index` is dead; its successor has not begun. */
  died?(index: number): void;
}

/** More than that wait: no more is read, for as long as one of them can be told. More than there are values of ready.post(). */
const MOST_NOTES = 1024;

interface Note {
  readonly number: number;
  readonly event: ServiceEvent | undefined;
  /** The thread in whose port the value is; none: `error` is told, or `call` called. */
  readonly index: number | undefined;
  readonly error: (() => Error) | undefined;
  readonly call: (() => void) | undefined;
}

export class Mail {
  readonly #header: Int32Array;
  readonly #words: readonly Int32Array[];
  readonly #sink: MailSink;
  readonly #portOf: (index: number) => MessagePort | undefined;
  readonly #notes: Note[] = [];
  #next = 0;
  /** So many of them are in order; what was noted since is not. */
  #sorted = 0;
  /** The highest number so far, the highest when the present round began, and the highest that may be told. */
  #last = -1;
  #before = -1;
  #due = -1;

  constructor(plan: L.Plan, sink: MailSink, portOf: (index: number) => MessagePort | undefined) {
    this.#header = L.headerOf(plan);
    this.#words = Array.from({ length: plan.threads }, (_, index) => L.threadOf(plan, index).words);
    this.#sink = sink;
    this.#portOf = portOf;
  }

  /** Whether nothing is to be told now. */
  get isEmpty(): boolean {
    return !this.#isUpTo(this.#due);
  }

  /** Whether the next note is in order, and has at most that number. */
  #isUpTo(number: number): boolean {
    const note = this.#next < this.#sorted ? this.#notes[this.#next] : undefined;
    return note !== undefined && ((note.number - number) | 0) <= 0;
  }

  /** Whether something was noted, and is not told. */
  get isWaiting(): boolean {
    return this.#next < this.#notes.length;
  }

  /** Whether the threads are to wait with what they ask until some of it is told. */
  get isFull(): boolean {
    return this.#notes.length - this.#next > MOST_NOTES && !this.isEmpty;
  }

  /** A round is over: whatever stood in the rings when it began is noted. The next one begins. */
  nextRound(): void {
    this.#due = this.#before;
    this.#before = this.#last;
    this.#sort();
  }

  /** Sorts in what is new: what was there is looked at only as far back as something new comes before it. */
  #sort(): void {
    const notes = this.#notes;
    const fresh = notes.slice(this.#sorted);
    let from = this.#sorted;
    for (const { number } of fresh) {
      while (from > this.#next && (((notes[from - 1]?.number ?? 0) - number) | 0) > 0) from--;
    }
    if (fresh.length > 0) {
      const ordered = notes.slice(from).sort((a, b) => (a.number - b.number) | 0);
      for (const [i, note] of ordered.entries()) notes[from + i] = note;
    }
    this.#sorted = notes.length;
  }

  /** There is a value in the port of thread `index`. @param event what was running when the handler threw */
  expect(index: number, number: number, event?: ServiceEvent): void {
    if (((number - this.#last) | 0) > 0) this.#last = number;
    this.#notes.push({ number, event, index, error: undefined, call: undefined });
  }

  /** What a handler asked for has failed. */
  failure(error: () => Error, event?: ServiceEvent): void {
    this.#notes.push({ number: this.#last, event, index: undefined, error, call: undefined });
  }

  /**
   * Thread `index` is dead, and its ring is read. When its turn comes, after all that was noted until now: what it has sent and
   * could not announce is passed on, `died` is called, then the listeners of 'error', once for each event, then `done`.
   *
   * @param events what it was running when it died
   */
  death(index: number, error: Error, events: readonly ServiceEvent[], done: () => void): void {
    const [first, ...others] = events;
    this.#call(() => this.#settle(index, first));
    this.failure(() => error, first);
    for (const event of others) this.failure(() => error, event);
    this.#call(done);
  }

  #call(call: () => void): void {
    this.#notes.push({ number: this.#last, event: undefined, index: undefined, error: undefined, call });
  }

  /** Tells the next. What a listener throws, it throws. */
  tell(): void {
    const note = this.#notes[this.#next++];
    if (this.#next === this.#notes.length || this.#next > MOST_NOTES) {
      this.#notes.splice(0, this.#next);
      this.#sorted = Math.max(0, this.#sorted - this.#next);
      this.#next = 0;
    }
    if (note?.error !== undefined) this.#sink.error(note.error(), note.event);
    else if (note?.index !== undefined) this.#open(note.index, note.event);
    else note?.call?.();
  }

  #open(index: number, event: ServiceEvent | undefined): void {
    const port = this.#portOf(index);
    const received: { message: Parcel } | undefined = port && receiveMessageOnPort(port);
    if (received !== undefined) this.#pass(index, received.message, event);
  }

  #pass(index: number, parcel: Parcel, event: ServiceEvent | undefined): void {
    if ('post' in parcel) {
      this.#taken(index, 1);
      this.#sink.message(parcel.post);
    } else {
      this.#sink.error(unpackError(parcel.error), event);
    }
  }

  /** All that a dead thread has announced is told; those that never came are not waited for. */
  #settle(index: number, event: ServiceEvent | undefined): void {
    const port = this.#portOf(index);
    for (;;) {
      const received: { message: Parcel } | undefined = port && receiveMessageOnPort(port);
      if (received === undefined) break;
      guarded(() => this.#pass(index, received.message, event));
    }
    const words = this.#words[index];
    if (words !== undefined) this.#taken(index, ((words[L.POSTED] ?? 0) - (words[L.TAKEN] ?? 0)) | 0);
    guarded(() => this.#sink.died?.(index));
  }

  /** Lets threads that wait for room post that many more values. */
  #taken(index: number, count: number): void {
    const words = this.#words[index];
    if (words === undefined) return;
    Atomics.add(words, L.TAKEN, count);
    Atomics.add(this.#header, L.POSTS, 1);
    Atomics.notify(this.#header, L.POSTS);
  }
}

/** What a listener throws must not keep the rest from being done. */
function guarded(call: () => void): void {
  try {
    call();
  } catch (thrown) {
    throwLater(thrown);
  }
}
