/** WaitService.start checks its options, reads each once, and has the defaults that are documented. */
import { availableParallelism } from 'node:os';
import { WaitService } from 'epoll-pool';
import { expect, test } from 'vitest';
import { start } from './support/service.ts';
import { rejection } from './support/within.ts';

const WRONG_TYPE = { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' };
const OUT_OF_RANGE = { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' };

function untyped(options: unknown): Promise<unknown> {
  return Reflect.apply(WaitService.start, WaitService, [options]);
}

const numbers = ['threads', 'stateBytes', 'capacity', 'batch'];

test.each(numbers.flatMap(name => ['2', null, {}, true].map(value => [name, value] as const)))(
  '%s: %j is of the wrong type',
  async (name, value) => {
    expect(await rejection(untyped({ [name]: value }))).toMatchObject(WRONG_TYPE);
  },
);

test.each([
  ...numbers.flatMap(name => [Number.NaN, 1.5, -1, Number.POSITIVE_INFINITY].map(value => [name, value] as const)),
  ['threads', 0] as const,
  ['threads', 255] as const,
  ['capacity', 0] as const,
  ['batch', 0] as const,
  ['capacity', 2 ** 31] as const,
  ['batch', 2 ** 31] as const,
])('%s: %d is out of range', async (name, value) => {
  expect(await rejection(untyped({ [name]: value }))).toMatchObject(OUT_OF_RANGE);
});

test.each([null, 1, 'x', true])('%j are no options', async value => {
  expect(await rejection(untyped(value))).toMatchObject(WRONG_TYPE);
});

test.each([null, 1, {}, () => {}])('a handler is a string or a URL, not %s', async handler => {
  expect(await rejection(untyped({ handler }))).toMatchObject(WRONG_TYPE);
});

test('resource limits are numbers above 0', async () => {
  expect(await rejection(untyped({ resourceLimits: 5 }))).toMatchObject(WRONG_TYPE);
  expect(await rejection(untyped({ resourceLimits: { stackSizeMb: '4' } }))).toMatchObject(WRONG_TYPE);
  expect(await rejection(untyped({ resourceLimits: { maxOldGenerationSizeMb: -1 } }))).toMatchObject(OUT_OF_RANGE);
});

test('more state than there can be is out of range', async () => {
  expect(await rejection(untyped({ capacity: 2 ** 20, stateBytes: 2 ** 30 }))).toMatchObject(OUT_OF_RANGE);
});

test('every option is read once', async () => {
  const values = {
    threads: 1,
    handler: 'data:text/javascript,export default () => {}',
    handlerData: { a: 1 },
    stateBytes: 8,
    capacity: 10,
    batch: 4,
    resourceLimits: { maxOldGenerationSizeMb: 64 },
  };
  const reads: Record<string, number> = {};
  const options = new Proxy(values, {
    get(target, key, receiver) {
      if (typeof key === 'string') reads[key] = (reads[key] ?? 0) + 1;
      return Reflect.get(target, key, receiver);
    },
  });
  await start(options);
  expect(reads).toEqual(Object.fromEntries(Object.keys(values).map(key => [key, 1])));
});

test('by default there are as many threads as the machine runs in parallel', async () => {
  const service = await WaitService.start();
  try {
    expect(service.threads).toBe(Math.min(254, availableParallelism()));
    expect(service.stats().threads).toHaveLength(service.threads);
    expect(service.closed).toBe(false);
  } finally {
    await service.close();
  }
});

test('a service is made by start, and not by new', () => {
  expect(() => Reflect.construct(WaitService, [])).toThrow(expect.objectContaining({ code: 'ERR_INVALID_STATE' }));
});
