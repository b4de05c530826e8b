/** What the main thread sends to connections: into their mailboxes, for whoever runs them next. */
import type * as L from '../../shared/server/layout.js';
import { generationOf, slotOf } from '../../shared/server/layout.js';
import * as mailbox from '../../shared/server/mailbox.js';
import type { Book } from './book.js';
import type { Connections } from './connections.js';

const NOTHING = new Uint8Array(0);

export class Outgoing {
  readonly #book: Book;
  readonly #connections: Connections;
  readonly #slots: number;
  readonly #maxOutput: number;

  constructor(plan: L.ServerPlan, book: Book, connections: Connections, maxOutput: number) {
    this.#book = book;
    this.#connections = connections;
    this.#slots = plan.slots;
    this.#maxOutput = maxOutput;
  }

  send(id: number, bytes: Uint8Array): boolean {
    return this.#mail(id, mailbox.DATA, bytes);
  }

  end(id: number): boolean {
    return this.#mail(id, mailbox.LAST, NOTHING);
  }

  #mail(id: number, kind: number, bytes: Uint8Array): boolean {
    const taken = this.#book.mail(id, kind, bytes, this.#maxOutput);
    if (slotOf(id) < this.#slots) this.#connections.wake(slotOf(id));
    return taken;
  }

  destroy(id: number): boolean {
    const slot = slotOf(id);
    const generation = generationOf(id);
    return slot < this.#slots && generation !== 0 && this.#connections.destroy(slot, generation);
  }

  broadcast(bytes: Uint8Array, except: number | undefined): number {
    let count = 0;
    for (let slot = this.#book.next(0); slot >= 0; slot = this.#book.next(slot + 1)) {
      const id = this.#book.idAt(slot);
      if (id !== except && this.#mail(id, mailbox.DATA, bytes)) count++;
    }
    return count;
  }
}
