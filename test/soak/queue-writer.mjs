// Writes numbers to random fds, for as long as a round of queue.mjs lasts.
import { workerData } from 'node:worker_threads';
import { write } from 'epoll-pool/sys';
import { randomOf } from './memory.mjs';
import * as M from './queue-memory.mjs';

const { shared, seed, index, writers } = workerData;
const { words } = M.fields(shared);
const random = randomOf(seed);
const one = new BigUint64Array([1n]);
const message = new Int32Array(1);
/** A stream socket has room for 278 small messages. */
const MOST = 200;

for (;;) {
  if (Atomics.load(words, M.PAUSE) === 1) {
    Atomics.add(words, M.PAUSED, 1);
    Atomics.notify(words, M.PAUSED);
    while (Atomics.load(words, M.PAUSE) === 1) Atomics.wait(words, M.PAUSE, 1);
    Atomics.sub(words, M.PAUSED, 1);
  }
  // One writer for each, so that the numbers come in order.
  const i = random(M.FDS / writers) * writers + index;
  if (Atomics.compareExchange(words, M.OPEN + i, 1, 2) === 1) {
    for (let burst = 1 + random(3); burst > 0; burst--) {
      const sent = words[M.SENT + i];
      if (sent - Atomics.load(words, M.TAKEN + i) > MOST) break;
      message[0] = sent;
      Atomics.add(words, M.SENT + i, 1);
      const n = write(words[M.WRITABLE + i], words[M.KIND + i] === M.COUNTER ? one : message);
      if (n < 0) throw new Error(`no room for ${i}`);
    }
    Atomics.sub(words, M.OPEN + i, 1);
  }
  const what = random(400);
  if (what === 0) Atomics.wait(words, M.PAUSE, 0, 1);
  else if (what < 20) for (let n = random(2000); n > 0; n--) Atomics.load(words, M.PAUSE);
}
