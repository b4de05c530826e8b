/** Messages behind their length. */
import * as args from '../../../shared/arguments.js';
import { invalidType, outOfRange } from '../../../shared/errors.js';
import type { Protocol } from './protocol.js';

/**
 * A length before each message; it is not part of what is given, and does not count itself.
 *
 * @param options `bytes`: of the length, 1, 2 or 4 (default); `littleEndian`: default false
 * @throws TypeError ERR_INVALID_ARG_TYPE, RangeError ERR_OUT_OF_RANGE
 */
export function lengthPrefixed(
  options: { bytes?: 1 | 2 | 4 | undefined; littleEndian?: boolean | undefined } = {},
): Protocol<Buffer> {
  args.options(options);
  const { bytes = 4, littleEndian = false }: { bytes?: unknown; littleEndian?: unknown } = options;
  if (typeof bytes !== 'number') throw invalidType('options.bytes', 'a number', bytes);
  if (bytes !== 1 && bytes !== 2 && bytes !== 4) throw outOfRange('options.bytes', '1, 2 or 4', bytes);
  if (typeof littleEndian !== 'boolean') throw invalidType('options.littleEndian', 'a boolean', littleEndian);
  const read = littleEndian
    ? (input: Buffer) => input.readUIntLE(0, bytes)
    : (input: Buffer) => input.readUIntBE(0, bytes);
  return {
    frame: input => (input.length < bytes ? 0 : bytes + read(input)),
    decode: message => message.subarray(bytes),
  };
}
