// Writes to random fds, for as long as the soak lasts.
import { workerData } from 'node:worker_threads';
import { write } from 'epoll-pool/sys';
import { FD, FDS, fields, OPEN, PAUSE, PAUSED, randomOf, SENT } from './memory.mjs';

const { shared, seed } = workerData;
const memory = fields(shared);
const random = randomOf(seed);
const one = new BigUint64Array([1n]);

for (;;) {
  if (Atomics.load(memory, PAUSE) === 1) {
    Atomics.add(memory, PAUSED, 1);
    Atomics.notify(memory, PAUSED);
    Atomics.wait(memory, PAUSE, 1);
    Atomics.sub(memory, PAUSED, 1);
  }
  const i = random(FDS);
  // OPEN counts the writers that are at it, so that the main thread closes nothing under their hands.
  const open = Atomics.load(memory, OPEN + i);
  if (open > 0 && Atomics.compareExchange(memory, OPEN + i, open, open + 1) === open) {
    for (let burst = 1 + random(3); burst > 0; burst--) {
      Atomics.add(memory, SENT + i, 1);
      write(memory[FD + i], one);
    }
    Atomics.sub(memory, OPEN + i, 1);
  }
  if (random(200) === 0) Atomics.wait(memory, PAUSE, 0, 1);
}
