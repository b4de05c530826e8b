/**
 * What a peer sends may be anything: thousands of spoilt records, no crash, nothing thrown, nothing left behind.
 *
 * @module-tag slow
 */
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { certificate } from './support/certificates.ts';
import { startFile } from './support/run.ts';

const ca = certificate({ ca: true, name: 'test authority' });
const ec = certificate({ issuer: ca });
const fixture = fileURLToPath(new URL('fixtures/tls-fuzz.mjs', import.meta.url));

test.each(['TLSv1.2', 'TLSv1.3'])('%s', async maxVersion => {
  const options = {
    server: {
      key: ec.key,
      cert: ec.cert,
      ca: ca.cert,
      requestCert: true,
      rejectUnauthorized: false,
      ALPNProtocols: ['a', 'b'],
    },
    client: { key: ec.key, cert: ec.cert, ca: ca.cert, ALPNProtocols: ['b'], maxVersion },
    connections: 400,
    heads: 3000,
    seed: 20_000,
  };
  const { code, signal, stdout, stderr } = await startFile(['--expose-gc', fixture, JSON.stringify(options)], 60_000)
    .result;
  expect({ code, signal, stderr }).toEqual({ code: 0, signal: null, stderr: '' });
  const { outcomes, spoilt, reasons, fds, grown } = JSON.parse(stdout);
  expect(spoilt).toBeGreaterThan(2000);
  expect(outcomes.agreed).toBeGreaterThan(200);
  expect(outcomes.failed).toBeGreaterThan(3000);
  expect(outcomes.exchanged).toBeGreaterThan(1_000_000);
  expect(reasons.length).toBeGreaterThan(15);
  expect(reasons).not.toContain('unknown error');
  expect(fds).toBe(0);
  expect(grown).toBeLessThan(20);
});
