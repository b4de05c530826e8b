/**
 * The claim word's protocol, every interleaving: it holds, and a model that is weakened in one transition, or in the order of two
 * steps, does not. EPOLL_POOL_DEEP=1 goes deeper; it takes minutes.
 *
 * @module-tag slow
 */
import { expect, test, vi } from 'vitest';
import * as claim from '../dist/shared/service/claim.js';
import { EDGE, exploreClaim, LEVEL, type Mode, ONESHOT, type Setup, type Transitions } from './model/claim-model.js';

const modes: ReadonlyArray<readonly [string, Mode]> = [
  ['level', LEVEL],
  ['edge', EDGE],
  ['oneshot', ONESHOT],
];
// The model itself is to find what is weakened, and not the checks in the transitions.
vi.hoisted(() => {
  process.env.EPOLL_POOL_ASSERT = '0';
});

type Case = Omit<Setup, 'mode' | 'threads'> & { readonly threads?: number };

/** Each is one test a mode. */
const cases: ReadonlyArray<readonly [string, Case]> = [
  ['3 threads', { threads: 3, writes: 3 }],
  ['modify()', { writes: 1, orders: ['modify'] }],
  ['unregister(), register()', { writes: 1, orders: ['unregister', 'register'] }],
  ['modify(), unregister()', { writes: 1, orders: ['modify', 'unregister'] }],
  ['modify() from mode to mode', { writes: 1, orders: ['oneshot', 'level'] }],
  ['wake() and again()', { writes: 1, orders: ['wake'], agains: 1 }],
  ['wake() from a thread, while it is unregistered', { writes: 0, wakes: 2, orders: ['unregister', 'register'] }],
  ['requests of handlers', { writes: 2, asks: ['modify', 'modify', 'unregister'] }],
  ['a request, and one of the main thread', { writes: 1, asks: ['modify'], orders: ['modify'] }],
  ['a request to end, and one of the main thread', { writes: 1, asks: ['unregister'], orders: ['modify', 'wake'] }],
  ['a throw, modify()', { writes: 1, throws: 1, orders: ['modify'] }],
  ['a throw after a request', { writes: 2, throws: 1, asks: ['modify'] }],
  ['a thread that is stuck in another run', { writes: 2, away: 1, lists: true }],
  ['a death', { writes: 2, crashes: 1 }],
  ['two deaths', { writes: 1, crashes: 2 }],
  ['a death, with lists', { writes: 1, crashes: 1, lists: true }],
  ['a death, unregister()', { writes: 1, crashes: 1, orders: ['unregister'] }],
  ['a death, requests', { writes: 1, crashes: 1, asks: ['modify', 'modify'] }],
  ['a death, a request to end, a throw', { writes: 1, crashes: 1, asks: ['unregister'], throws: 1 }],
  ['a death, wake()', { writes: 0, crashes: 1, wakes: 1, orders: ['wake'] }],
  ['the kernel goes on telling', { writes: 1, keeps: true, throws: 1, orders: ['modify'] }],
  ['an event of nothing', { writes: 1, spurious: true, wakes: 1 }],
  ['a consumer on the main thread', { writes: 2, consumer: true, orders: ['modify', 'unregister'] }],
  ['a consumer, wake()', { writes: 1, consumer: true, orders: ['modify', 'wake'] }],
  ['a consumer, a death', { writes: 1, consumer: true, crashes: 1, orders: ['modify'] }],
];

/** A stamp that comes round may let a oneshot run twice with one arming: it takes 256 modify() calls between two instructions. */
const wrapping: ReadonlyArray<readonly [string, Mode]> = modes.filter(([, mode]) => mode !== ONESHOT);

const deep: ReadonlyArray<readonly [string, Case]> = [
  ['3 threads, 5 writes', { threads: 3, writes: 5 }],
  ['3 threads, modify()', { threads: 3, writes: 1, orders: ['modify'] }],
  ['3 threads, a death', { threads: 3, writes: 2, crashes: 1 }],
  ['3 threads, requests', { threads: 3, writes: 2, asks: ['modify', 'unregister'] }],
  ['modify() twice', { writes: 2, orders: ['modify', 'modify'] }],
  ['modify(), unregister(), register()', { writes: 2, orders: ['modify', 'unregister', 'register'] }],
  ['modes', { writes: 1, orders: ['oneshot', 'level', 'edge'] }],
  ['two deaths, lists', { writes: 2, crashes: 2, lists: true }],
  ['a death, modify(), unregister()', { writes: 1, crashes: 1, orders: ['modify', 'unregister'] }],
  ['a death, requests, modify()', { writes: 1, crashes: 1, asks: ['modify'], orders: ['modify'] }],
  ['a death, wakes', { writes: 1, crashes: 1, wakes: 1, agains: 1, orders: ['wake'] }],
  ['a consumer, a death, wake(), modify()', { writes: 1, consumer: true, crashes: 1, orders: ['wake', 'modify'] }],
];

function check(name: string, mode: Mode, given: Case): void {
  test(name, () => {
    const { failure, states } = exploreClaim(claim, { threads: 2, ...given, mode });
    expect(failure).toBeUndefined();
    expect(states).toBeGreaterThan(20);
  }, 1_200_000);
}

const all = process.env.EPOLL_POOL_DEEP === '1' ? [...cases, ...deep] : cases;
for (const [mode, number] of modes) for (const [name, given] of all) check(`${mode}: ${name}`, number, given);
for (const [mode, number] of wrapping) {
  check(`${mode}: stamps that come round`, number, { writes: 1, wraps: true, orders: ['modify', 'unregister'] });
}

const REST = 0x1000;
const ASKED = 0x8000;
const OWNER = 0xff << 16;
const DUE = 0x27df | 0x20 | 0x4000;

/** What is weakened, by which setup it is found, and what is seen of it. */
type Weaker = readonly [string, Partial<Transitions>, Partial<Setup>, RegExp];

const weakTransitions: readonly Weaker[] = [
  ['an owner that nothing is left with', { left: word => word }, {}, /readiness is lost/],
  ['an owner that is not looked at', { ownerOf: () => 0 }, {}, /two runs at once/],
  [
    'a claim that leaves what is due',
    { claimed: (w, o, s) => claim.claimed(w, o, s) | (w & DUE) },
    { wakes: 1 },
    /nothing asked for/,
  ],
  [
    'a oneshot that does not rest',
    { claimed: (w, o) => claim.claimed(w, o, false) },
    { mode: ONESHOT },
    /does not rest/,
  ],
  ['a release that keeps the owner', { released: word => word }, {}, /holds the slot for ever|never/],
  ['a release that drops what came', { released: (w, l) => claim.released(w, l) & ~0x27df }, {}, /readiness is lost/],
  [
    'a release that drops a wake()',
    { released: (w, l) => claim.released(w, l) & ~0x4000 },
    { agains: 1 },
    /wake\(\) is lost/,
  ],
  [
    'a release that lets a wake() overtake a request',
    { released: (w, l) => (w & ASKED ? claim.released(w, l) & ~(REST | ASKED) : claim.released(w, l)) },
    { wakes: 1, asks: ['modify'] },
    /nobody finds it/,
  ],
  [
    'a release that keeps what came to what rests',
    { released: w => w & ~OWNER, isDue: w => (w & OWNER) === 0 && (w & DUE) !== 0 },
    { mode: EDGE, throws: 1 },
    /what rests/,
  ],
  [
    'a look that drops what came meanwhile',
    { looked: (w, m) => claim.looked(w & ~0x27df, m) },
    { mode: LEVEL, lists: true },
    /readiness is lost/,
  ],
  [
    'a look that drops a wake()',
    { looked: (w, m) => claim.looked(w & ~0x4000, m) },
    { mode: LEVEL, lists: true, wakes: 1 },
    /wake\(\) is lost/,
  ],
  [
    'a request without a rest',
    { asked: w => w | ASKED },
    { asks: ['modify'] },
    /between a request|never settled|rests/,
  ],
  ['a request that nobody is told of', { asked: w => (w & ~0x27df) | REST }, { asks: ['modify'] }, /readiness is lost/],
  ['a settling that goes on resting', { settled: w => w & ~ASKED }, { asks: ['modify'] }, /rests for no reason/],
  [
    'a settling that ends the rest of an error',
    { settled: w => w & ~(ASKED | REST) },
    { asks: ['modify'], throws: 1 },
    /readiness is lost/,
  ],
  [
    'a modify() that drops the owner',
    { renewed: (w, s) => claim.renewed(w, s) & ~OWNER },
    { orders: ['modify'] },
    /two runs at once/,
  ],
  [
    'a modify() that drops a wake()',
    { renewed: (w, s) => claim.renewed(w, s) & ~0x4000 },
    { orders: ['wake', 'modify'] },
    /wake\(\) is lost/,
  ],
  [
    'a modify() that ends the rest of a request',
    { renewed: (w, s) => claim.renewed(w, s) & ~REST },
    { asks: ['unregister'], orders: ['modify'] },
    /between a request/,
  ],
  [
    'a modify() that goes on resting',
    { renewed: (w, s) => claim.renewed(w, s) | (w & REST) },
    { throws: 1, orders: ['modify'] },
    /rests for no reason/,
  ],
  [
    'a word without a stamp',
    { hasStamp: () => true },
    { mode: ONESHOT, orders: ['modify'], stampFirst: true },
    /two runs of a oneshot/,
  ],
  [
    'a wake() of what rests',
    { woken: w => w | 0x4000 },
    { mode: ONESHOT, writes: 1, agains: 1, orders: ['modify'] },
    /two runs of a oneshot|nothing asked for/,
  ],
  ['CLOSING that is not seen', { isClosing: () => false }, { orders: ['unregister'] }, /never/],
  ['an end that does not close', { closing: w => w }, { orders: ['unregister'] }, /never/],
  ['an error without a rest', { rested: w => w & ~DUE }, { throws: 1 }, /what rests/],
  ['a dead thread whose run is begun again', { interrupted: w => claim.abandoned(w, 1) }, { crashes: 1 }, /what rests/],
  [
    'a dead thread whose request is kept',
    { interrupted: w => (w & ~OWNER) | REST },
    { crashes: 1, asks: ['modify'] },
    /what rests|never settled/,
  ],
  [
    'a dead thread that had not begun, and rests',
    { abandoned: (w, due) => (w & ~OWNER) | due },
    { mode: ONESHOT, crashes: 1 },
    /rests for no reason/,
  ],
  ['a dead thread whose due is forgotten', { abandoned: w => claim.abandoned(w, 0) }, { crashes: 1 }, /is lost/],
  [
    'a consumer that lets go of what it has',
    { taken: w => w & ~OWNER },
    { consumer: true, orders: ['modify'] },
    /nobody finds it/,
  ],
];

const weakOrders: readonly Weaker[] = [
  ['level without another look', {}, { mode: LEVEL, noLook: true }, /readiness is lost/],
  [
    'a oneshot that runs for what was before modify()',
    {},
    { mode: ONESHOT, noRecheck: true, orders: ['modify'] },
    /two runs of a oneshot/,
  ],
  [
    'level to oneshot: a run for what was before',
    {},
    { mode: LEVEL, noRecheck: true, orders: ['oneshot'] },
    /two runs of a oneshot/,
  ],
  [
    'an event that takes a wake() with it, and dies',
    {},
    { arriveTakesDue: true, spurious: true, writes: 0, crashes: 1, wakes: 1, orders: ['modify'] },
    /wake\(\) is lost/,
  ],
  ['an error that is told before it rests', {}, { errorFirst: true, throws: 1, orders: ['modify'] }, /though modify/],
  ['a main thread that is to share what is due', {}, { dueToMain: true }, /nobody finds it/],
  ['what lies with a thread that is stuck', {}, { noWatch: true, away: 1, lists: true }, /nobody finds it/],
  ['a thread that does not say what it has in hand', {}, { noHand: true, crashes: 1 }, /is lost|never|for ever/],
  ['a event for main that is in no ring', {}, { noHand: true, consumer: true, crashes: 1 }, /holds the slot for ever/],
  [
    'a oneshot whose thread dies while it lets go',
    {},
    { mode: ONESHOT, overIsNotBegun: true, crashes: 1 },
    /does not rest|is lost/,
  ],
  [
    'an error whose thread dies while it lets go',
    {},
    { mode: EDGE, overIsNotBegun: true, crashes: 1, throws: 1, agains: 1 },
    /what rests/,
  ],
  ['a slot that a dead thread had come to know of', {}, { noScan: true, crashes: 1, lists: true }, /nobody finds it/],
  [
    'a request that is settled before it is carried out',
    {},
    { settlesBlindly: true, mode: ONESHOT, crashes: 1, writes: 3, asks: ['modify', 'modify'] },
    /readiness is lost/,
  ],
  ['a dead thread whose agenda is forgotten', {}, { noAgenda: true, crashes: 1 }, /readiness is lost/],
  ['an agenda that is forgotten too early', {}, { agendaTooEarly: true, crashes: 1 }, /readiness is lost/],
  ['a request that is overtaken', {}, { noCatchUp: true, asks: ['modify'], orders: ['modify'] }, /overtaken/],
  [
    'a kernel that looks before the stamp has changed',
    {},
    { lookFirst: true, orders: ['modify'], mode: LEVEL },
    /readiness is lost/,
  ],
  [
    'a request after which the kernel does not look',
    {},
    { settleWithoutLook: true, asks: ['modify'] },
    /readiness is lost/,
  ],
  [
    'a oneshot that main takes after a modify()',
    {},
    { mode: ONESHOT, consumer: true, mainForgetsRest: true, orders: ['modify'] },
    /does not rest|is lost/,
  ],
  [
    'an end that waits for the main thread itself',
    {},
    { consumer: true, mainEndsLater: true, orders: ['unregister'] },
    /never/,
  ],
];

for (const [name, change, setup, failure] of [...weakTransitions, ...weakOrders]) {
  test(`finds ${name}`, () => {
    const verdict = exploreClaim({ ...claim, ...change }, { mode: EDGE, threads: 2, writes: 2, ...setup });
    expect(verdict.failure ?? 'nothing').toMatch(failure);
  });
}
