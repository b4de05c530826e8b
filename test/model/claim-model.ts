/**
 * A model of the claim word's protocol: one slot, one fd, 2 to 3 threads, the registry, the kernel, and one crash. Every
 * interleaving of their atomic steps is visited. The transitions are the shipped ones; the model adds who does them when.
 */

/** The transitions under test: those of claim.js, or weakened ones. */
export type Transitions = Pick<
  typeof import('../../dist/shared/service/claim.js'),
  | 'idleWord'
  | 'ownerOf'
  | 'isClosing'
  | 'isResting'
  | 'pendingOf'
  | 'isGeneration'
  | 'claimed'
  | 'contended'
  | 'released'
  | 'resumed'
  | 'rested'
  | 'awake'
  | 'closing'
  | 'seized'
>;

export type Mode = 'level' | 'edge' | 'oneshot';
export type Order = 'unregister' | 'register' | 'modify';

export interface Setup {
  readonly mode: Mode;
  readonly threads: number;
  /** How often the peer writes, at any moment. */
  readonly writes: number;
  /** What the main thread asks, at any moment, in this order. */
  readonly orders: readonly Order[];
  readonly crashes: number;
  /** How often a handler throws; the listener of the error calls modify(). */
  readonly throws?: number;
  /** A thread may compare the full generation before it reads the word: the order that the code must not have. */
  readonly generationFirst?: boolean;
  /** A level registration is let go without another look. */
  readonly noLook?: boolean;
}

// Where a thread is. Each step is one atomic action.
const WAIT = 0;
const LOAD = 1;
const COMPARE = 2;
const EXCHANGE = 3;
const ENTER = 4;
const READ = 5;
const LEAVE = 6;
const LOOK = 7;
const RELEASE = 8;
const RELEASE_EXCHANGE = 9;
const RESUME_EXCHANGE = 10;
const DEAD = 11;

interface Thread {
  at: number;
  /** The generation of the event in hand; 0: none. */
  event: number;
  /** The word as it was read. */
  word: number;
  /** Whether the last look found the fd ready. */
  ready: boolean;
  running: boolean;
}

interface State {
  word: number;
  generation: number;
  /** The generation that the kernel carries for the fd; 0: not registered. */
  registered: number;
  armed: boolean;
  queued: boolean;
  unread: number;
  writes: number;
  crashes: number;
  throws: number;
  /** Orders that are done; a half-done one's step. */
  order: number;
  step: number;
  seen: number;
  /** What threads have told the registry, with the generation. */
  inbox: Array<readonly [what: 'released' | 'modify' | 'error', generation: number]>;
  /** The last generation whose unregister() has resolved. */
  resolved: number;
  threads: Thread[];
}

export interface Verdict {
  readonly states: number;
  /** What went wrong, and the steps that led there. */
  readonly failure?: string;
}

const IN = 1;
const MAIN = 255;

class Failure extends Error {}

/** Visits every reachable state. */
export function explore(t: Transitions, setup: Setup): Verdict {
  const first: State = {
    word: t.idleWord(1),
    generation: 1,
    registered: 1,
    armed: true,
    queued: false,
    unread: 0,
    writes: setup.writes,
    crashes: setup.crashes,
    throws: setup.throws ?? 0,
    order: 0,
    step: 0,
    seen: 0,
    inbox: [],
    resolved: 0,
    threads: Array.from({ length: setup.threads }, () => ({
      at: WAIT,
      event: 0,
      word: 0,
      ready: false,
      running: false,
    })),
  };
  const seen = new Set<string>();
  const stack = [first];
  for (let state = stack.pop(); state !== undefined; state = stack.pop()) {
    const key = keyOf(state);
    if (seen.has(key)) continue;
    seen.add(key);
    try {
      const next = successors(t, setup, state);
      if (next.length === 0) checkRest(t, setup, state);
      stack.push(...next);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      return { states: seen.size, failure: error.message };
    }
  }
  return { states: seen.size };
}

/** Threads are alike but for their number, and that is in the word: no symmetry is used. */
function keyOf(s: State): string {
  const { threads, inbox, ...rest } = s;
  const parts = threads.map(({ at, event, word, ready, running }) => `${at},${event},${word},${+ready},${+running}`);
  return `${Object.values(rest).join()};${inbox.join()};${parts.join(';')}`;
}

function copy(s: State): State {
  return { ...s, inbox: [...s.inbox], threads: s.threads.map(thread => ({ ...thread })) };
}

/** Nothing moves any more: everything asked was done, and nothing that can be read was left. */
function checkRest(t: Transitions, setup: Setup, s: State): void {
  if (s.order < setup.orders.length) throw new Failure('an order is never done');
  const owner = t.ownerOf(s.word);
  if (owner !== 0) throw new Failure(`thread ${owner} holds the slot for ever`);
  const rests = t.isResting(s.word) && setup.crashes > 0;
  if (s.registered !== 0 && s.unread > 0 && !rests) throw new Failure('readiness is lost');
}

function successors(t: Transitions, setup: Setup, s: State): State[] {
  const next: State[] = [];
  const branch = (change: (state: State) => void): void => {
    const state = copy(s);
    change(state);
    next.push(state);
  };
  if (s.writes > 0) {
    branch(state => {
      state.writes--;
      state.unread++;
      signal(state);
    });
  }
  if (canMain(setup, s)) branch(state => mainStep(t, setup, state));
  s.threads.forEach((thread, i) => {
    if (thread.at === DEAD) return;
    if (thread.at !== WAIT || s.queued) branch(state => threadStep(t, setup, state, i));
    if (s.throws > 0 && thread.at === LEAVE) branch(state => fail(t, state, i));
    if (s.crashes > 0 && thread.at !== WAIT) branch(state => crash(t, setup, state, i));
  });
  return next;
}

/** The fd has become ready: ep_poll_callback. */
function signal(s: State): void {
  if (s.registered !== 0 && s.armed) s.queued = true;
}

/** EPOLL_CTL_ADD and MOD: armed, and looked at. */
function look(s: State): void {
  s.armed = true;
  if (s.unread > 0) s.queued = true;
}

// ---- the main thread ------------------------------------------------------------------------------------

function canMain(setup: Setup, s: State): boolean {
  if (s.inbox.length > 0) return true;
  if (s.order >= setup.orders.length) return false;
  // An unregister() that waits for its run goes on when that is released.
  return !(setup.orders[s.order] === 'unregister' && s.step === 3);
}

function mainStep(t: Transitions, setup: Setup, s: State): void {
  const order = setup.orders[s.order];
  // What was begun is finished before the inbox is looked at: the main thread is one thread.
  if (s.step === 0 || s.step === 3) {
    const message = s.inbox.shift();
    if (message !== undefined) {
      const [what, generation] = message;
      if (generation !== s.generation) return;
      if (what === 'released') finish(t, s);
      else if (what === 'error') takeError(t, s);
      else if (s.registered === generation) modify(t, s);
      return;
    }
  }
  if (order === 'register') {
    s.registered = s.generation;
    s.order++;
    look(s);
  } else if (order === 'modify') {
    if (s.registered !== 0) modify(t, s);
    s.order++;
  } else if (s.step === 0) {
    s.registered = 0; // EPOLL_CTL_DEL
    s.queued = false;
    s.seen = s.word;
    s.step = 1;
  } else if (s.step === 1) {
    const free = t.ownerOf(s.seen) === 0 || t.ownerOf(s.seen) === MAIN;
    if (s.word !== s.seen) {
      s.seen = s.word;
    } else {
      s.word = free ? t.idleWord(s.generation + 1) : t.closing(s.seen);
      s.step = free ? 2 : 3;
    }
  } else {
    s.generation++;
    resolve(s);
  }
}

/** The handler threw, and the main thread holds the registration since: it rests, and the error's listener wakes it. */
function takeError(t: Transitions, s: State): void {
  s.word = t.rested(s.word);
  if (t.ownerOf(s.word) === MAIN) {
    const closing = t.isClosing(s.word);
    s.word = t.released(s.word);
    if (closing) finish(t, s);
  }
  if (s.registered === s.generation) modify(t, s);
}

function modify(t: Transitions, s: State): void {
  // Two steps in the code; between them only events that are dropped can come, and the second looks again.
  s.word = t.awake(s.word);
  look(s);
}

function finish(t: Transitions, s: State): void {
  s.word = t.idleWord(s.generation + 1);
  s.generation++;
  resolve(s);
}

function resolve(s: State): void {
  s.resolved = s.generation - 1;
  s.order++;
  s.step = 0;
  if (s.threads.some(({ running, event }) => running && event <= s.resolved)) {
    throw new Failure('unregister() has resolved while the handler runs');
  }
}

// ---- a thread -------------------------------------------------------------------------------------------

function threadStep(t: Transitions, setup: Setup, s: State, i: number): void {
  const me = s.threads[i];
  if (me === undefined) return;
  const oneshot = setup.mode === 'oneshot';
  switch (me.at) {
    case WAIT:
      s.queued = false;
      if (oneshot) s.armed = false;
      me.event = s.registered;
      me.at = setup.generationFirst ? COMPARE : LOAD;
      break;
    case LOAD:
      me.word = s.word;
      me.at = setup.generationFirst ? EXCHANGE : COMPARE;
      break;
    case COMPARE:
      if (s.generation !== me.event) rest(me);
      else me.at = setup.generationFirst ? LOAD : EXCHANGE;
      break;
    case EXCHANGE:
      claim(t, s, me, i + 1, oneshot);
      break;
    case ENTER:
      if (s.threads.some(other => other.running && other.event === me.event)) throw new Failure('two threads in a run');
      if (me.event <= s.resolved) throw new Failure('a run of a registration that is gone');
      me.running = true;
      me.at = READ;
      break;
    case READ:
      // Level: one message a run. The others read until a read would block.
      s.unread = setup.mode === 'level' ? Math.max(0, s.unread - 1) : 0;
      me.at = LEAVE;
      break;
    case LEAVE:
      me.running = false;
      if (oneshot) s.inbox.push(['modify', me.event]);
      me.at = setup.mode === 'level' && !setup.noLook ? LOOK : RELEASE;
      break;
    case LOOK:
      me.ready = s.unread > 0;
      me.word = s.word;
      me.at = me.ready ? RESUME_EXCHANGE : RELEASE;
      break;
    case RELEASE:
      me.word = s.word;
      me.at = RELEASE_EXCHANGE;
      break;
    case RELEASE_EXCHANGE:
      release(t, s, me);
      break;
    case RESUME_EXCHANGE:
      if (t.isClosing(me.word) || t.isResting(me.word)) {
        me.at = RELEASE;
      } else if (s.word === me.word) {
        s.word = t.resumed(me.word, oneshot);
        me.at = setup.mode === 'level' && !me.ready ? LOOK : ENTER;
        me.ready = false;
      } else {
        me.word = s.word;
      }
      break;
  }
}

/** The handler throws: the thread leaves the registration to the main thread, and tells. */
function fail(t: Transitions, s: State, i: number): void {
  const me = s.threads[i];
  if (me === undefined) return;
  s.throws--;
  me.running = false;
  s.word = t.seized(s.word, MAIN);
  s.inbox.push(['error', me.event]);
  rest(me);
}

function rest(me: Thread): void {
  me.at = WAIT;
  me.event = 0;
  me.word = 0;
  me.ready = false;
}

function claim(t: Transitions, s: State, me: Thread, owner: number, oneshot: boolean): void {
  if (!t.isGeneration(me.word, me.event) || t.isClosing(me.word) || t.isResting(me.word)) {
    rest(me);
    return;
  }
  const held = t.ownerOf(me.word) !== 0;
  const next = held ? t.contended(me.word, IN) : t.claimed(me.word, owner, oneshot);
  if (next === me.word) {
    rest(me);
  } else if (s.word === me.word) {
    s.word = next;
    if (held) rest(me);
    else me.at = ENTER;
  } else {
    me.word = s.word;
    me.at = COMPARE;
  }
}

function release(t: Transitions, s: State, me: Thread): void {
  if (!t.isClosing(me.word) && !t.isResting(me.word) && t.pendingOf(me.word) !== 0) {
    me.ready = false;
    me.at = RESUME_EXCHANGE;
  } else if (s.word === me.word) {
    s.word = t.released(me.word);
    if (t.isClosing(me.word)) s.inbox.push(['released', me.event]);
    rest(me);
  } else {
    me.word = s.word;
  }
}

/** The thread dies where it is, and the registry recovers what it had. */
function crash(t: Transitions, setup: Setup, s: State, i: number): void {
  const me = s.threads[i];
  if (me === undefined) return;
  s.crashes--;
  const { event, running } = me;
  rest(me);
  me.at = DEAD;
  me.running = false;
  if (running && t.isGeneration(s.word, event)) s.word = t.rested(s.word);
  if (t.ownerOf(s.word) === i + 1) {
    const closing = t.isClosing(s.word);
    if (!running) s.word = t.awake(s.word);
    s.word = t.released(t.seized(s.word, MAIN));
    if (closing) finish(t, s);
  }
  const rearmed = !running && s.registered !== 0 && s.registered === event && !t.isResting(s.word);
  if (rearmed || (setup.mode === 'oneshot' && !running && s.registered === event)) look(s);
}
