/**
 * A model of the claim word's protocol: one slot, one fd, 2 to 3 threads, the registry on the main thread (which may be busy
 * for as long as it likes), the kernel, deaths and their recovery. Every interleaving of their atomic steps is visited. The
 * transitions are the shipped ones; the model adds who does them when. The run queue is one bit here: it has a model of its own.
 */
import { IDLE, mainSteps } from './claim/registry.js';
import * as S from './claim/state.js';
import { AWAY, DEAD, freshThread, threadSteps } from './claim/threads.js';
import { explore, Failure, type Model, trace, type Verdict } from './explore.js';

export * from './claim/state.js';

function first(t: S.Transitions, setup: S.Setup): S.State {
  return {
    word: t.idleWord(1),
    stamp: 1,
    generation: 1,
    mode: setup.mode,
    changing: false,
    running: false,
    asks: 0,
    queued: false,
    registered: 1,
    kernelMode: setup.mode,
    armed: true,
    ready: setup.spurious === true,
    unread: 0,
    writes: setup.writes,
    crashes: setup.crashes ?? 0,
    throws: setup.throws ?? 0,
    agains: setup.agains ?? 0,
    wakes: setup.wakes ?? 0,
    away: setup.away ?? 0,
    asked: 0,
    at: IDLE,
    back: IDLE,
    order: 0,
    source: 0,
    victim: -1,
    holds: 0,
    ending: false,
    waits: false,
    runs: 0,
    credit: 0,
    pending: 0,
    rests: false,
    answer: 0,
    woken: false,
    resolved: 0,
    threads: Array.from({ length: setup.threads }, freshThread),
  };
}

function next(t: S.Transitions, setup: S.Setup, s: S.State, add: (next: S.State, step: string) => void): void {
  let moves = 0;
  const count = (state: S.State, step: string): void => {
    moves++;
    add(state, step);
  };
  for (let i = 0; i < s.threads.length; i++)
    threadSteps(t, setup, s, i, (state, what) => count(state, `${i + 1} ${what}`));
  if (s.at === IDLE && s.threads.every(thread => isStill(t, setup, s, thread))) checkStill(t, s);
  mainSteps(t, setup, s, count);
  if (s.writes > 0) {
    const after = S.copy(s);
    after.writes--;
    after.unread++;
    S.signal(after);
    count(after, 'a write');
  }
  if (moves === 0) checkEnd(t, setup, s);
}

/** Asleep, or as good as that: it does nothing until something comes. */
function isStill(t: S.Transitions, setup: S.Setup, s: S.State, me: S.Thread): boolean {
  if (me.at === AWAY || me.at === DEAD) return true;
  return me.at === 0 && me.list === 0 && !s.queued && !s.ready && !canWatch(t, setup, s, me);
}

function canWatch(t: S.Transitions, setup: S.Setup, s: S.State, me: S.Thread): boolean {
  const isBehind = s.threads.some(peer => peer !== me && peer.list > 0);
  return isBehind && !s.queued && !setup.noWatch && t.isDue(s.word);
}

/** The threads wait, and the main thread may be busy for ever: nothing that they could do is left. */
function checkStill(t: S.Transitions, s: S.State): void {
  // What a dead thread had comes back with its recovery, which is the main thread's.
  if (s.threads.some(({ at }) => at === DEAD) || s.threads.every(({ at }) => at === AWAY)) return;
  if (t.isDue(s.word)) throw new Failure('it is due, and nobody finds it');
  if (s.registered === 0 || t.isResting(s.word) || t.ownerOf(s.word) !== 0) return;
  if (s.unread > 0) throw new Failure('readiness is lost');
  if (s.woken) throw new Failure('a wake() is lost');
}

/** Nothing moves any more: everything asked was done, and what rests has a reason to. */
function checkEnd(t: S.Transitions, setup: S.Setup, s: S.State): void {
  if (s.ending) throw new Failure('unregister() never resolves');
  if (s.order < (setup.orders ?? []).length) throw new Failure('an order is never done');
  if (s.pending !== 0 || s.asks !== 0) throw new Failure('a request is never carried out');
  if (s.registered === 0) return;
  const owner = t.ownerOf(s.word);
  if (owner !== 0) throw new Failure(`${owner === S.MAIN ? 'main' : `thread ${owner}`} holds the slot for ever`);
  if (t.isAsked(s.word)) throw new Failure('a request is never settled');
  const hasRun = s.mode === S.ONESHOT && s.runs > 0;
  if (t.isResting(s.word) && s.answer === 2 && !hasRun)
    throw new Failure('it rests, though modify() answered its error');
  if (t.isResting(s.word) && !s.rests && !hasRun) throw new Failure('it rests for no reason');
  if (!t.isResting(s.word) && hasRun) throw new Failure('a oneshot has run and does not rest');
}

// ---- the key of a state -------------------------------------------------------------------------------------

/** Threads are alike but for their number: those of a state are put in order, and the owner is named by its place there. */
function keyOf(s: S.State): string {
  const parts = s.threads.map(me => threadKey(me));
  const places = parts.map((_, i) => i);
  if (s.at === IDLE) places.sort((a, b) => order(parts[a], parts[b]));
  let key = String.fromCharCode(
    s.stamp,
    s.generation | (s.mode << 3) | (s.kernelMode << 5) | (s.order << 7),
    bits(s),
    s.registered,
    s.unread | (s.writes << 4) | (s.credit << 8),
    s.crashes | (s.throws << 2) | (s.agains << 4) | (s.wakes << 6) | (s.away << 8) | (s.asked << 10),
    s.at | (s.back << 5) | (s.source << 10) | ((s.victim + 1) << 13),
    s.asks | (s.holds << 3) | (s.runs << 6) | (s.pending << 8) | (s.resolved << 11),
    s.word & 0xffff,
    (s.word >>> 24) | (renamed(s.word, places) << 8),
  );
  for (const i of places) {
    const me = s.threads[i];
    if (me === undefined) continue;
    key += parts[i];
    if (me.word !== 0) key += String.fromCharCode(renamed(me.word, places));
  }
  return key;
}

function order(a = '', b = ''): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function renamed(word: number, places: readonly number[]): number {
  const owner = (word >>> 16) & 0xff;
  return owner === 0 || owner === S.MAIN ? owner : places.indexOf(owner - 1) + 1;
}

function bits(s: S.State): number {
  return (
    +s.changing |
    (+s.running << 1) |
    (+s.queued << 2) |
    (+s.armed << 3) |
    (+s.ready << 4) |
    (+s.ending << 5) |
    (+s.waits << 6) |
    (+s.rests << 7) |
    (+s.woken << 8) |
    (s.answer << 9)
  );
}

function threadKey(me: S.Thread): string {
  const flags = +me.fresh | (+me.oneshot << 1) | (+me.found << 2) | (+me.empty << 3) | (+me.hand << 4) | (me.mode << 5);
  return String.fromCharCode(
    me.at | (flags << 6),
    me.event,
    me.word & 0xffff,
    me.word >>> 24,
    me.due,
    me.stamp,
    me.running | (me.generation << 3) | (me.list << 6),
    me.handDue & 0xffff,
    me.ring & 0xffff,
    me.ring >>> 16,
  );
}

// ---- for the tests --------------------------------------------------------------------------------------------

function modelOf(t: S.Transitions, setup: S.Setup): Model<S.State> {
  return { first: first(t, setup), key: keyOf, next: (state, add) => next(t, setup, state, add) };
}

export function exploreClaim(t: S.Transitions, setup: S.Setup): Verdict {
  return explore(modelOf(t, setup));
}

/** The same, with the shortest way to what is wrong. */
export function traceClaim(t: S.Transitions, setup: S.Setup): Verdict {
  return trace(modelOf(t, setup));
}
