/** A rate that changes: what is due when, by number and by the clock. */
import { load, mergeResults, readResult, reportHtml, reportText } from 'epoll-pool/load';
import fc from 'fast-check';
import { expect, test, vi } from 'vitest';
import { parseLoadCommand } from '../dist/main/load/command-line.js';
import { Profile } from '../dist/shared/load/profile.js';
import { planSchedule, Schedule } from '../dist/shared/load/schedule.js';
import { measured, sample } from './load-sample.ts';
import { httpServer } from './support/load-server.ts';

vi.setConfig({ testTimeout: 60_000 });

test.each([
  [
    '500@10s,5k@30s',
    [
      { to: 500, over: '10s' },
      { to: 5000, over: '30s' },
    ],
  ],
  ['5k@0s', [{ to: 5000, over: '0s' }]],
  ['1.5M', 1_500_000],
])('-R %s', (text, rate) => {
  expect(parseLoadCommand(['-R', text, 'http://localhost'])?.options.rate).toEqual(rate);
});

test.each(['500@', '@5s', '500@5s@6s', '500@5s,', 'x@5s', '500@5s,600'])('-R %s is wrong', text => {
  expect(() => parseLoadCommand(['-R', text, 'http://localhost'])).toThrow('--rate must be');
});

test('how many are due within a time: the area below the rates', () => {
  const profile = new Profile([
    { to: 100, over: 1000 },
    { to: 100, over: 500 },
    { to: 0, over: 0 },
    { to: 200, over: 2000 },
  ]);
  const within = (ms: number) => Math.round(profile.within(ms) * 1000) / 1000;
  expect([0, 500, 1000, 1500].map(within)).toEqual([0, 12.5, 50, 100]);
  expect([2500, 3500, 4500].map(within)).toEqual([150, 300, 500]);
});

test('when each is due is when so many are due: whatever the stages', () => {
  const stage = fc.record({ to: fc.integer({ min: 0, max: 100_000 }), over: fc.integer({ min: 0, max: 60_000 }) });
  fc.assert(
    fc.property(
      fc.array(stage, { minLength: 1, maxLength: 6 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (stages, share) => {
        const profile = new Profile(stages);
        const total = profile.within(stages.reduce((sum, { over }) => sum + over, 0));
        const k = Math.floor(share * total);
        if (k >= total) return;
        const due = profile.dueAt(k);
        expect(profile.within(due)).toBeCloseTo(k, 3);
        expect(profile.dueAt(k + 0.5)).toBeGreaterThanOrEqual(due);
      },
    ),
  );
});

test('a schedule of stages: each is taken once, in order, when it is due; none is missed that was taken', () => {
  const plan = planSchedule(2000, [
    { to: 2000, over: 1000 },
    { to: 500, over: 1000 },
  ]);
  const schedule = new Schedule(plan);
  expect(schedule.limit(2000, 0, 2000)).toBe(0);
  schedule.begin(10_000);
  const dues: number[] = [];
  for (let now = 10_000; now <= 12_000; now += plan.tick) {
    for (let due = schedule.take(now); due >= 0; due = schedule.take(now)) dues.push(due - 10_000);
  }
  expect(dues).toHaveLength(1000 + 1250);
  expect(dues).toEqual(dues.toSorted((a, b) => a - b));
  expect(dues.filter(due => due < 1000).length).toBeCloseTo(1000, -1);
  expect(schedule.missed(12_000)).toBe(0);
  expect(schedule.left).toBe(0);
  const missed = new Schedule(planSchedule(2000, [{ to: 2000, over: 1000 }]));
  missed.limit(2000, 0, 1000);
  missed.begin(0);
  expect(missed.missed(500)).toBeCloseTo(250, -1);
  expect(missed.missed(5000)).toBe(1000);
});

test('the warm-up is at the first rate; the stages come after it', () => {
  const schedule = new Schedule(planSchedule(1000, [{ to: 1000, over: 1000 }], 500));
  expect(schedule.limit(1000, 500, 1000)).toBeCloseTo(500, -1);
  expect(schedule.left).toBe(500 + 500 + 1);
});

test('a run: as many as the stages make, more of them later; without a duration it is as long as they are', {
  tags: ['slow'],
}, async () => {
  const server = await httpServer();
  const rate = [
    { to: 1000, over: 800 },
    { to: 1000, over: '400ms' },
  ];
  const result = await load({ url: server.url, connections: 8, rate });
  expect(result).toMatchObject({ requests: 800, responses: 800, errorCount: 0 });
  expect(result.settings).toMatchObject({
    rate: 1000,
    stages: [
      { to: 1000, over: 800 },
      { to: 1000, over: 400 },
    ],
    duration: 1200,
  });
  const [early, late] = [result.series.responses.slice(0, 4), result.series.responses.slice(4, 8)];
  const sum = (counts: number[]) => counts.reduce((total, count) => total + count, 0);
  // A quarter of the first stage is in its first half.
  expect(sum(early)).toBeLessThan(sum(late));
  const longer = await load({ url: server.url, connections: 8, rate, duration: 1500 });
  expect(longer.requests).toBe(1100);
});

test('stages are shown, kept and added up', () => {
  const stages = [
    { to: 500, over: 4000 },
    { to: 1000, over: 8000 },
  ];
  const result = sample({ settings: { ...measured().settings, rate: 1000, stages } });
  expect(reportText(result)).toContain('open loop at 500 (4 s), 1,000 (8 s) requests/s');
  expect(reportHtml(result)).toContain('asked: 1,000/s');
  const all = mergeResults([readResult(JSON.parse(JSON.stringify(result))), result]);
  expect(all.settings.stages).toEqual([
    { to: 1000, over: 4000 },
    { to: 2000, over: 8000 },
  ]);
  expect(mergeResults([result, sample()]).settings.stages).toBeNull();
});
