/** Which status codes are as expected: `200`, `2xx`, `200-299`, or several. */
import { invalidType, outOfRange } from '../../shared/errors.js';

export type Expectation = number | string | ReadonlyArray<number | string>;

const EXPECTED = "status codes such as 200, '2xx', '200-299' or '2xx,304'";

/**
 * A table of 1,000 bytes: 1 where that status code is expected.
 *
 * @throws TypeError ERR_INVALID_ARG_TYPE, RangeError ERR_OUT_OF_RANGE
 */
export function expectedStatuses(value: unknown): Uint8Array {
  const table = new Uint8Array(1000);
  const words: unknown[] = Array.isArray(value) ? value : [value];
  if (words.length === 0) throw outOfRange('expect', EXPECTED, value);
  for (const word of words) {
    if (typeof word !== 'string' && typeof word !== 'number') throw invalidType('expect', EXPECTED, word);
    for (const part of String(word).split(',')) {
      const [low, high] = range(part.trim().toLowerCase());
      if (!(low >= 100 && high <= 999 && low <= high)) throw outOfRange('expect', EXPECTED, word);
      table.fill(1, low, high + 1);
    }
  }
  return table;
}

function range(word: string): [low: number, high: number] {
  const [, hundreds] = /^([1-9])xx$/.exec(word) ?? [];
  if (hundreds !== undefined) return [Number(hundreds) * 100, Number(hundreds) * 100 + 99];
  const [, low, high = low] = /^(\d{3})(?:-(\d{3}))?$/.exec(word) ?? [];
  return [Number(low ?? Number.NaN), Number(high ?? Number.NaN)];
}
