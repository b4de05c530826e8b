/** Times and counts as people write them: `10s`, `500ms`, `10k`. */
import { invalidType, outOfRange } from '../../shared/errors.js';

const MILLISECONDS: Readonly<Record<string, number>> = { us: 0.001, ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
const TIMES: Readonly<Record<string, number>> = { '': 1, k: 1e3, K: 1e3, M: 1e6 };

/** The longest time: what a timer of Node's can wait. */
const LONGEST = 2_147_483_647;

/**
 * A time in milliseconds. A number is milliseconds; a string needs its unit, because some tools mean seconds without one.
 *
 * @throws TypeError ERR_INVALID_ARG_TYPE, RangeError ERR_OUT_OF_RANGE
 */
export function milliseconds(value: unknown, name: string, lowest = 0): number {
  let ms = value;
  if (typeof value === 'string') {
    const [, amount = '', unit = ''] = /^(\d+(?:\.\d+)?)(us|ms|s|m|h)$/.exec(value) ?? [];
    if (unit === '') throw outOfRange(name, "a time with its unit, such as '10s', '500ms' or '2m'", value);
    ms = Number(amount) * (MILLISECONDS[unit] ?? 1);
  }
  if (typeof ms !== 'number') throw invalidType(name, "a number of milliseconds, or a time such as '10s'", value);
  if (!(ms >= lowest && ms <= LONGEST)) throw outOfRange(name, `from ${lowest} to ${LONGEST} ms`, value);
  return ms;
}

/** A number from the command line, such as `500`, `10k` or `1.5M`; NaN if it is none. */
export function count(text: string): number {
  const [, amount, unit = ''] = /^(\d+(?:\.\d+)?)([kKM]?)$/.exec(text) ?? [];
  return amount === undefined ? Number.NaN : Number(amount) * (TIMES[unit] ?? 1);
}
