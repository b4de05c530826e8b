// The handler of servers/server-broadcast.js: a message is what has come.
import { BYTES } from './broadcast.js';

let byMain = false;

export function setup(data) {
  byMain = data.byMain;
}

export default function broadcast(bytes, connection) {
  if (byMain) connection.post(bytes.length);
  else for (let i = 0; i < bytes.length; i++) connection.broadcast(BYTES);
}
