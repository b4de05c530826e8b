// Watches a timerfd on Node's event loop: no thread, no native build.
import { EPOLLIN, Epoll } from 'epoll-pool';
import { close, read, timerfd } from 'epoll-pool/sys';

const timer = timerfd(0, 100); // at once, then every 100 ms
const expirations = new BigUint64Array(1);
const epoll = new Epoll();
epoll.register(timer, { events: EPOLLIN });

let ticks = 0;
for await (const event of epoll) {
  read(timer, expirations);
  console.log(`fd ${event.data} ticked ${expirations[0]} time(s)`);
  if (++ticks === 5) break;
}
epoll.close();
close(timer);
