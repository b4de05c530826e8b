/**
 * One thread's objects of connections. One is made when the module is to be given it, and those of the connections that were served
 * last are kept: all that matters of a connection is in shared memory, and an idle one needs no object in any thread.
 */
import * as L from '../../shared/server/layout.js';
import { type Host, LiveConnection } from './live-connection.js';

/** A power of two. */
const KEPT = 1024;

export class Connections {
  readonly #host: Host;
  /** By the low bits of their slots. */
  readonly #kept = new Array<LiveConnection | undefined>(KEPT).fill(undefined);

  constructor(host: Host) {
    this.#host = host;
  }

  of(slot: number, generation: number): LiveConnection {
    const at = slot & (KEPT - 1);
    const id = L.idOf(slot, generation);
    const known = this.#kept[at];
    if (known?.id === id) return known;
    const fresh = new LiveConnection(this.#host, id, slot, generation);
    this.#kept[at] = fresh;
    return fresh;
  }

  /** It has ended. */
  forget(slot: number, generation: number): void {
    const at = slot & (KEPT - 1);
    if (this.#kept[at]?.id === L.idOf(slot, generation)) this.#kept[at] = undefined;
  }
}
