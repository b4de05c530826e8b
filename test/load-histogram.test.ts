/** The latency histogram: how exact it is, merging, JSON, and shared memory. */
import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Histogram } from '../dist/shared/load/histogram.js';

const SHARES = [0, 1, 25, 50, 75, 90, 99, 99.9, 99.99, 100];

function histogramOf(values: Iterable<number>): Histogram {
  const histogram = new Histogram();
  for (const value of values) histogram.record(value);
  return histogram;
}

/** The nearest-rank definition, on all values. */
function exactly(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(1, Math.ceil((share / 100) * sorted.length - 1e-9)) - 1] ?? 0;
}

const latency = fc.oneof(
  fc.double({ min: 1 / 16, max: 1e10, noNaN: true }),
  fc.double({ min: 20, max: 5000, noNaN: true }),
  fc.integer({ min: 1, max: 600_000_000 }),
);
const latencies = fc.array(latency, { minLength: 1, maxLength: 300 });

test('percentiles are within 0.4% of the exact ones; min, max, count and mean are exact', () => {
  fc.assert(
    fc.property(latencies, values => {
      const histogram = histogramOf(values);
      expect(histogram.count).toBe(values.length);
      expect(histogram.min).toBe(Math.min(...values));
      expect(histogram.max).toBe(Math.max(...values));
      expect(histogram.mean).toBeCloseTo(values.reduce((a, b) => a + b) / values.length, 3);
      histogram.percentiles(SHARES).forEach((found, i) => {
        const wanted = exactly(values, SHARES[i] ?? 0);
        expect(Math.abs(found - wanted)).toBeLessThanOrEqual(wanted * 0.004);
        expect(histogram.percentile(SHARES[i] ?? 0)).toBe(found);
      });
    }),
  );
});

test('percentiles rise, and the last is the maximum', () => {
  fc.assert(
    fc.property(latencies, values => {
      const found = histogramOf(values).percentiles(SHARES);
      expect(found).toEqual([...found].sort((a, b) => a - b));
      expect(found.at(-1)).toBe(Math.max(...values));
    }),
  );
});

test('known values', () => {
  const histogram = histogramOf(Array.from({ length: 1000 }, (_, i) => (i + 1) * 100));
  const near = (value: number) => expect.closeTo(value, -Math.log10(value * 0.008));
  expect(histogram.percentiles([50, 75, 90, 99, 99.9])).toEqual([50_000, 75_000, 90_000, 99_000, 99_900].map(near));
  expect(histogram.mean).toBe(50_050);
  expect(histogram.stddev / 28_867.5).toBeCloseTo(1, 3);
});

test('empty', () => {
  const { count, min, max, mean, stddev } = new Histogram();
  expect([count, min, max, mean, stddev, ...new Histogram().percentiles([0, 50, 100])]).toEqual(Array(8).fill(0));
  expect(new Histogram().curve()).toEqual([]);
  expect(Histogram.fromJSON(new Histogram().toJSON()).count).toBe(0);
});

test('what is out of range is counted at the edge; min and max stay exact', () => {
  const histogram = histogramOf([0, -5, Number.NaN, 0.001, 1e12]);
  expect([histogram.count, histogram.min, histogram.max]).toEqual([5, 0, 1e12]);
  expect(histogram.percentile(50)).toBeLessThan(0.07);
  expect(histogram.percentile(100)).toBe(1e12);
});

test('merging is the same as recording everything in one, in any order', () => {
  fc.assert(
    fc.property(latencies, latencies, latencies, (a, b, c) => {
      const [whole, parts, other] = [histogramOf([...a, ...b, ...c]), new Histogram(), new Histogram()];
      for (const values of [a, b, c]) parts.add(histogramOf(values));
      for (const values of [c, a, b]) other.add(histogramOf(values));
      const { sum, ...rest } = whole.toJSON();
      for (const merged of [parts, other]) {
        expect(merged.toJSON()).toEqual({ ...rest, sum: expect.any(Number) });
        expect(merged.toJSON().sum / sum).toBeCloseTo(1, 9);
        expect(merged.percentiles(SHARES)).toEqual(whole.percentiles(SHARES));
      }
      parts.add(new Histogram());
      expect(parts.count).toBe(whole.count);
    }),
  );
});

test('JSON holds all of it', () => {
  fc.assert(
    fc.property(latencies, values => {
      const histogram = histogramOf(values);
      const text = JSON.stringify(histogram);
      const back = Histogram.fromJSON(JSON.parse(text));
      expect(JSON.stringify(back)).toBe(text);
      expect(back.percentiles(SHARES)).toEqual(histogram.percentiles(SHARES));
    }),
  );
});

test('JSON that is none of ours is refused', () => {
  const good = histogramOf([1, 2, 3]).toJSON();
  const bad: Array<[json: unknown, code: string]> = [
    [undefined, 'ERR_INVALID_ARG_TYPE'],
    [null, 'ERR_INVALID_ARG_TYPE'],
    [{}, 'ERR_OUT_OF_RANGE'],
    [{ ...good, unit: 'ms' }, 'ERR_OUT_OF_RANGE'],
    [{ ...good, count: 4 }, 'ERR_OUT_OF_RANGE'],
    [{ ...good, sum: null }, 'ERR_INVALID_ARG_TYPE'],
    [{ ...good, min: -1 }, 'ERR_OUT_OF_RANGE'],
    [{ ...good, min: 9 }, 'ERR_OUT_OF_RANGE'],
    [{ ...good, buckets: {} }, 'ERR_INVALID_ARG_TYPE'],
    [{ ...good, buckets: [3] }, 'ERR_INVALID_ARG_TYPE'],
    [{ ...good, buckets: [['1', 3]] }, 'ERR_INVALID_ARG_TYPE'],
    [{ ...good, buckets: [[1, -3]] }, 'ERR_OUT_OF_RANGE'],
    [{ ...good, buckets: [[1, 1.5]] }, 'ERR_OUT_OF_RANGE'],
    [{ ...good, buckets: [[-1, 3]] }, 'ERR_OUT_OF_RANGE'],
  ];
  for (const [json, code] of bad) {
    expect(() => Histogram.fromJSON(json)).toThrow(expect.objectContaining({ code }));
  }
});

test('percentiles outside 0 to 100 are refused', () => {
  for (const share of [-1, 101, Number.NaN]) {
    expect(() => histogramOf([1]).percentile(share)).toThrow(expect.objectContaining({ code: 'ERR_OUT_OF_RANGE' }));
  }
});

test('the curve ends at 100 with the maximum and agrees with the percentiles', () => {
  fc.assert(
    fc.property(latencies, values => {
      const histogram = histogramOf(values);
      const curve = histogram.curve();
      expect(curve.at(-1)).toEqual({ percentile: 100, us: histogram.max });
      for (const { percentile, us } of curve) expect(histogram.percentile(percentile)).toBe(us);
    }),
  );
});

test('several in one piece of shared memory, recorded by other threads while this one merges', async () => {
  const threads = 2;
  const each = 200_000;
  const memory = new SharedArrayBuffer(threads * Histogram.BYTES);
  const module = new URL('../dist/shared/load/histogram.js', import.meta.url).href;
  const code = `
    const { workerData } = require('node:worker_threads');
    import(workerData.module).then(({ Histogram }) => {
      const histogram = new Histogram(workerData.memory, workerData.index * Histogram.BYTES);
      for (let i = 1; i <= workerData.each; i++) histogram.record(i);
    });`;
  const workers = Array.from(
    { length: threads },
    (_, index) => new Worker(code, { eval: true, workerData: { module, memory, index, each } }),
  );
  const ended = Promise.all(
    workers.map(
      worker =>
        new Promise<void>((resolve, reject) => {
          worker
            .once('error', reject)
            .once('exit', code => (code === 0 ? resolve() : reject(new Error(`code ${code}`))));
        }),
    ),
  );
  const merge = () => {
    const merged = new Histogram();
    for (let i = 0; i < threads; i++) merged.add(new Histogram(memory, i * Histogram.BYTES));
    return merged;
  };
  let running = true;
  const done = ended.finally(() => {
    running = false;
  });
  for (let before = 0; running; ) {
    const merged = merge();
    expect(merged.count).toBeGreaterThanOrEqual(before);
    expect(merged.percentile(50)).toBeLessThanOrEqual(merged.max);
    before = merged.count;
    await new Promise(setImmediate);
  }
  await done;
  const merged = merge();
  expect([merged.count, merged.min, merged.max, merged.mean]).toEqual([threads * each, 1, each, (each + 1) / 2]);
  expect(merged.percentile(50) / (each / 2)).toBeCloseTo(1, 2);
});
