// The thread of lib/feeder.js that writes.
import { parentPort, workerData } from 'node:worker_threads';
import { sys } from '../lib/ours.js';

const { fds, words, control, lowWater } = workerData;
const one = new Uint8Array(new BigUint64Array([1n]).buffer);
let written = 0;

parentPort.postMessage('ready');
while (Atomics.load(control, 1) === 0) {
  for (let i = 0; i < fds.length; i++) {
    if (Atomics.load(words, 16 + i) !== 0) continue;
    Atomics.store(words, 16 + i, 1);
    Atomics.add(words, 0, 1);
    sys.write(fds[i], one);
    written++;
  }
  const onTheirWay = Atomics.load(words, 0);
  if (onTheirWay > lowWater) Atomics.wait(words, 0, onTheirWay, 20);
}
Atomics.store(control, 0, written);
