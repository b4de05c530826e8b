// The thread of lib/feeder.js that writes.
import { parentPort, workerData } from 'node:worker_threads';
import { bareCalls } from '../lib/peers.js';

/** After this long without a free fd it sleeps; until then it looks again, and gives its core to whoever wants it. */
const PATIENCE_MS = 1;

const { fds, words, control } = workerData;
const one = new Uint8Array(new BigUint64Array([1n]).buffer);
const { write, schedYield } = bareCalls();
let written = 0;
let idleSince = performance.now();

parentPort.postMessage('ready');
while (Atomics.load(control, 1) === 0) {
  const before = written;
  for (let i = 0; i < fds.length; i++) {
    if (Atomics.load(words, 16 + i) !== 0) continue;
    Atomics.store(words, 16 + i, 1);
    write(fds[i], one, 8);
    written++;
  }
  const now = performance.now();
  if (written > before) idleSince = now;
  else if (now - idleSince < PATIENCE_MS) schedYield();
  else sleep();
}
Atomics.store(control, 0, written);

/** Until an event is consumed. */
function sleep() {
  Atomics.store(words, 0, 1);
  if (fds.every((_, i) => Atomics.load(words, 16 + i) === 1)) Atomics.wait(words, 0, 1, 20);
  Atomics.store(words, 0, 0);
}
