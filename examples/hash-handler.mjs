// Runs in the service's threads, for one connection at a time: never beside another run of the same connection.
import { createHash } from 'node:crypto';

const buffer = Buffer.allocUnsafe(65_536);

/** @type {import('epoll-pool/worker').Handler} */
export default function hash(ready) {
  const n = ready.read(buffer);
  if (n < 0) return; // nothing there after all
  if (n === 0) {
    ready.close(); // the end of the stream: unregisters, then closes the fd
    return;
  }
  const digest = createHash('sha256').update(buffer.subarray(0, n)).digest('hex');
  ready.write(Buffer.from(`${digest}\n`));
}
