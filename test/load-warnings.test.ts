/** When a load test says that its figures are doubtful. */
import { expect, test } from 'vitest';
import { warnings } from '../dist/main/load/warnings.js';
import { measured, sample } from './load-sample.ts';

const FACTS = { missed: 0, late: 0, connected: true, gaveUp: false, pauses: 0, thrown: [] };

/** Two threads, each busy for so much of the 12 s, on processors whose time was used by so much. */
function ran(busy: number, used: number) {
  const threads = measured().threads.map(thread => ({ ...thread, busy: busy * 12_000, cpu: 6000 }));
  const hosts = measured().hosts.map(host => ({ ...host, cpuUser: used * 24_000, cpuSystem: 0 }));
  return sample({ threads, hosts });
}

test('nothing to say of a generator that had time left', () => {
  expect(warnings(ran(0.85, 0.85), FACTS)).toEqual([]);
});

test.each([
  [ran(0.95, 0.5), 'its threads were busy 95.0% of the time'],
  // Threads that share a processor wait for it, and are not busy meanwhile.
  [ran(0.8, 0.97), "it used 97.0% of its processors' time"],
  [ran(0.95, 0.97), 'its threads were busy'],
])('the generator was the bottleneck', (result, words) => {
  const found = warnings(result, FACTS);
  expect(found).toHaveLength(1);
  expect(found[0]).toContain('The load generator was the bottleneck');
  expect(found[0]).toContain(words);
});

test('each thread’s own processor time counts, the main thread’s too, however many processors there are', () => {
  const idle = ran(0.5, 0.1);
  const hosts = idle.hosts.map(host => ({ ...host, processors: 64 }));
  const one = {
    ...idle,
    hosts,
    threads: idle.threads.map((thread, i) => ({ ...thread, cpu: i === 1 ? 11_500 : 100 })),
  };
  expect(warnings(one, FACTS)).toEqual([expect.stringContaining('bottleneck: thread 2 used 95.8% of a processor')]);
  const main = { ...idle, hosts: hosts.map(host => ({ ...host, cpuMain: 11_900 })) };
  expect(warnings(main, FACTS)).toEqual([
    expect.stringContaining('bottleneck: the main thread used 99.2% of a processor'),
  ]);
});

test('a rate that the generator itself did not reach is not laid to the connections', () => {
  const found = warnings({ ...sample(), requests: 1000 }, { ...FACTS, late: 500, missed: 5000 });
  expect(found).toHaveLength(2);
  expect(found[1]).toBe('The rate was not reached: 5,000 requests that were due were never sent.');
});

test('a run of an instant says nothing of the generator', () => {
  expect(warnings({ ...ran(0.99, 0.99), duration: 400 }, FACTS)).toEqual([]);
  expect(warnings({ ...ran(0.5, 0.99), duration: 400 }, FACTS)).toEqual([]);
});

test('requests that were late, or never sent, once they are more than 1%', () => {
  const result = sample();
  expect(warnings(result, { ...FACTS, late: 60, missed: 60 })).toEqual([]);
  expect(warnings({ ...result, requests: 100 }, { ...FACTS, late: 20 })).toEqual([]);
  expect(warnings(result, { ...FACTS, late: 61 })).toEqual([expect.stringContaining('sent more than 1 ms late')]);
  expect(warnings(result, { ...FACTS, missed: 61 })).toEqual([expect.stringContaining('never sent')]);
});

test('no connection, at first or in the end', () => {
  expect(warnings(sample(), { ...FACTS, connected: false })).toEqual(['No connection could be opened.']);
  expect(warnings(sample({ interrupted: true }), { ...FACTS, connected: false })).toEqual([]);
  expect(warnings(sample(), { ...FACTS, gaveUp: true })).toEqual([expect.stringContaining('Ended early')]);
});
