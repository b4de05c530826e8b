// A Worker of the user's own, for smoke.mjs.
import { parentPort } from 'node:worker_threads';
import { EPOLLIN, Epoll, Events } from 'epoll-pool';
import { close, timerfd } from 'epoll-pool/sys';

const epoll = new Epoll();
const timer = timerfd(30, 30);
epoll.register(timer, { events: EPOLLIN });
parentPort.postMessage([epoll.wait(new Events(1), 5000), await epoll.waitAsync(new Events(1), 5000)]);
epoll.close();
close(timer);
