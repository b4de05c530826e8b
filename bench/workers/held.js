// Tells how much memory a process has that holds many connections for a load test, or an idle service, in bytes.
import { setTimeout as sleep } from 'node:timers/promises';
import { load } from '../../dist/main/load/index.js';
import { WaitService } from '../lib/ours.js';

const THREADS = 2;
const IDLE_MS = 300;

process.on('disconnect', () => process.exit());
const [options] = await new Promise(resolve => process.once('message', (...args) => resolve(args)));
process.send(options.url === undefined ? await idle() : await held(options));
process.disconnect();

async function idle() {
  const service = await WaitService.start({ threads: THREADS });
  await sleep(IDLE_MS);
  const memory = process.memoryUsage.rss();
  await service.close();
  return { memory };
}

/** The most that it has once they are open. */
async function held(options) {
  let memory = 0;
  const onProgress = ({ phase, connections }) => {
    if (phase === 'running' && connections === options.connections) {
      memory = Math.max(memory, process.memoryUsage.rss());
    }
  };
  try {
    const { requests, responses, errorCount, errors, warnings } = await load({
      ...options,
      threads: THREADS,
      onProgress,
    });
    return { memory, sent: requests, received: responses, errorCount, errors, warnings };
  } catch (error) {
    // This machine's limits are no failure of the load tester's.
    if (error.code === 'ERR_OUT_OF_RANGE') return { skipped: error.message };
    throw error;
  }
}
