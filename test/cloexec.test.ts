/** New fds do not survive exec: a child process must not inherit them. */
import { spawnSync } from 'node:child_process';
import { Epoll } from 'epoll-pool';
import { expect, test } from 'vitest';

test('a child process does not see the epoll fd', () => {
  using_(new Epoll(), epoll => {
    const child = spawnSync('ls', ['-l', '/proc/self/fd'], { encoding: 'utf8' });
    expect(child.status).toBe(0);
    expect(child.stdout).not.toContain('eventpoll');
    expect(epoll.fd).toBeGreaterThan(2);
  });
});

function using_<T extends Disposable>(resource: T, body: (resource: T) => void): void {
  try {
    body(resource);
  } finally {
    resource[Symbol.dispose]();
  }
}
