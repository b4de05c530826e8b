/** A server that counts what a load test sends it, and answers as a test says. It is closed when the test has finished. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type ListenOptions, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';

export interface CountingServer {
  readonly url: string;
  readonly port: number;
  readonly connections: number;
  /** Whole ones. */
  readonly requests: number;
  readonly bytesReceived: number;
  /** Written by `answer`'s reply(). */
  readonly bytesSent: number;
  /** The last request's head and body. */
  readonly last: { head: string; body: string };
  readonly close: () => Promise<void>;
}

export interface Exchange {
  readonly socket: Socket;
  /** From 0, of the whole server and of the connection. */
  readonly index: number;
  readonly nth: number;
  reply(bytes: string | Buffer): void;
}

export const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello';

/** @param answer called for each whole HTTP request */
export async function httpServer(
  answer: (exchange: Exchange) => unknown = ({ reply }) => reply(OK),
  where: ListenOptions = { host: '127.0.0.1', port: 0 },
): Promise<CountingServer> {
  const counts = { connections: 0, requests: 0, bytesReceived: 0, bytesSent: 0, last: { head: '', body: '' } };
  const listening = await rawServer(socket => {
    counts.connections++;
    let pending = Buffer.alloc(0);
    let nth = 0;
    const reply = (bytes: string | Buffer): void => {
      counts.bytesSent += Buffer.byteLength(bytes);
      socket.write(bytes);
    };
    socket.on('data', chunk => {
      counts.bytesReceived += chunk.length;
      pending = Buffer.concat([pending, chunk]);
      for (;;) {
        const end = pending.indexOf('\r\n\r\n');
        if (end < 0) return;
        const head = pending.toString('latin1', 0, end);
        const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
        if (pending.length < end + 4 + length) return;
        counts.last = { head, body: pending.toString('utf8', end + 4, end + 4 + length) };
        pending = pending.subarray(end + 4 + length);
        answer({ socket, index: counts.requests++, nth: nth++, reply });
      }
    });
  }, where);
  return {
    ...listening,
    url: `http://${listening.authority}/`,
    get connections() {
      return counts.connections;
    },
    get requests() {
      return counts.requests;
    },
    get bytesReceived() {
      return counts.bytesReceived;
    },
    get bytesSent() {
      return counts.bytesSent;
    },
    get last() {
      return counts.last;
    },
  };
}

export interface RawServer {
  readonly port: number;
  readonly authority: string;
  readonly close: () => Promise<void>;
}

/** @param serve called for each connection */
export async function rawServer(
  serve: (socket: Socket) => void,
  where: ListenOptions = { host: '127.0.0.1', port: 0 },
): Promise<RawServer> {
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true }, socket => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    // The load test ends when it likes.
    socket.on('error', () => {});
    serve(socket);
  });
  server.listen({ backlog: 1024, ...where });
  await once(server, 'listening');
  const close = async (): Promise<void> => {
    if (!server.listening) return;
    const closed = once(server, 'close');
    server.close();
    for (const socket of sockets) socket.destroy();
    await closed;
  };
  onTestFinished(close);
  const address: AddressInfo | string | null = server.address();
  if (typeof address === 'string' || address === null) return { port: 0, authority: `unix:${where.path}:`, close };
  const host = address.family === 'IPv6' ? `[${address.address}]` : address.address;
  return { port: address.port, authority: `${host}:${address.port}`, close };
}

/** Nobody listens there, and nobody is given that port. */
export const NOBODY = 'http://127.0.0.1:1/';

/** A port on which nobody listens now. */
export async function unusedPort(): Promise<number> {
  const { port, close } = await rawServer(() => {});
  await close();
  return port;
}
