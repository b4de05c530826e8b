/** Results as a load test could have measured them, for tests of what is made of results. */

import { completeResult, type LoadResult, type Measurement, type TimeSeries } from '../dist/main/load/result.js';
import { Histogram } from '../dist/shared/load/histogram.js';

/** The same numbers from 0 to 1 each time (Lehmer's generator). */
export function randoms(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}

/** 12 s of 500 responses each, by two threads; latencies of about 1 ms with a long tail. */
export function measured(changes: Partial<Measurement> = {}): Measurement {
  const random = randoms(7);
  const histogram = new Histogram();
  const responses = Array.from({ length: 12 }, () => 500);
  for (let i = 0; i < 6000; i++) histogram.record(700 + 500 * random() + 40 / (1 - random()));
  return {
    urls: ['http://127.0.0.1:8080/'],
    method: 'GET',
    settings: {
      connections: 64,
      threads: 2,
      duration: 12_000,
      requests: null,
      rate: 0,
      stages: null,
      pipelining: 1,
      timeout: 5000,
      warmup: 0,
      timeoutsCount: false,
      urls: null,
      script: null,
      protocol: null,
      headers: [],
      body: 0,
      expect: null,
      stopAfter: null,
      insecure: false,
      resume: false,
    },
    interrupted: false,
    stopped: null,
    requests: 6000,
    responses: 6000,
    retried: 0,
    bytesSent: 240_000,
    bytesReceived: 5_094_000,
    statuses: { 200: 6000 },
    errors: { connect: 0, reset: 0, timeout: 0, protocol: 0, status: 0, check: 0 },
    errorDetails: {},
    series: {
      interval: 1000,
      responses,
      bytes: responses.map(n => n * 849),
      errors: responses.map(() => 0),
      p50: responses.map(() => 1),
      p99: responses.map(() => 2),
    },
    threads: [
      { name: '1', responses: 3100, bytes: 2_631_900, busy: 9000, cpu: 8000 },
      { name: '2', responses: 2900, bytes: 2_462_100, busy: 8000, cpu: 7000 },
    ],
    hosts: [
      {
        host: 'alpha',
        started: 1_790_000_000_000,
        duration: 12_000,
        processors: 2,
        cpuUser: 12_000,
        cpuSystem: 6000,
        cpuMain: 1000,
      },
    ],
    conditions: [],
    warnings: [],
    histogram: histogram.toJSON(),
    tls: null,
    ...changes,
  };
}

export function sample(changes: Partial<Measurement> = {}): LoadResult {
  return completeResult(measured(changes));
}

/** A series whose latencies are not known. */
export function seriesOf(series: Omit<TimeSeries, 'p50' | 'p99'>): TimeSeries {
  const unknown = series.responses.map(() => null);
  return { ...series, p50: unknown, p99: unknown };
}
