/** TCP connections over loopback, made by node:net: Node keeps the clients, the servers' ends become fds. */
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { close } from '../../shared/kernel/sys.js';
import { detach } from '../detach.js';

export interface Connections {
  /** By connection. */
  readonly clients: readonly Socket[];
  readonly fds: readonly number[];
  close(): void;
}

/** How many connections are begun at a time: fewer than a listening socket keeps waiting. */
const STEP = 100;

/** @throws Error EMFILE and what else listen(2) and connect(2) say, with nothing left open */
export async function openConnections(count: number): Promise<Connections> {
  const clients: Socket[] = [];
  /** By the port of the client. */
  const accepted = new Map<number, number>();
  const finish = (): void => {
    for (const client of clients) client.destroy();
    for (const fd of accepted.values()) close(fd);
  };
  const server = createServer({ pauseOnConnect: true, noDelay: true });
  try {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    while (clients.length < count) await openSome(server, Math.min(STEP, count - clients.length), clients, accepted);
    const fds = clients.map(({ localPort = 0 }) => accepted.get(localPort) ?? -1);
    return { clients, fds, close: finish };
  } catch (error) {
    finish();
    throw error;
  } finally {
    server.close();
  }
}

async function openSome(
  server: Server,
  count: number,
  clients: Socket[],
  accepted: Map<number, number>,
): Promise<void> {
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  let left = count;
  let stop = (): void => {};
  const all = new Promise<void>((resolve, reject) => {
    const accept = (socket: Socket): void => {
      try {
        accepted.set(socket.remotePort ?? 0, detach(socket));
      } catch (error) {
        socket.destroy();
        reject(error);
      }
      if (--left === 0) resolve();
    };
    server.on('connection', accept);
    server.on('error', reject);
    stop = () => void server.off('connection', accept).off('error', reject);
  });
  const begun = Array.from({ length: count }, () => connect({ port, host: '127.0.0.1', noDelay: true }));
  clients.push(...begun);
  try {
    await Promise.all([all, ...begun.map(client => once(client, 'connect'))]);
  } finally {
    stop();
  }
}
