// Runs in the server's threads. Whichever thread serves a connection, broadcast() reaches all of them.
import { lines } from 'epoll-pool/worker';

export const protocol = lines();

/** @param {import('epoll-pool/worker').Connection} connection */
export function open(connection) {
  connection.send(`* you are ${connection.id}; /to ID text, or text for all\n`);
  connection.broadcast(`* ${connection.id} is here\n`, connection.id);
}

/** @type {import('epoll-pool/worker').MessageHandler<string>} */
export default function say(line, connection) {
  const [, to, text] = /^\/to (\d+) (.*)/.exec(line) ?? [];
  if (to === undefined) connection.broadcast(`${connection.id}: ${line}\n`, connection.id);
  else if (!connection.sendTo(Number(to), `${connection.id}, to you: ${text}\n`))
    connection.send(`* ${to} is not here\n`);
}
