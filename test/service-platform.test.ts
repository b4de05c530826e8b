/** Where there is no epoll, importing works and start() rejects. */
import { expect, test } from 'vitest';
import { ended, startPlain } from './support/run.ts';

test.each(['darwin', 'win32'])('on %s', async platform => {
  const source = `
    Object.defineProperty(process, 'platform', { value: '${platform}' });
    const { WaitService } = await import('epoll-pool');
    const promise = WaitService.start();
    await promise.catch(error => process.stdout.write(error.code));
  `;
  expect(await startPlain(source).result).toEqual(ended('ERR_FEATURE_UNAVAILABLE_ON_PLATFORM'));
});
