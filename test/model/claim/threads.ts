/** What a thread does, one atomic action a step (worker/service/runner.ts, wait-loop.ts, look.ts). */
import * as S from './state.js';

// Where a thread is.
export const WAIT = 0;
const DISPATCH = 1;
const ARRIVE_COMPARE = 2;
const ARRIVE_INTEREST = 3;
const ARRIVE_EXCHANGE = 4;
const LEAVE = 5;
const LEAVE_COMPARE = 6;
const LEAVE_EXCHANGE = 7;
const TAKE = 8;
const TAKE_INTEREST = 9;
const TAKE_HAND = 10;
const TAKE_EXCHANGE = 11;
const TAKE_AFTER_LEAVE = 12;
const LOOK = 13;
const LOOK_EXCHANGE = 14;
const POLL_HELD = 15;
const LOOK_HAND = 16;
const LOOK_END = 17;
const LOAD = 18;
const POLL = 19;
const RUNNING = 20;
const HAND_EMPTY = 21;
const AGENDA_DONE = 22;
const BEGIN = 23;
const READ = 24;
const ACT = 25;
const ASK = 26;
const ASK_PUSH = 27;
const THROW = 28;
const THROW_PUSH = 29;
const LET_GO = 30;
const LET_GO_HAND = 31;
const RUN_OVER = 32;
const RELEASE = 33;
const TELL = 34;
const QUEUE = 35;
const DONE = 36;
const RETURN_HAND = 37;
const RETURN = 38;
const WAKE = 39;
const WAKE_COMPARE = 40;
const WAKE_EXCHANGE = 41;
const WAKE_SHARE = 42;
const PUBLISH = 43;
const PUBLISH_COMPARE = 44;
const PUBLISH_EXCHANGE = 45;
const GIVE = 46;
export const AWAY = 47;
export const DEAD = 48;

type Add = (next: S.State, step: string) => void;

/** Every step that thread `i` may take. */
export function threadSteps(t: S.Transitions, setup: S.Setup, s: S.State, i: number, add: Add): void {
  const me = s.threads[i];
  if (me === undefined || me.at === DEAD || me.at === AWAY) return;
  const branch = (step: string, change: (state: S.State, me: S.Thread) => void): void => {
    const next = S.copy(s);
    const it = next.threads[i];
    if (it === undefined) return;
    change(next, it);
    settleOwnSteps(t, setup, next, it, i + 1);
    add(next, step);
  };
  if (me.at === WAIT) waitSteps(t, setup, s, i, branch);
  else if (me.at === READ) readSteps(setup, s, branch);
  else if (me.at === ACT) actSteps(t, setup, s, branch);
  else if (me.at === QUEUE) queueSteps(setup, me, branch);
  else if (me.at !== LOAD || !s.changing) {
    branch(NAMES[me.at] ?? '', (next, it) => step(t, setup, next, it, i + 1));
  }
  // A death in between changes nothing for those who look on if nothing was left half done.
  if (s.crashes > 0 && (me.at !== WAIT || me.list > 0)) {
    add(died(s, i), 'dies');
  }
}

/** Steps that nobody else sees are taken with the one before, unless a death is to fall between. */
function settleOwnSteps(t: S.Transitions, setup: S.Setup, s: S.State, me: S.Thread, owner: number): void {
  for (;;) {
    const isOwn =
      (s.crashes === 0 && OWN_STEPS.has(me.at)) || (isStatic(setup) && INTEREST_STEPS.has(me.at) && !s.changing);
    if (!isOwn) return;
    step(t, setup, s, me, owner);
  }
}

/** Interest and stamp never change. */
function isStatic(setup: S.Setup): boolean {
  return (setup.orders ?? []).every(order => order === 'wake') && (setup.asks ?? []).length === 0;
}

const OWN_STEPS = new Set([
  TAKE_HAND,
  LOOK_HAND,
  RUNNING,
  HAND_EMPTY,
  AGENDA_DONE,
  LET_GO_HAND,
  RUN_OVER,
  DONE,
  RETURN_HAND,
]);
const INTEREST_STEPS = new Set([ARRIVE_COMPARE, ARRIVE_INTEREST, LEAVE_COMPARE, TAKE_INTEREST, LOAD, LET_GO]);

type Branch = (step: string, change: (next: S.State, me: S.Thread) => void) => void;

/** The order in which a thread goes through them is left open. */
function waitSteps(t: S.Transitions, setup: S.Setup, s: S.State, i: number, branch: Branch): void {
  const me = s.threads[i];
  if (me === undefined) return;
  if (s.ready) {
    const at = setup.consumer ? [PUBLISH] : setup.threads === 1 ? [DISPATCH] : [DISPATCH, LEAVE];
    for (const to of at) {
      branch('fetches', (next, it) => {
        it.event = next.registered;
        next.ready = setup.keeps === true && next.unread > 0;
        if (next.kernelMode === S.ONESHOT) {
          next.armed = false;
          next.ready = false;
        }
        // The kernel goes on telling: it is no account of runs.
        if (!setup.keeps) next.credit = Math.min(15, next.credit + 1);
        it.at = to;
      });
    }
  }
  if (me.list > 0) {
    for (const to of [TAKE, LOOK]) {
      branch('from its list', (_, it) => {
        it.list--;
        it.at = to;
      });
    }
  }
  if (s.queued) {
    branch('from the run queue', (next, it) => {
      next.queued = false;
      it.at = TAKE;
    });
  }
  const isBehind = s.threads.some((peer, j) => j !== i && peer.list > 0);
  if (isBehind && !s.queued && !setup.noWatch && t.isDue(s.word)) {
    branch('watches', next => {
      next.queued = true;
    });
  }
  if (s.wakes > 0) {
    branch('runs another, which wakes this one', (next, it) => {
      next.wakes--;
      it.generation = next.generation;
      it.at = WAKE;
    });
  }
  if (s.away > 0) {
    branch('runs another, for long', (next, it) => {
      next.away--;
      it.at = AWAY;
    });
  }
}

function readSteps(setup: S.Setup, s: S.State, branch: Branch): void {
  // Level: one message a run, or to the end. The others read until a read would block.
  if (s.mode === S.LEVEL) {
    branch('reads one', (next, it) => {
      next.unread = Math.max(0, next.unread - 1);
      it.at = ACT;
    });
  }
  if (s.mode !== S.LEVEL || !setup.keeps) {
    branch('reads all', (next, it) => {
      next.unread = 0;
      it.empty = true;
      it.at = ACT;
    });
  }
}

function actSteps(t: S.Transitions, setup: S.Setup, s: S.State, branch: Branch): void {
  branch('returns', (_, it) => {
    it.running = 0;
    it.at = LET_GO;
  });
  if (s.asked < (setup.asks ?? []).length) {
    branch('asks', (next, it) => {
      next.pending++;
      next.asks++;
      it.at = ASK;
    });
  }
  if (s.agains > 0) {
    branch('again()', next => {
      next.agains--;
      wake(t, next, next.word);
    });
  }
  if (s.throws > 0) {
    branch('throws', (next, it) => {
      next.throws--;
      next.answer = 0;
      it.running = 0;
      it.at = setup.errorFirst ? THROW_PUSH : THROW;
    });
  }
}

function queueSteps(setup: S.Setup, me: S.Thread, branch: Branch): void {
  if (setup.dueToMain) {
    branch('tells main that it is due', (next, it) => {
      S.push(it, S.RING_DUE, next.generation);
      it.at = DONE;
    });
    return;
  }
  if (setup.lists && me.list < S.ROOM) {
    branch('lists', (_, it) => {
      it.list++;
      it.at = DONE;
    });
  }
  branch('shares', (next, it) => {
    next.queued = true;
    it.at = DONE;
  });
}

/** A run is due, for whoever may have one. The word was read as `word`, and still is that. */
export function wake(t: S.Transitions, s: S.State, word: number): void {
  const next = t.woken(word);
  const isHeard = !t.isClosing(word) && (!t.isResting(word) || t.isAsked(word));
  if (isHeard) {
    s.woken = true;
    s.credit = Math.min(15, s.credit + 1);
  }
  s.word = next;
}

function rest(me: S.Thread): void {
  me.at = WAIT;
  me.event = 0;
  me.word = 0;
  me.due = 0;
  me.fresh = false;
  me.oneshot = false;
  me.found = false;
  me.mode = 0;
  me.stamp = 0;
  me.empty = false;
  me.running = 0;
  me.generation = 0;
  me.hand = false;
  me.handDue = 0;
}

/** Nothing of it is left but what stands in shared memory. */
function died(s: S.State, i: number): S.State {
  const next = S.copy(s);
  const me = next.threads[i];
  if (me === undefined) return next;
  const { event, hand, handDue, at } = me;
  next.crashes--;
  // What was not asked yet never was.
  if (at === ASK || at === ASK_PUSH) next.pending--;
  // What it has left, and not struck from its agenda, may cost one run more.
  if (event !== 0) next.credit = Math.min(15, next.credit + 1);
  rest(me);
  me.event = event;
  me.hand = hand;
  me.handDue = handDue;
  me.at = DEAD;
  return next;
}

/** The registry has seen to a dead thread: another one is in its place, and goes on with its ring. */
export function replaced(me: S.Thread): void {
  rest(me);
  me.list = 0;
}

export function freshThread(): S.Thread {
  return {
    at: WAIT,
    event: 0,
    word: 0,
    due: 0,
    fresh: false,
    oneshot: false,
    found: false,
    mode: 0,
    stamp: 0,
    empty: false,
    running: 0,
    generation: 0,
    hand: false,
    handDue: 0,
    list: 0,
    ring: 0,
  };
}

const STALE = 1;
const RESTING = 2;

/** claim.ts, `refusal`. */
function refused(t: S.Transitions, me: S.Thread, isCurrent: boolean): number {
  if (!isCurrent || !t.hasStamp(me.word, me.event) || t.isClosing(me.word)) return STALE;
  const rests = t.isResting(me.word) && (t.ownerOf(me.word) === 0 || t.isAsked(me.word));
  return rests ? RESTING : 0;
}

function keeps(setup: S.Setup, s: S.State): boolean {
  return setup.keeps === true && s.mode === S.LEVEL;
}

/** One compare-and-exchange; if it fails, the word is what it was found to be. */
function exchange(s: S.State, me: S.Thread, next: number): boolean {
  if (s.word === me.word) {
    s.word = next;
    return true;
  }
  me.word = s.word;
  return false;
}

function step(t: S.Transitions, setup: S.Setup, s: S.State, me: S.Thread, owner: number): void {
  switch (me.at) {
    // ---- an event of the kernel's: arrive, or leave
    case DISPATCH:
    case LEAVE:
    case PUBLISH: {
      const compare = me.at === DISPATCH ? ARRIVE_COMPARE : me.at === LEAVE ? LEAVE_COMPARE : PUBLISH_COMPARE;
      if (me.at === PUBLISH && !setup.noHand) {
        me.hand = true;
        me.handDue = 0;
      }
      if (setup.stampFirst && !me.found) {
        me.found = true;
        if (s.stamp !== me.event) rest(me);
        break;
      }
      me.found = false;
      me.word = s.word;
      me.at = compare;
      break;
    }
    case ARRIVE_COMPARE:
      if (refused(t, me, setup.stampFirst || s.stamp === me.event) !== 0) me.at = DONE;
      else me.at = ARRIVE_INTEREST;
      break;
    case ARRIVE_INTEREST:
      me.oneshot = s.mode === S.ONESHOT;
      me.at = ARRIVE_EXCHANGE;
      break;
    case ARRIVE_EXCHANGE:
      if (t.ownerOf(me.word) !== 0) {
        if (exchange(s, me, keeps(setup, s) ? me.word : t.left(me.word, S.IN))) me.at = DONE;
        else me.at = ARRIVE_COMPARE;
      } else if (t.dueOf(me.word) !== 0 && !setup.arriveTakesDue) {
        if (exchange(s, me, t.left(me.word, S.IN))) me.at = TAKE_AFTER_LEAVE;
        else me.at = ARRIVE_COMPARE;
      } else if (exchange(s, me, t.claimed(me.word, owner, me.oneshot))) {
        me.due = t.dueOf(me.word) | S.IN;
        me.fresh = true;
        me.at = LOAD;
        if (setup.agendaTooEarly) me.event = 0;
      } else {
        me.at = ARRIVE_COMPARE;
      }
      break;
    case LEAVE_COMPARE:
      if (refused(t, me, setup.stampFirst || s.stamp === me.event) !== 0) me.at = DONE;
      else me.at = LEAVE_EXCHANGE;
      break;
    case LEAVE_EXCHANGE: {
      const held = t.ownerOf(me.word) !== 0;
      const next = held && keeps(setup, s) ? me.word : t.left(me.word, S.IN);
      const isKnown = next === me.word;
      if (!exchange(s, me, next)) me.at = LEAVE_COMPARE;
      else me.at = held || isKnown ? DONE : QUEUE;
      break;
    }
    case TAKE_AFTER_LEAVE:
      me.event = 0;
      me.at = TAKE;
      break;

    // ---- what is due
    case TAKE:
      me.word = s.word;
      if (t.isDue(me.word)) me.at = TAKE_INTEREST;
      else me.at = DONE;
      break;
    case TAKE_INTEREST:
      me.oneshot = s.mode === S.ONESHOT;
      if (me.oneshot && t.dueOf(me.word) === LOOK_BIT) me.at = exchange(s, me, t.taken(me.word)) ? DONE : TAKE;
      else me.at = TAKE_HAND;
      break;
    case TAKE_HAND:
      if (!setup.noHand) {
        me.hand = true;
        me.handDue = t.dueOf(me.word);
      }
      me.at = TAKE_EXCHANGE;
      break;
    case TAKE_EXCHANGE: {
      const due = t.dueOf(me.word);
      const before = me.word;
      if (setup.consumer) {
        me.at = exchange(s, me, t.reserved(before, S.MAIN, 0, me.oneshot)) ? GIVE : TAKE;
      } else if (exchange(s, me, t.claimed(before, owner, me.oneshot))) {
        me.due = due;
        me.fresh = false;
        me.at = LOAD;
      } else {
        me.at = TAKE;
      }
      break;
    }
    case LOOK:
      me.word = s.word;
      if (!t.isDue(me.word)) me.at = DONE;
      else if (s.mode === S.LEVEL && !setup.keeps && (t.dueOf(me.word) & (LOOK_BIT | WAKE_BIT)) === LOOK_BIT)
        me.at = LOOK_EXCHANGE;
      else me.at = QUEUE;
      break;
    case LOOK_EXCHANGE:
      me.at = exchange(s, me, t.looking(me.word, owner)) ? POLL_HELD : QUEUE;
      break;
    case POLL_HELD:
      me.found = s.unread > 0;
      me.generation = s.generation;
      me.at = LOOK_HAND;
      break;
    case LOOK_HAND:
      if (!setup.noHand) {
        me.hand = true;
        me.handDue = 0;
      }
      me.at = LOOK_END;
      break;
    case LOOK_END: {
      const before = s.word;
      s.word = t.looked(before, me.found ? S.IN : 0);
      if (me.found) s.credit = Math.min(15, s.credit + 1);
      after(t, me, before, s.word);
      break;
    }

    // ---- a run
    case LOAD: {
      const isSame = me.fresh ? me.event === s.stamp : t.hasStamp(me.word, s.stamp);
      me.generation = s.generation;
      me.mode = s.mode;
      me.stamp = s.stamp;
      if (!isSame && !setup.noRecheck && !setup.agendaTooEarly) me.at = RETURN_HAND;
      else if (
        (me.due & WAKE_BIT) === 0 &&
        !me.fresh &&
        (me.due & LOOK_BIT) !== 0 &&
        me.mode === S.LEVEL &&
        !setup.keeps
      )
        me.at = POLL;
      else if ((me.due & (WAKE_BIT | S.IN)) !== 0) me.at = RUNNING;
      else me.at = LET_GO;
      me.word = 0;
      break;
    }
    case POLL:
      me.found = s.unread > 0;
      me.at = me.found ? RUNNING : LET_GO;
      break;
    case RUNNING:
      s.running = true;
      me.at = HAND_EMPTY;
      break;
    case HAND_EMPTY:
      me.hand = false;
      me.handDue = 0;
      me.at = AGENDA_DONE;
      break;
    case AGENDA_DONE:
      if (me.fresh) me.event = 0;
      me.at = BEGIN;
      break;
    case BEGIN:
      S.begin(s, me.generation, me.mode, me.stamp, !me.found && !setup.keeps);
      me.running = me.generation;
      me.found = false;
      me.due = 0;
      me.fresh = false;
      me.at = READ;
      break;
    case ASK:
      s.word = t.asked(s.word);
      me.at = ASK_PUSH;
      break;
    case ASK_PUSH:
      S.push(me, setup.asks?.[s.asked] === 'unregister' ? S.RING_UNREGISTER : S.RING_MODIFY, me.generation);
      s.asked++;
      me.at = ACT;
      break;
    case THROW:
      s.word = t.rested(s.word);
      s.rests = true;
      s.woken = false;
      me.at = setup.errorFirst ? LET_GO : THROW_PUSH;
      // Nothing but the mode says that it may be ready: it is let go without a look.
      me.empty = true;
      break;
    case THROW_PUSH:
      S.push(me, S.RING_ERROR, me.generation);
      me.at = setup.errorFirst ? THROW : LET_GO;
      me.empty = true;
      break;

    // ---- letting go
    case LET_GO:
      // `running`, from here on: whether there was a run after which it may be ready.
      me.found = s.mode === S.LEVEL && !setup.keeps && !setup.noLook && !me.empty && s.running;
      me.at = LET_GO_HAND;
      break;
    case LET_GO_HAND:
      if (!setup.noHand) {
        me.hand = true;
        me.handDue = setup.overIsNotBegun ? LOOK_BIT : S.OVER;
      }
      me.at = RUN_OVER;
      break;
    case RUN_OVER:
      s.running = false;
      me.at = RELEASE;
      break;
    case RELEASE: {
      const before = s.word;
      s.word = t.released(before, me.found);
      after(t, me, before, s.word);
      break;
    }
    case RETURN_HAND:
      if (!setup.noHand) {
        me.hand = true;
        me.handDue = me.due & (me.fresh ? 0 : WAKE_BIT);
      }
      me.at = RETURN;
      break;
    case RETURN: {
      const before = s.word;
      s.word = t.abandoned(before, me.due & (me.fresh ? 0 : WAKE_BIT));
      after(t, me, before, s.word);
      break;
    }
    case TELL:
      S.push(me, S.RING_RELEASED, me.generation);
      me.at = DONE;
      break;
    case DONE:
      rest(me);
      break;

    // ---- wake() for another registration
    case WAKE:
      me.word = s.word;
      me.at = WAKE_COMPARE;
      break;
    case WAKE_COMPARE:
      me.at = s.generation !== me.generation || t.isClosing(me.word) ? DONE : WAKE_EXCHANGE;
      break;
    case WAKE_EXCHANGE:
      if (s.word !== me.word) {
        me.at = WAKE;
      } else {
        wake(t, s, me.word);
        me.at = t.isDue(s.word) ? WAKE_SHARE : DONE;
      }
      break;
    case WAKE_SHARE:
      s.queued = true;
      me.at = DONE;
      break;

    // ---- without a handler
    case PUBLISH_COMPARE:
      if (refused(t, me, setup.stampFirst || s.stamp === me.event) !== 0) me.at = DONE;
      else me.at = PUBLISH_EXCHANGE;
      me.oneshot = s.mode === S.ONESHOT;
      break;
    case PUBLISH_EXCHANGE: {
      const held = t.ownerOf(me.word) !== 0;
      const next = held
        ? keeps(setup, s)
          ? me.word
          : t.left(me.word, S.IN)
        : t.reserved(me.word, S.MAIN, S.IN, me.oneshot);
      if (!exchange(s, me, next)) me.at = PUBLISH_COMPARE;
      else me.at = held ? DONE : GIVE;
      break;
    }
    case GIVE:
      S.push(me, S.RING_EVENT, s.generation);
      me.at = DONE;
      break;
  }
}

/** runner.ts, `#after`: what a release has come to. */
function after(t: S.Transitions, me: S.Thread, before: number, word: number): void {
  me.found = false;
  me.due = 0;
  if (t.isClosing(before) || t.isAsked(before)) me.at = TELL;
  else me.at = t.dueOf(word) !== 0 ? QUEUE : DONE;
}

export const LOOK_BIT = 0x20;
export const WAKE_BIT = 0x4000;

const NAMES: Readonly<Record<number, string>> = {
  [DISPATCH]: 'arrive: reads the word',
  [ARRIVE_COMPARE]: 'arrive: compares the stamp',
  [ARRIVE_INTEREST]: 'arrive: reads the interest',
  [ARRIVE_EXCHANGE]: 'arrive: exchanges the word',
  [LEAVE]: 'leave: reads the word',
  [LEAVE_COMPARE]: 'leave: compares the stamp',
  [LEAVE_EXCHANGE]: 'leave: exchanges the word',
  [TAKE]: 'take: reads the word',
  [TAKE_INTEREST]: 'take: reads the interest',
  [TAKE_HAND]: 'take: stores HAND',
  [TAKE_EXCHANGE]: 'take: exchanges the word',
  [TAKE_AFTER_LEAVE]: 'forgets the event',
  [LOOK]: 'look: reads the word',
  [LOOK_EXCHANGE]: 'look: exchanges the word',
  [POLL_HELD]: 'look: polls',
  [LOOK_HAND]: 'look: stores HAND',
  [LOOK_END]: 'look: lets go',
  [LOAD]: 'loads interest, data and stamp',
  [POLL]: 'polls',
  [RUNNING]: 'stores RUNNING',
  [HAND_EMPTY]: 'clears HAND',
  [AGENDA_DONE]: 'clears the agenda',
  [BEGIN]: 'begins its run',
  [ASK]: 'ask: the word',
  [ASK_PUSH]: 'ask: the ring',
  [THROW]: 'rests the word',
  [THROW_PUSH]: 'tells the error',
  [LET_GO]: 'lets go: reads the interest',
  [LET_GO_HAND]: 'lets go: stores HAND',
  [RUN_OVER]: 'lets go: clears RUNNING',
  [RELEASE]: 'releases',
  [TELL]: 'tells that it has released',
  [DONE]: 'is done',
  [RETURN_HAND]: 'gives back: stores HAND',
  [RETURN]: 'gives back',
  [WAKE]: 'wake: reads the word',
  [WAKE_COMPARE]: 'wake: compares the generation',
  [WAKE_EXCHANGE]: 'wake: exchanges the word',
  [WAKE_SHARE]: 'wake: shares',
  [PUBLISH]: 'reserve: reads the word',
  [PUBLISH_COMPARE]: 'reserve: compares the stamp',
  [PUBLISH_EXCHANGE]: 'reserve: exchanges the word',
  [GIVE]: 'gives it to main',
};
