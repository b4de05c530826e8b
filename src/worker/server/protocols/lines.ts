/** Lines of text as messages. */
import * as args from '../../../shared/arguments.js';
import { invalidType, outOfRange } from '../../../shared/errors.js';
import { HOOKS, type HookedProtocol, type Protocol } from './protocol.js';

const LF = 10;
const CR = 13;

/**
 * Lines without their \n or \r\n, as strings; the last one may lack its \n when the peer ends its side.
 *
 * @param options `encoding`: how the bytes become a string, default 'utf8'
 * @throws TypeError ERR_INVALID_ARG_TYPE, RangeError ERR_OUT_OF_RANGE (an encoding that Buffer does not know)
 */
export function lines(options: { encoding?: BufferEncoding | undefined } = {}): Protocol<string> {
  args.options(options);
  const { encoding = 'utf8' }: { encoding?: unknown } = options;
  if (typeof encoding !== 'string') throw invalidType('options.encoding', 'a string', encoding);
  if (!Buffer.isEncoding(encoding)) throw outOfRange('options.encoding', 'an encoding that Buffer knows', encoding);
  return /^(utf-?16le|ucs-?2)$/i.test(encoding) ? wideLines(encoding) : byteLines(encoding);
}

function byteLines(encoding: BufferEncoding): HookedProtocol<string> {
  return {
    frame: (input, seen) => input.indexOf(LF, seen) + 1,
    decode(bytes) {
      let end = bytes.length;
      if (bytes[end - 1] === LF) end -= bytes[end - 2] === CR ? 2 : 1;
      return bytes.toString(encoding, 0, end);
    },
    [HOOKS]: { atEnd: input => input.length },
  };
}

/** Two bytes a character: the byte of \n may be half of another one. */
function wideLines(encoding: BufferEncoding): HookedProtocol<string> {
  const unit = (bytes: Buffer, at: number) => (at < 0 ? 0 : bytes.readUInt16LE(at));
  return {
    frame(input, seen) {
      for (let at = seen & ~1; ; at++) {
        at = input.indexOf(LF, at);
        if (at < 0 || at + 1 >= input.length) return 0;
        if ((at & 1) === 0 && input[at + 1] === 0) return at + 2;
      }
    },
    decode(bytes) {
      let end = bytes.length & ~1;
      if (unit(bytes, end - 2) === LF) end -= unit(bytes, end - 4) === CR ? 4 : 2;
      return bytes.toString(encoding, 0, end);
    },
    [HOOKS]: { atEnd: input => input.length },
  };
}
