/** A registration rests while its event is with the consumer, or waits for one; nobody spins meanwhile. */
import { EPOLLIN } from 'epoll-pool';
import { expect, test } from 'vitest';
import { eventfd, signal } from './support/fds.ts';
import { pause, quiet, start, total, until } from './support/service.ts';

const SECOND = 1000;
/** What an idle service may use: a few wake-ups a second for each thread. */
const FEW = 50;

async function expectNoSpin(service: Awaited<ReturnType<typeof start>>['service']): Promise<void> {
  const waits = total(service, 'waits');
  const cpu = process.cpuUsage();
  await pause(SECOND);
  const { user, system } = process.cpuUsage(cpu);
  expect(total(service, 'waits') - waits).toBeLessThan(FEW);
  expect((user + system) / 1000).toBeLessThan(SECOND / 2);
}

test('ready fds that nobody listens to', { tags: ['slow'] }, async () => {
  const { service } = await start();
  for (let i = 0; i < 100; i++) await service.register(eventfd(1), { events: EPOLLIN });
  await quiet();
  await expectNoSpin(service);
});

test('ready fds whose events are with an iteration', { tags: ['slow'] }, async () => {
  const { service } = await start();
  for (let i = 0; i < 10; i++) await service.register(eventfd(1), { events: EPOLLIN });
  // Each is in a ring, once: with the consumer, whether it has asked for it or not.
  await until(() => total(service, 'handled') === 10, 'all ten');
  for await (const { fd } of service) {
    signal(fd);
    await expectNoSpin(service);
    expect(total(service, 'handled')).toBe(10);
    break;
  }
});

test('an idle service, with a handler and without', { tags: ['slow'] }, async () => {
  const handler = 'data:text/javascript,export default ready => { ready.read(new Uint8Array(8)); }';
  const { service } = await start({ handler });
  const fd = eventfd(1);
  await service.register(fd, { events: EPOLLIN });
  await until(() => total(service, 'handled') > 0, 'a run');
  await quiet();
  await expectNoSpin(service);
});

test('a registration that rests after an error, though it is ready', { tags: ['slow'] }, async () => {
  const handler = 'data:text/javascript,export default ready => { throw new Error("x"); }';
  const { service, failures } = await start({ handler });
  await service.register(eventfd(1), { events: EPOLLIN });
  await until(() => failures.length === 1, 'the error');
  await expectNoSpin(service);
});
