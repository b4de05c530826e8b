// The handler of servers/lines-server.js.
import { lines } from '../lib/ours-worker.js';
import { answerTo } from './line.js';

let times = 0;

export const protocol = lines();

export function setup(data) {
  times = data.times;
}

export default function answer(line, connection) {
  connection.send(`${answerTo(line, times)}\n`);
}
