/** A connection as the handlers of one thread have it: an id, and what the thread can do for it. All else is in shared memory. */
import type { Connection, ConnectionTls } from './connection.js';
import { FRAMING, type FramedConnection, type Framing } from './protocols/protocol.js';

/** What a thread does for its connections. */
export interface Host {
  readonly framing: Framing;
  isOpen(slot: number, generation: number): boolean;
  addressOf(slot: number, generation: number): { readonly address: string; readonly port: number } | undefined;
  tlsOf(slot: number, generation: number): ConnectionTls | undefined;
  /** @param known what was given before */
  stateOf(slot: number, generation: number, known: Uint8Array | undefined): Uint8Array;
  pendingOf(slot: number, generation: number): number;
  send(slot: number, generation: number, bytes: Uint8Array | string): boolean;
  end(slot: number, generation: number, bytes: Uint8Array | string | undefined): void;
  destroy(slot: number, generation: number): void;
  sendTo(id: number, bytes: Uint8Array | string): boolean;
  broadcast(bytes: Uint8Array | string, except: number | undefined): number;
  post(id: number, value: unknown): void;
}

export class LiveConnection implements FramedConnection, Connection {
  readonly id: number;
  readonly #host: Host;
  readonly #slot: number;
  readonly #generation: number;
  #address: { readonly address: string; readonly port: number } | undefined;
  #tls: ConnectionTls | undefined;
  #state: Uint8Array | undefined;

  constructor(host: Host, id: number, slot: number, generation: number) {
    this.id = id;
    this.#host = host;
    this.#slot = slot;
    this.#generation = generation;
  }

  get open(): boolean {
    return this.#host.isOpen(this.#slot, this.#generation);
  }

  get remoteAddress(): string {
    this.#address ??= this.#host.addressOf(this.#slot, this.#generation);
    return this.#address?.address ?? '';
  }

  get remotePort(): number {
    this.#address ??= this.#host.addressOf(this.#slot, this.#generation);
    return this.#address?.port ?? 0;
  }

  get tls(): ConnectionTls | undefined {
    this.#tls ??= this.#host.tlsOf(this.#slot, this.#generation);
    return this.#tls;
  }

  get state(): Uint8Array {
    this.#state = this.#host.stateOf(this.#slot, this.#generation, this.#state);
    return this.#state;
  }

  get pending(): number {
    return this.#host.pendingOf(this.#slot, this.#generation);
  }

  send(bytes: Uint8Array | string): boolean {
    return this.#host.send(this.#slot, this.#generation, bytes);
  }

  end(bytes?: Uint8Array | string): void {
    this.#host.end(this.#slot, this.#generation, bytes);
  }

  destroy(): void {
    this.#host.destroy(this.#slot, this.#generation);
  }

  sendTo(id: number, bytes: Uint8Array | string): boolean {
    return this.#host.sendTo(id, bytes);
  }

  broadcast(bytes: Uint8Array | string, except?: number): number {
    return this.#host.broadcast(bytes, except);
  }

  post(value: unknown): void {
    this.#host.post(this.id, value);
  }

  get [FRAMING](): Framing {
    return this.#host.framing;
  }
}
