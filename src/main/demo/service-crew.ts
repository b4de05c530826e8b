/** A WaitService, whose handler does what the raw threads do. */
import * as L from '../../shared/demo/ledger.js';
import { EPOLLIN } from '../../shared/epoll/flags.js';
import { WaitService } from '../service/service.js';
import type { Crew } from './crew.js';

/** How long the threads have to end; then they are ended. */
const CLOSE_MS = 5000;

export async function startServiceCrew(ledger: L.Ledger, fds: readonly number[]): Promise<Crew> {
  const { threads } = ledger.plan;
  const service = await WaitService.start({
    threads,
    handler: new URL('../../worker/demo/service-handler.js', import.meta.url),
    handlerData: ledger.plan,
    capacity: fds.length,
  });
  let failure: Error | undefined;
  service.on('error', error => {
    failure ??= error;
  });
  const stop = async (): Promise<void> => {
    Atomics.store(ledger.header, L.STOP, 1);
    await service.close({ timeout: CLOSE_MS });
  };
  try {
    await Promise.all(fds.map((fd, connection) => service.register(fd, { events: EPOLLIN, data: connection })));
  } catch (error) {
    await stop();
    throw error;
  }
  const controlsBefore = service.stats().controlCalls;
  return {
    get error() {
      return failure;
    },
    controlCalls: () => service.stats().controlCalls - controlsBefore,
    // Handed over to the thread that is in the connection, or of a registration that is gone: nothing to do here.
    idleEvents: () => service.stats().threads.reduce((sum, { contended, stale }) => sum + contended + stale, 0),
    stop,
  };
}
