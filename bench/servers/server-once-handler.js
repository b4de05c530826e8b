// The handler of servers/server-once.js: a message is what has come.
import { answering, CLOSING_HEAD } from './answer.js';

let { ofRequest } = answering('sha256 0');

export function setup(data) {
  ({ ofRequest } = answering(data.work));
}

export default function answer(request, connection) {
  connection.end(CLOSING_HEAD + ofRequest(request));
}
