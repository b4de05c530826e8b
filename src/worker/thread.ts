/** `epoll-pool/thread`: the module to bundle as the file that the option `threadFile` names. It is piscina that runs it. */
import run from './service/thread.js';

const thread: (task: never) => Promise<unknown> = run;
export default thread;
