// The handler of smoke.mjs.
import { EpollError } from 'epoll-pool';
import { close } from 'epoll-pool/sys';

const count = new BigUint64Array(1);

export default function handle(ready) {
  if (ready.read(count) < 0) return;
  let same = false;
  try {
    close(2 ** 31 - 1);
  } catch (error) {
    same = error instanceof EpollError && error.code === 'EBADF';
  }
  ready.post({ data: ready.data, count: count[0], same });
}
