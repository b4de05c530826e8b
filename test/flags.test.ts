/** The constants are those of <sys/epoll.h>, and masks are shown in words. */
import * as lib from 'epoll-pool';
import { expect, test } from 'vitest';
import { hasGcc, valuesInC } from './support/gcc.ts';
import { thrown } from './support/within.ts';

const { formatFlags } = lib;
const constants = Object.entries(lib).flatMap(
  ([name, value]): Array<[string, number]> =>
    name.startsWith('EPOLL') && typeof value === 'number' ? [[name, value]] : [],
);

test('all nineteen are there, unsigned', () => {
  expect(constants.map(([name]) => name).sort()).toEqual(
    [
      ...['EPOLLIN', 'EPOLLPRI', 'EPOLLOUT', 'EPOLLERR', 'EPOLLHUP', 'EPOLLRDNORM', 'EPOLLRDBAND', 'EPOLLWRNORM'],
      ...['EPOLLWRBAND', 'EPOLLMSG', 'EPOLLRDHUP', 'EPOLLEXCLUSIVE', 'EPOLLWAKEUP', 'EPOLLONESHOT', 'EPOLLET'],
      ...['EPOLL_CLOEXEC', 'EPOLL_CTL_ADD', 'EPOLL_CTL_DEL', 'EPOLL_CTL_MOD'],
    ].sort(),
  );
  for (const [name, value] of constants) expect(value >>> 0, name).toBe(value);
});

test.skipIf(!hasGcc)('they are what the C compiler says (skipped where there is no gcc)', () => {
  const inC = valuesInC(constants.map(([name]) => `(unsigned)${name}`));
  expect(Object.fromEntries(constants)).toEqual(Object.fromEntries(constants.map(([name], i) => [name, inC[i]])));
});

test('formatFlags names the bits, signed or unsigned', () => {
  expect(formatFlags(lib.EPOLLIN | lib.EPOLLET)).toBe('EPOLLIN|EPOLLET');
  expect(formatFlags((lib.EPOLLIN | lib.EPOLLET) >>> 0)).toBe('EPOLLIN|EPOLLET');
  expect(formatFlags(lib.EPOLLIN | lib.EPOLLOUT | lib.EPOLLRDHUP | lib.EPOLLONESHOT)).toBe(
    'EPOLLIN|EPOLLOUT|EPOLLRDHUP|EPOLLONESHOT',
  );
  for (const [name, value] of constants) if (!name.includes('_')) expect(formatFlags(value)).toBe(name);
});

test('formatFlags shows bits without a name as hex, and none as 0', () => {
  expect(formatFlags(0)).toBe('0');
  expect(formatFlags(0x20)).toBe('0x20');
  expect(formatFlags(lib.EPOLLIN | 0x0080_0020)).toBe('EPOLLIN|0x800020');
});

test('formatFlags takes 32 bits and nothing else', () => {
  for (const wrong of [Number.NaN, 0.5, 2 ** 32, -(2 ** 31) - 1, Number.POSITIVE_INFINITY]) {
    expect(thrown(() => formatFlags(wrong))).toMatchObject({ name: 'RangeError', code: 'ERR_OUT_OF_RANGE' });
  }
  for (const wrong of ['1', 1n, null, undefined, {}]) {
    const error = thrown(() => Reflect.apply(formatFlags, undefined, [wrong]));
    expect(error).toMatchObject({ name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' });
  }
});
