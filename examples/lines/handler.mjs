// Runs in the server's threads, for one line of a connection after the other.
import { createHash } from 'node:crypto';
import { lines } from 'epoll-pool/worker';

export const protocol = lines();

/** @type {import('epoll-pool/worker').MessageHandler<string>} */
export default function hash(line, connection) {
  connection.send(`${createHash('sha256').update(line).digest('hex')}\n`);
}
