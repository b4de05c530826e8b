/**
 * The sender: over every connection a few messages on their way at a time, and the next with each answer, as clients do
 * that pipeline their requests. What is not answered holds nothing up for long.
 */
import type { Socket } from 'node:net';
import { now } from '../../shared/clock.js';
import type { Ledger } from '../../shared/demo/ledger.js';
import { ANSWER, encodeMessage } from '../../shared/demo/message.js';

/** Messages of one connection on their way at a time. */
const WINDOW = 4;
/** One in so many comes in two pieces: TCP keeps bytes in order, not messages whole. */
const SPLIT_EVERY = 4;
/** After so long without an answer, a connection's messages count as lost, and the next are sent; milliseconds. */
const PATIENCE = 200;

class Sender {
  readonly #client: Socket;
  readonly #ledger: Ledger;
  readonly #connection: number;
  readonly #quota: number;
  #next = 0;
  /** 1 + the highest sequence number that was answered, or given up. */
  #answered = 0;
  /** Between the two pieces of a message. */
  #halfway = false;
  #movedAt = now();
  #rest: Buffer = Buffer.alloc(0);

  constructor(client: Socket, ledger: Ledger, connection: number) {
    this.#client = client;
    this.#ledger = ledger;
    this.#connection = connection;
    this.#quota = ledger.quotaOf(connection);
    client.on('data', data => this.#receive(data));
  }

  send(): void {
    const until = Math.min(this.#quota, this.#answered + WINDOW);
    while (this.#next < until && !this.#halfway) {
      const message = encodeMessage(this.#connection, this.#next++);
      Atomics.add(this.#ledger.sent, this.#connection, 1);
      if (this.#next % SPLIT_EVERY === 0) this.#sendInTwo(message);
      else this.#client.write(message);
    }
  }

  #sendInTwo(message: Buffer): void {
    const cut = Math.floor(message.length / 2);
    this.#halfway = true;
    this.#client.write(message.subarray(0, cut));
    setImmediate(() => {
      this.#halfway = false;
      if (this.#client.destroyed) return;
      this.#client.write(message.subarray(cut));
      this.send();
    });
  }

  /** @param at the time */
  giveUp(at: number): void {
    if (this.#next === this.#quota || at - this.#movedAt < PATIENCE) return;
    this.#movedAt = at;
    this.#answered = this.#next;
    this.send();
  }

  #receive(data: Buffer): void {
    const answers = this.#rest.length > 0 ? Buffer.concat([this.#rest, data]) : data;
    const end = answers.length - (answers.length % ANSWER);
    for (let at = 0; at < end; at += ANSWER) {
      this.#answered = Math.max(this.#answered, answers.readUInt32LE(at) + 1);
    }
    this.#rest = answers.subarray(end);
    this.#movedAt = now();
    this.send();
  }
}

export class Traffic {
  readonly #senders: readonly Sender[];
  /** What node:net said of a connection, if it failed. */
  error: Error | undefined;

  constructor(clients: readonly Socket[], ledger: Ledger) {
    this.#senders = clients.map((client, i) => new Sender(client, ledger, i));
    for (const client of clients) {
      client.on('error', error => {
        this.error ??= error;
      });
    }
  }

  start(): void {
    for (const sender of this.#senders) sender.send();
  }

  /** To be called now and then: goes on where answers stay out. */
  giveUp(): void {
    const at = now();
    for (const sender of this.#senders) sender.giveUp(at);
  }
}
