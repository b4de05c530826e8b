/** http() held against Node's own parser: both are given the same changed requests, and each difference is a choice listed here. */
import { METHODS } from 'node:http';
import { expect, test } from 'vitest';
import { Chance, mutated } from './support/http-mutations.ts';
import { readByUs } from './support/http-reading.ts';
import { type Parsed, type Reading, readByNode } from './support/node-parser.ts';

/** The long run has 100,000 (EPOLL_POOL_FUZZ=100000) and takes about ten times as long. */
const RUNS = Number(process.env.EPOLL_POOL_FUZZ ?? 30_000);

/** What a reading has where two part: a request, or how it ends. */
type Step = Parsed | string;
const isRequest = (step: Step): step is Parsed => typeof step !== 'string';
const isRefusal = (step: Step) => typeof step === 'string' && /^(\d\d\d |HPE_)/.test(step);
const told = (step: Step) => (isRequest(step) ? JSON.stringify(step) : step);

function difference(ours: Reading, node: Reading): [ours: Step, node: Step] | undefined {
  let at = 0;
  while (at < ours.requests.length && told(ours.requests[at] ?? '') === told(node.requests[at] ?? '')) at++;
  const [our, its] = [ours.requests[at] ?? ours.end, node.requests[at] ?? node.end];
  return told(our) === told(its) || (isRefusal(our) && isRefusal(its)) ? undefined : [our, its];
}

/** Refused here, with this reason, what llhttp takes. */
const STRICTER: ReadonlyArray<[reason: RegExp, why: string]> = [
  [
    /^400 (no Host|two Host headers|a Host that is none)$/,
    'llhttp leaves Host to its user; RFC 9112, 3.2 asks for 400',
  ],
  [/^400 an empty Content-Length$/, 'llhttp refuses it too, when more has come'],
  [/^400 an empty transfer coding$/, 'a body of unknown length is not taken for none (6.1)'],
  [/^400 HTTP\/1.0 has no chunks$/, 'faulty framing (6.1); llhttp would read chunks'],
  [/^501 a transfer coding other than chunked$/, 'llhttp hands out the coded body; we do not decode (6.1)'],
  [
    /^400 a target (that is none|without a host)$/,
    '* is of OPTIONS alone (3.2.4), and userinfo is refused (RFC 9110, 4.2.4)',
  ],
  [/^400 no target$/, 'HTTP/0.9, # in a target, a second space (3)'],
  [/^400 no version of HTTP$/, 'a second space (3), and the protocols ICE and RTSP'],
  [/^400 (CR without LF|no method)$/, 'empty lines before a request end in CR LF (2.2)'],
  [/^400 empty lines and no request$/, 'eight empty lines before a request are enough (2.2)'],
  [/^417 /, 'llhttp leaves Expect to its user'],
  [/^501 CONNECT$/, 'there is no tunnel here'],
  [/^505 /, 'llhttp takes HTTP/2.0 in the form of HTTP/1'],
  [/^413 too long$/, 'maxMessage is told by the first line that exceeds it'],
];

const lines = (request: Parsed) => request.rawHeaders.map(value => value.toLowerCase());
const CHUNKED = /transfer-encoding: *chunked *\r/i;

/** Taken here what llhttp refuses: a request, or one whose body has not come whole yet. */
const LOOSER: ReadonlyArray<
  [code: RegExp, fits: (bytes: string, method: string, target: string) => boolean, why: string]
> = [
  [/^HPE_INVALID_METHOD$/, (_, method) => !METHODS.includes(method), 'any token is a method (RFC 9110, 9.1)'],
  [
    /^HPE_INVALID_URL$/,
    (_, _method, target) => /^[a-z][a-z0-9+.-]*:\/\/[^/]/i.test(target),
    'a scheme may have digits, + - and . (RFC 3986, 3.1)',
  ],
  [
    /^HPE_INVALID_CONTENT_LENGTH$/,
    bytes => /content-length:.*\d[ ]*\t[ \t]*\r/i.test(bytes),
    'a tab is a blank too (5.5)',
  ],
  [/^HPE_INVALID_VERSION$/, bytes => /HTTP\/1\.[2-9]\r/.test(bytes), 'HTTP/1.2 is read as 1.1 (RFC 9110, 2.5)'],
  [
    /^HPE_(CLOSED_CONNECTION|INVALID_CONTENT_LENGTH|UNEXPECTED_CONTENT_LENGTH|INVALID_TRANSFER_ENCODING)$/,
    bytes => CHUNKED.test(bytes) && /\r\n0+([^0-9a-f\r][^\r]*)?\r\n./i.test(bytes),
    'what trailers say is not looked at (RFC 9110, 6.5.1)',
  ],
  [
    /^HPE_(STRICT|INVALID_CHUNK_SIZE|CR_EXPECTED)$/,
    bytes => CHUNKED.test(bytes) && /\r\n[0-9a-f]+;/i.test(bytes),
    "of a chunk's extensions it matters alone that they end with their line (7.1.1)",
  ],
];

/** Refused by llhttp at once, which is judged here when its line, or the head, has come whole. */
const LATER = /^HPE_(INVALID_(METHOD|URL|VERSION|CONTENT_LENGTH|TRANSFER_ENCODING)|UNEXPECTED_CONTENT_LENGTH)$/;

/** Why two may differ so; undefined for a fault. */
function choice([our, its]: [Step, Step], unfinished: string, bytes: string): string | undefined {
  if (its === 'upgrade') return 'no upgrade is offered: what asks for one is a request like any other (RFC 9110, 7.8)';
  if (isRequest(our) && isRequest(its)) {
    const but = ({ keepAlive: _, ...rest }: Parsed) => JSON.stringify(rest);
    if (but(our) !== but(its) || our.keepAlive || !lines(our).includes('close')) return undefined;
    return 'close is stronger than keep-alive, in 1.0 too (9.3), and a tab behind it is a blank';
  }
  if (typeof our === 'string' && isRefusal(our)) return STRICTER.find(([reason]) => reason.test(our))?.[1];
  if (isRequest(its) || !isRefusal(its)) return undefined;
  if (!isRequest(our) && unfinished === '') return LATER.test(its) ? 'what has not come whole waits' : undefined;
  const [method = '', target = ''] = isRequest(our) ? [our.method, our.target] : unfinished.trimStart().split(' ');
  return LOOSER.find(([code, fits]) => code.test(its) && fits(bytes, method, target))?.[2];
}

/** Faults: what is no choice, each with what it came of. */
async function compare(runs: number, seed: number) {
  const chance = new Chance(seed);
  const met = new Set<string>();
  const faults: unknown[] = [];
  let accepted = 0;
  let refused = 0;
  for (let run = 0; run < runs; run++) {
    const bytes = mutated(chance);
    const ours = await readByUs([bytes]);
    const parts = difference(ours, readByNode([bytes]));
    accepted += ours.requests.length;
    if (isRefusal(ours.end)) refused++;
    if (parts === undefined) continue;
    const why = choice(parts, ours.unfinished, bytes.toString('latin1'));
    if (why === undefined) faults.push([bytes.toString('latin1'), ...parts]);
    else met.add(why);
  }
  return { accepted, refused, faults, met };
}

test('reads as llhttp does, but for choices', { timeout: 300_000, tags: ['slow'] }, async () => {
  const { accepted, refused, faults } = await compare(RUNS, 20_211);
  expect(faults).toEqual([]);
  // It has been on both kinds of ground.
  expect(accepted).toBeGreaterThan(RUNS / 2);
  expect(refused).toBeGreaterThan(RUNS / 5);
});

/** The same but for whether 100 was sent: whoever has sent the body already is not told to. */
function outcome({ requests, end, output }: Awaited<ReturnType<typeof readByUs>>): string {
  return JSON.stringify([requests, end, output.replaceAll('HTTP/1.1 100 Continue\r\n\r\n', '')]);
}

/** Pieces give what the whole gives; what is wrong in a line of which a part was looked at already is told at its end. */
async function expectSame(bytes: Buffer, pieces: Uint8Array[], framing = true): Promise<void> {
  const whole = await readByUs([bytes]);
  let parted = await readByUs(pieces, framing);
  if (parted.end === 'open' && isRefusal(whole.end)) parted = await readByUs([...pieces, '\r\n\r\n'], framing);
  if (outcome(parted) !== outcome(whole)) {
    expect({ bytes: bytes.toString('latin1'), pieces: pieces.map(piece => piece.length), parted }).toEqual(whole);
  }
}

test('reads the same in any pieces', async () => {
  const chance = new Chance(9112);
  for (let run = 0; run < RUNS / 600; run++) {
    const bytes = mutated(chance);
    for (const framing of [true, false]) {
      await expectSame(
        bytes,
        Array.from(bytes, byte => Uint8Array.of(byte)),
        framing,
      );
    }
    for (let cut = 1; cut < bytes.length; cut++) await expectSame(bytes, [bytes.subarray(0, cut), bytes.subarray(cut)]);
  }
}, 300_000);
