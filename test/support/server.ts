/** A server for one test: what it emits is kept, and it is closed when the test has finished. Clients of it. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { type CloseReason, Server, type ServerOptions } from 'epoll-pool/server';
import { onTestFinished } from 'vitest';
import { until } from './service.ts';
import { within } from './within.ts';

export interface Served {
  readonly server: Server;
  readonly port: number;
  readonly connections: number[];
  readonly closes: Array<{ readonly id: number; readonly reason: CloseReason }>;
  readonly messages: Array<{ readonly value: unknown; readonly id: number }>;
  readonly errors: Array<{ readonly error: Error; readonly id: number | undefined }>;
}

/** Two threads on a port of 127.0.0.1, unless the options say otherwise. */
export async function serve(options: ServerOptions): Promise<Served> {
  const place = options.path === undefined ? { port: 0, host: '127.0.0.1' } : {};
  const server = await Server.listen({ threads: 2, ...place, ...options });
  onTestFinished(() => server.close({ timeout: 0 }));
  const served: Served = { server, port: portOf(server), connections: [], closes: [], messages: [], errors: [] };
  server.on('connection', ({ id }) => served.connections.push(id));
  server.on('close', ({ id }, reason) => served.closes.push({ id, reason }));
  server.on('message', (value, { id }) => served.messages.push({ value, id }));
  server.on('error', (error, peer) => served.errors.push({ error, id: peer?.id }));
  return served;
}

export function portOf(server: Server): number {
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** Lines of a handler module that has lines without their \n as messages. */
export const LINES = `
export const protocol = {
  frame: (input, seen) => input.indexOf(10, seen) + 1,
  decode: bytes => bytes.toString('latin1', 0, bytes.length - 1),
};
`;

/** A connected client, whose bytes are kept as latin1 text. */
export class Client {
  text = '';
  ended = false;
  error: Error | undefined;
  readonly closed: Promise<void>;

  constructor(readonly socket: Socket) {
    socket.setEncoding('latin1');
    socket.on('data', chunk => {
      this.text += chunk;
    });
    socket.on('end', () => {
      this.ended = true;
    });
    socket.on('error', error => {
      this.error = error;
    });
    this.closed = new Promise(resolve => socket.once('close', () => resolve()));
    onTestFinished(() => {
      socket.destroy();
    });
  }

  write(text: string): void {
    this.socket.write(text, 'latin1');
  }

  /** Until the text so far has it. */
  async has(text: string, ms?: number): Promise<void> {
    await until(() => this.text.includes(text), `${JSON.stringify(text)} from the server`, ms);
  }

  /** Until it is closed; all that came. */
  async all(ms?: number): Promise<string> {
    await within(this.closed, ms, 'the end of the connection');
    return this.text;
  }

  reset(): void {
    this.socket.resetAndDestroy();
  }
}

/** @param halfOpen whether the client's side stays open when the server has ended its own */
export async function client(where: number | string, halfOpen = false): Promise<Client> {
  const place = typeof where === 'string' ? { path: where } : { port: where, host: '127.0.0.1' };
  const socket = connect({ ...place, allowHalfOpen: halfOpen });
  const made = new Client(socket);
  await within(once(socket, 'connect'), undefined, 'a connection');
  return made;
}

/** Until as many have closed, with every slot and block free again. */
export async function settled(served: Served, closes: number, ms?: number): Promise<void> {
  await until(() => served.closes.length >= closes, `${closes} closes`, ms);
  await until(() => {
    const { connections, bytesKept } = served.server.stats();
    return connections === 0 && bytesKept === 0;
  }, 'nothing kept');
}
