/** The claim word's protocol, every interleaving: it holds, and a model that is weakened in one transition does not. */
import { expect, test } from 'vitest';
import * as claim from '../dist/shared/service/claim.js';
import { explore, type Mode, type Setup, type Transitions } from './model/claim-model.js';

const modes: Mode[] = ['level', 'edge', 'oneshot'];

for (const mode of modes) {
  const setups: Array<[string, Omit<Setup, 'mode'>]> = [
    ['3 threads, 4 writes', { threads: 3, writes: 4, orders: [], crashes: 0 }],
    ['3 threads, unregister, register', { threads: 3, writes: 3, orders: ['unregister', 'register'], crashes: 0 }],
    ['3 threads, modify, unregister', { threads: 3, writes: 3, orders: ['modify', 'unregister'], crashes: 0 }],
    ['3 threads, a crash', { threads: 3, writes: 4, orders: [], crashes: 1 }],
    [
      '3 threads, 2 crashes, unregister, register',
      { threads: 3, writes: 3, orders: ['unregister', 'register'], crashes: 2 },
    ],
    ['3 threads, 2 throws', { threads: 3, writes: 3, orders: [], crashes: 0, throws: 2 }],
    [
      '2 threads, a throw, a crash, unregister',
      { threads: 2, writes: 3, orders: ['unregister'], crashes: 1, throws: 1 },
    ],
    ['2 threads, a crash, modify, unregister', { threads: 2, writes: 3, orders: ['modify', 'unregister'], crashes: 1 }],
  ];
  for (const [name, setup] of setups) {
    const tags = setup.threads > 2 ? ['slow'] : [];
    test(`${mode}: ${name}`, { timeout: 120_000, tags }, () => {
      const { failure, states } = explore(claim, { mode, ...setup });
      expect(failure).toBeUndefined();
      expect(states).toBeGreaterThan(500);
    });
  }
}

const weaker: Array<[string, Partial<Transitions>, Partial<Setup>, string | RegExp]> = [
  ['a pending mask that is not left', { contended: word => word }, {}, 'readiness is lost'],
  ['a release that drops what is pending', { pendingOf: () => 0 }, {}, 'readiness is lost'],
  ['an owner that is not looked at', { ownerOf: () => 0 }, {}, 'two threads in a run'],
  ['a release that keeps the owner', { released: word => word }, {}, 'holds the slot for ever'],
  [
    'a word without a generation',
    { isGeneration: () => true },
    { generationFirst: true, orders: ['unregister', 'register'] },
    /gone|has resolved/,
  ],
  ['CLOSING that is not seen', { isClosing: () => false }, { orders: ['unregister'] }, 'never done'],
  [
    'a throw that leaves the owner as it was',
    { seized: word => word },
    { throws: 1, crashes: 0 },
    'holds the slot for ever',
  ],
  ['level without another look', {}, { mode: 'level', noLook: true }, 'readiness is lost'],
];

for (const [name, change, setup, failure] of weaker) {
  test(`finds ${name}`, () => {
    const verdict = explore(
      { ...claim, ...change },
      { mode: 'edge', threads: 2, writes: 2, orders: [], crashes: 0, ...setup },
    );
    expect(verdict.failure ?? 'nothing').toMatch(failure);
  });
}
