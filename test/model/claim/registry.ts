/** What the main thread does, one atomic action a step (main/service/registry, inbox, threads/recovery.ts). */
import { Failure } from '../explore.js';
import * as S from './state.js';
import { DEAD, LOOK_BIT, replaced, WAKE_BIT, wake } from './threads.js';

// Where the main thread is. It may stay at IDLE for ever, busy with something else.
export const IDLE = 0;
const CATCH_UP = 1;
const ORDER = 2;
const INTEREST = 3;
const STAMP = 4;
const RENEW = 5;
const MOD = 6;
const SHARE = 7;
const DEL = 8;
const CLOSE = 9;
const CLOSE_STAMP = 10;
const CLOSE_GENERATION = 11;
const FINISH = 12;
const FINISH_STAMP = 13;
const FINISH_GENERATION = 14;
const REGISTER = 15;
const ADD = 16;
const RECOVER = 17;
const RECOVER_OWNER = 18;
const RECOVER_TOLD = 19;
const RECOVER_HAND = 20;
const RECOVERED = 21;
const WAKE_SHARE = 22;
const ORDER_DONE = 23;
const CONSUMER_DUE = 24;

const ORDER_MODES: Readonly<Record<string, number>> = { level: S.LEVEL, edge: S.EDGE, oneshot: S.ONESHOT };

type Add = (next: S.State, step: string) => void;

export function mainSteps(t: S.Transitions, setup: S.Setup, s: S.State, add: Add): void {
  const branch = (step: string, change: (next: S.State) => void): void => {
    const next = S.copy(s);
    change(next);
    add(next, step);
  };
  if (s.at !== IDLE) {
    branch(`main: ${NAMES[s.at] ?? ''}`, next => step(t, setup, next));
    return;
  }
  s.threads.forEach((thread, i) => {
    const { op } = S.headOf(thread);
    if (op !== 0 && op !== S.RING_EVENT) {
      branch(`main: ring: ${OPS[op] ?? ''}`, next => {
        next.back = IDLE;
        carryOut(t, next, i);
      });
    }
    if (op === S.RING_EVENT && s.holds === 0) branch('main: opens an event', next => open(t, setup, next, i));
    if (thread.at === DEAD) {
      branch('main: sees a death', next => {
        next.victim = i;
        next.source = 0;
        next.at = CATCH_UP;
      });
    }
  });
  if (s.holds !== 0) branch('main: lets go of its event', next => letGo(t, setup, next));
  const order = (setup.orders ?? [])[s.order];
  // What is asked of an fd whose registration is ending waits for that.
  if (order !== undefined && !s.ending) {
    branch(`main: ${order}`, next => {
      S.markOld(next);
      next.source = 0;
      next.at = setup.noCatchUp ? ORDER : CATCH_UP;
    });
  }
}

/** One entry of a ring. */
function carryOut(t: S.Transitions, s: S.State, i: number): void {
  const thread = s.threads[i];
  if (thread === undefined) return;
  const { op, generation } = S.headOf(thread);
  S.shift(thread);
  const isCurrent = generation === s.generation;
  s.at = s.back;
  if (op === S.RING_DUE) {
    s.at = SHARE;
  } else if (op === S.RING_MODIFY && isCurrent) {
    if (s.registered !== 0) {
      s.at = INTEREST;
    } else {
      s.asks--;
      s.pending--;
    }
  } else if (op === S.RING_UNREGISTER && isCurrent) {
    s.asks--;
    if (s.registered !== 0) s.at = DEL;
  } else if (op === S.RING_RELEASED && isCurrent && t.ownerOf(s.word) === 0) {
    told(t, s);
  } else if (op === S.RING_ERROR && isCurrent) {
    s.answer = 1;
    if (!t.isAsked(s.word)) return;
    s.word = t.settled(s.word, true);
    s.rests = true;
    s.woken = false;
  }
}

/** Somebody has let go of what is ending, or has asked for something. */
function told(t: S.Transitions, s: S.State, isBlind = false): void {
  if (t.isClosing(s.word)) {
    s.at = FINISH;
  } else if (t.isAsked(s.word) && (s.asks === 0 || isBlind)) {
    s.word = t.settled(s.word, false);
    s.at = MOD;
  }
}

function step(t: S.Transitions, setup: S.Setup, s: S.State): void {
  const order = (setup.orders ?? [])[s.order];
  /** What it does is for a handler, or for a dead thread, and not for what it was asked itself. */
  const done = s.back;
  switch (s.at) {
    case CATCH_UP: {
      const thread = s.threads[s.source];
      if (thread === undefined) {
        s.source = 0;
        s.back = IDLE;
        s.at = s.victim >= 0 ? RECOVER : ORDER;
        break;
      }
      const { op } = S.headOf(thread);
      if (op === 0 || op === S.RING_EVENT) {
        s.source++;
      } else {
        s.back = CATCH_UP;
        carryOut(t, s, s.source);
      }
      break;
    }
    case ORDER: {
      if (S.hasOld(s)) throw new Failure('a request is overtaken');
      s.back = ORDER_DONE;
      if (order === 'wake') {
        if (s.registered === 0) {
          s.at = ORDER_DONE;
          break;
        }
        wake(t, s, s.word);
        s.at = t.isDue(s.word) ? WAKE_SHARE : ORDER_DONE;
      } else if (order === 'register') {
        s.at = s.registered === 0 ? REGISTER : ORDER_DONE;
      } else if (s.registered === 0) {
        s.at = ORDER_DONE;
      } else {
        s.at = order === 'unregister' ? DEL : setup.lookFirst ? MOD : INTEREST;
      }
      break;
    }
    case WAKE_SHARE:
      s.queued = true;
      s.at = ORDER_DONE;
      break;

    // ---- modify(): interest, data and stamp whole for whoever loads them; then the word; then the kernel looks
    case INTEREST:
      if (done === ORDER_DONE && order !== undefined) s.mode = ORDER_MODES[order] ?? s.mode;
      s.changing = true;
      s.at = STAMP;
      break;
    case STAMP:
      s.stamp += setup.wraps ? 256 : 1;
      s.changing = false;
      s.runs = 0;
      s.at = RENEW;
      break;
    case RENEW:
      s.word = t.renewed(s.word, s.stamp);
      if (done === ORDER_DONE) {
        if (!t.isAsked(s.word)) s.rests = false;
        if (s.answer === 1) s.answer = 2;
        s.at = setup.lookFirst ? ORDER_DONE : MOD;
        break;
      }
      // A handler's: the kernel is to look once its run has let go.
      s.pending--;
      s.asks--;
      s.at = done;
      break;
    case MOD:
      if (setup.settleWithoutLook && done !== ORDER_DONE) {
        s.registered = s.stamp;
        s.kernelMode = s.mode;
        s.armed = true;
      } else {
        S.look(s);
      }
      s.at = setup.lookFirst && done === ORDER_DONE ? INTEREST : t.isDue(s.word) ? SHARE : done;
      break;
    case SHARE:
      s.queued = true;
      s.at = done;
      break;

    // ---- unregister()
    case DEL:
      s.registered = 0;
      s.ready = false;
      s.at = CLOSE;
      break;
    case CLOSE: {
      const owner = t.ownerOf(s.word);
      if (owner === 0 || (owner === S.MAIN && !setup.mainEndsLater)) {
        s.word = t.freeWord(s.stamp + 1);
        s.at = CLOSE_STAMP;
      } else {
        s.word = t.closing(s.word);
        s.ending = true;
        s.woken = false;
        s.at = done;
      }
      break;
    }
    case CLOSE_STAMP:
    case FINISH_STAMP:
      s.stamp++;
      s.at++;
      break;
    case FINISH:
      s.word = t.freeWord(s.stamp + 1);
      s.at = FINISH_STAMP;
      break;
    case CLOSE_GENERATION:
    case FINISH_GENERATION:
      S.resolve(s, s.generation);
      s.generation++;
      s.ending = false;
      s.asks = 0;
      if (s.waits) s.order++;
      s.waits = false;
      s.at = done;
      break;

    // ---- register()
    case REGISTER:
      s.word = t.idleWord(s.stamp);
      s.runs = 0;
      s.at = ADD;
      break;
    case ADD:
      S.look(s);
      s.at = ORDER_DONE;
      break;
    case ORDER_DONE:
      // Of an unregister() that waits for a run, the promise does not resolve yet.
      if (order === 'unregister' && s.ending) s.waits = true;
      else s.order++;
      s.back = IDLE;
      s.at = IDLE;
      break;

    // ---- a dead thread
    case RECOVER: {
      const dead = s.threads[s.victim];
      const { event } = dead ?? { event: 0 };
      if (dead !== undefined && event !== 0 && !setup.noAgenda) {
        dead.event = 0;
        const isMine = s.stamp === event && t.hasStamp(s.word, event) && !t.isClosing(s.word);
        const rests = t.isResting(s.word) && (t.ownerOf(s.word) === 0 || t.isAsked(s.word));
        if (isMine && !rests) {
          const next = t.left(s.word, S.IN);
          if (setup.noScan && t.ownerOf(s.word) === 0 && next !== s.word) s.queued = true;
          s.word = next;
        }
      }
      s.at = RECOVER_OWNER;
      break;
    }
    case RECOVER_OWNER:
      recoverOwned(t, setup, s);
      s.at = RECOVER_TOLD;
      break;
    case RECOVER_TOLD:
      s.back = RECOVER_HAND;
      s.at = RECOVER_HAND;
      if (t.ownerOf(s.word) === 0) {
        if (!setup.noHand) told(t, s, setup.settlesBlindly && s.threads[s.victim]?.hand);
      }
      break;
    case RECOVER_HAND: {
      const dead = s.threads[s.victim];
      const isGiven =
        s.holds === s.generation || s.threads.some(thread => S.hasEntry(thread, S.RING_EVENT, s.generation));
      if (dead?.hand && t.ownerOf(s.word) === S.MAIN && !isGiven) s.word = t.abandoned(s.word, 0);
      const isKnown = !setup.noScan || dead?.hand === true || (dead?.list ?? 0) > 0;
      if (t.isDue(s.word) && isKnown) s.queued = true;
      s.at = RECOVERED;
      break;
    }
    case RECOVERED: {
      const dead = s.threads[s.victim];
      if (dead !== undefined) replaced(dead);
      s.victim = -1;
      s.back = IDLE;
      s.at = IDLE;
      break;
    }
    case CONSUMER_DUE:
      s.queued = true;
      s.at = IDLE;
      break;
  }
}

function recoverOwned(t: S.Transitions, setup: S.Setup, s: S.State): void {
  const dead = s.threads[s.victim];
  if (dead === undefined || t.ownerOf(s.word) !== s.victim + 1) return;
  if (s.running) {
    s.word = t.interrupted(s.word);
    s.rests = true;
    s.answer = 1;
    s.woken = false;
    s.asks = 0;
  } else if (dead.hand && dead.handDue === S.OVER) {
    s.word = t.released(s.word, true);
  } else {
    s.word = t.abandoned(s.word, dead.hand ? dead.handDue : 0);
  }
  s.running = false;
  if (setup.noScan && t.isDue(s.word)) s.queued = true;
}

// ---- a consumer on the main thread (inbox/consumer.ts) -------------------------------------------------------

function open(t: S.Transitions, setup: S.Setup, s: S.State, i: number): void {
  const thread = s.threads[i];
  if (thread === undefined) return;
  const { generation } = S.headOf(thread);
  S.shift(thread);
  if (generation !== s.generation || t.ownerOf(s.word) !== S.MAIN) return;
  const due = t.dueOf(s.word);
  if (due !== 0) s.word = t.taken(s.word, s.mode === S.ONESHOT && !setup.mainForgetsRest);
  const asks = (due & WAKE_BIT) === 0 && (due & LOOK_BIT) !== 0 && s.mode === S.LEVEL;
  const isReady = asks ? s.unread > 0 : (due & (WAKE_BIT | S.IN)) !== 0;
  if (!isReady) {
    release(t, s, false);
    return;
  }
  S.begin(s, s.generation, s.mode, s.stamp, !asks);
  s.holds = s.generation;
  s.unread = s.mode === S.LEVEL ? Math.max(0, s.unread - 1) : 0;
}

function letGo(t: S.Transitions, setup: S.Setup, s: S.State): void {
  const isIts = s.holds === s.generation && t.ownerOf(s.word) === S.MAIN;
  s.holds = 0;
  if (isIts) release(t, s, s.mode === S.LEVEL && !setup.noLook);
}

function release(t: S.Transitions, s: S.State, look: boolean): void {
  s.word = t.released(s.word, look);
  if (t.isDue(s.word)) s.at = CONSUMER_DUE;
}

const OPS: Readonly<Record<number, string>> = {
  [S.RING_MODIFY]: 'modify',
  [S.RING_UNREGISTER]: 'unregister',
  [S.RING_RELEASED]: 'released',
  [S.RING_ERROR]: 'error',
  [S.RING_EVENT]: 'event',
  [S.RING_DUE]: 'due',
};

const NAMES: Readonly<Record<number, string>> = {
  [CATCH_UP]: 'reads the rings',
  [ORDER]: 'begins with what it was asked',
  [INTEREST]: 'stores the interest',
  [STAMP]: 'stores the stamp',
  [RENEW]: 'renews the word',
  [MOD]: 'EPOLL_CTL_MOD',
  [SHARE]: 'shares',
  [DEL]: 'EPOLL_CTL_DEL',
  [CLOSE]: 'closes the word',
  [CLOSE_STAMP]: 'stores the next stamp',
  [CLOSE_GENERATION]: 'stores the next generation',
  [FINISH]: 'frees the word',
  [FINISH_STAMP]: 'stores the next stamp',
  [FINISH_GENERATION]: 'stores the next generation',
  [REGISTER]: 'stores the word',
  [ADD]: 'EPOLL_CTL_ADD',
  [RECOVER]: 'recovers the agenda',
  [RECOVER_OWNER]: 'lets go of what the dead thread held',
  [RECOVER_TOLD]: 'looks at what was not told',
  [RECOVER_HAND]: 'looks at what is due',
  [RECOVERED]: 'starts another thread',
  [WAKE_SHARE]: 'shares',
  [ORDER_DONE]: 'has done it',
  [CONSUMER_DUE]: 'shares',
};
