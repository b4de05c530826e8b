// The module of smoke.mjs's server.
import { lines } from 'epoll-pool/worker';

export const protocol = lines();

export default function handle(line, connection) {
  connection.send(`${line.toUpperCase()}\n`);
}
