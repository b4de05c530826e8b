/** The state of the claim word's model: one slot, one fd, threads, the registry, the kernel; and what must be true of it. */
import type * as claim from '../../../dist/shared/service/claim.js';
import { Failure } from '../explore.js';

/** The transitions under test: those of claim.js, or weakened ones. */
export type Transitions = Pick<
  typeof claim,
  | 'idleWord'
  | 'freeWord'
  | 'ownerOf'
  | 'isClosing'
  | 'isResting'
  | 'isAsked'
  | 'dueOf'
  | 'isDue'
  | 'hasStamp'
  | 'left'
  | 'claimed'
  | 'reserved'
  | 'taken'
  | 'looking'
  | 'released'
  | 'rested'
  | 'interrupted'
  | 'looked'
  | 'asked'
  | 'settled'
  | 'renewed'
  | 'woken'
  | 'closing'
  | 'abandoned'
>;

export const LEVEL = 0;
export const EDGE = 1;
export const ONESHOT = 2;
export type Mode = typeof LEVEL | typeof EDGE | typeof ONESHOT;

/** What the main thread asks. */
export type Order = 'modify' | 'level' | 'edge' | 'oneshot' | 'unregister' | 'register' | 'wake';

/** Orders of steps that the code must not have. Each was a fault once, or would be one. */
export interface Weakness {
  /** The stamp is compared before the word is read. */
  readonly stampFirst?: boolean;
  /** A run does not look whether its registration was modified since it was claimed. */
  readonly noRecheck?: boolean;
  /** An event takes what else is due with it, in words of its own. */
  readonly arriveTakesDue?: boolean;
  /** A level registration is let go without a look, though it may be ready. */
  readonly noLook?: boolean;
  /** An error is told before its registration rests. */
  readonly errorFirst?: boolean;
  /** What is due goes to the main thread, which shares it out. */
  readonly dueToMain?: boolean;
  /** No thread looks after its peers. */
  readonly noWatch?: boolean;
  /** A thread does not say what it has in hand. */
  readonly noHand?: boolean;
  /** What a thread is in the middle of letting go counts as not begun. */
  readonly overIsNotBegun?: boolean;
  /** The registry does not search for what a dead thread had come to know of. */
  readonly noScan?: boolean;
  /** A registration is settled without knowing whether all that was asked is carried out. */
  readonly settlesBlindly?: boolean;
  /** A dead thread's agenda is not looked at. */
  readonly noAgenda?: boolean;
  /** A thread forgets its agenda before its run has begun. */
  readonly agendaTooEarly?: boolean;
  /** The main thread does what it is asked before what the threads asked. */
  readonly noCatchUp?: boolean;
  /** The kernel looks before the stamp changes. */
  readonly lookFirst?: boolean;
  /** The kernel does not look again when a request is settled. */
  readonly settleWithoutLook?: boolean;
  /** The main thread takes what is due with a oneshot, and does not let it rest. */
  readonly mainForgetsRest?: boolean;
  /** What is with the main thread is not freed by an unregister(). */
  readonly mainEndsLater?: boolean;
}

export interface Setup extends Weakness {
  readonly mode: Mode;
  readonly threads: number;
  /** At the start the kernel tells of something that another process has read since. */
  readonly spurious?: boolean;
  /** How often the peer writes, at any moment. */
  readonly writes: number;
  /** What the main thread asks, at any moment, in this order. */
  readonly orders?: readonly Order[];
  /** What a run asks of its own registration: the first that does so the first of these. */
  readonly asks?: ReadonlyArray<'modify' | 'unregister'>;
  readonly crashes?: number;
  readonly throws?: number;
  /** How often a run calls again(). */
  readonly agains?: number;
  /** How often another registration's handler wakes this one. */
  readonly wakes?: number;
  /** How many threads go off to a run that takes for ever, of another registration. */
  readonly away?: number;
  /** Threads have lists of their own; else all that is due is in the run queue. */
  readonly lists?: boolean;
  /** The kernel goes on telling while it is ready: a file of which poll(2) may not be asked. */
  readonly keeps?: boolean;
  /** There is no handler: events are for a consumer on the main thread. */
  readonly consumer?: boolean;
  /** As many modify() calls between two as bring the low bits of a stamp round. */
  readonly wraps?: boolean;
}

export const MAIN = 255;
export const IN = 1;
/** HAND_DUE of a thread that lets go: its run is over. */
export const OVER = -1;
/** How many entries a thread's list has room for. */
export const ROOM = 2;

/** Entries of a ring; of which generation, and whether the main thread is to see it before what it is doing. */
export const RING_MODIFY = 1;
export const RING_UNREGISTER = 2;
export const RING_RELEASED = 3;
export const RING_ERROR = 4;
export const RING_EVENT = 5;
export const RING_DUE = 6;
const OLD = 8;
const ENTRY = 64;

export interface Thread {
  at: number;
  /** The agenda: the stamp of the event in hand; 0: none. */
  event: number;
  /** The word as it was read. */
  word: number;
  /** What it has taken. */
  due: number;
  /** Whether the kernel has told of it, and not the word. */
  fresh: boolean;
  oneshot: boolean;
  found: boolean;
  /** What its run was given: the interest, and the stamp that came with it. */
  mode: number;
  stamp: number;
  /** The last read of its run found nothing. */
  empty: boolean;
  /** In its handler, for which generation. */
  running: number;
  generation: number;
  /** HAND and HAND_DUE. */
  hand: boolean;
  handDue: number;
  list: number;
  ring: number;
}

export interface State {
  word: number;
  stamp: number;
  generation: number;
  mode: number;
  /** Odd: modify() is in the middle of its stores. */
  changing: boolean;
  /** RUNNING of the slot. */
  running: boolean;
  /** Requests of handlers that are not carried out. */
  asks: number;
  /** The run queue has the slot. */
  queued: boolean;
  // ---- the kernel: the stamp that it carries (0: not registered), and whether it is armed, and in the ready list.
  registered: number;
  kernelMode: number;
  armed: boolean;
  ready: boolean;
  unread: number;
  // ---- what is left to happen.
  writes: number;
  crashes: number;
  throws: number;
  agains: number;
  wakes: number;
  away: number;
  asked: number;
  // ---- the main thread.
  at: number;
  back: number;
  order: number;
  /** The ring that it reads, and the dead thread that it recovers (-1: none). */
  source: number;
  victim: number;
  /** The generation of the event that its consumer has. */
  holds: number;
  /** An unregister() waits for a run. */
  ending: boolean;
  /** It is the main thread's own. */
  waits: boolean;
  // ---- what must be true.
  /** Runs with this interest and data. */
  runs: number;
  /** Runs that something has asked for. */
  credit: number;
  /** Asked for in a run, and not carried out: no run may begin. */
  pending: number;
  /** Threw, or died in its run. */
  rests: boolean;
  woken: boolean;
  /** 1: its error was told; 2: and then it was modified. */
  answer: number;
  /** The last generation whose unregister() has resolved. */
  resolved: number;
  threads: Thread[];
}

export function copy(s: State): State {
  return { ...s, threads: s.threads.map(thread => ({ ...thread })) };
}

export function push(me: Thread, op: number, generation: number): void {
  if (me.ring >= ENTRY ** 4) throw new Failure('the model has no room in its ring');
  let place = 1;
  while (me.ring >= place) place *= ENTRY;
  me.ring += place * (op | (generation << 4));
}

export function headOf(me: Thread): { op: number; generation: number } {
  return { op: me.ring & 7, generation: (me.ring >>> 4) & 3 };
}

export function shift(me: Thread): void {
  me.ring = Math.floor(me.ring / ENTRY);
}

export function hasEntry(me: Thread, op: number, generation: number): boolean {
  for (let left = me.ring; left > 0; left = Math.floor(left / ENTRY)) {
    if ((left & 7) === op && ((left >>> 4) & 3) === generation) return true;
  }
  return false;
}

/** What is in the rings now is to be carried out before what the main thread does next. */
export function markOld(s: State): void {
  for (const thread of s.threads) {
    for (let place = 1; place <= thread.ring; place *= ENTRY) {
      if (Math.floor(thread.ring / place) % ENTRY !== 0) thread.ring |= OLD * place;
    }
  }
}

/** Events wait for the consumer; everything else is carried out. */
export function hasOld(s: State): boolean {
  for (const { ring } of s.threads) {
    for (let left = ring; left > 0; left = Math.floor(left / ENTRY)) {
      if ((left & 7) === RING_EVENT) break;
      if ((left & OLD) !== 0) return true;
    }
  }
  return false;
}

/** The fd has become ready: ep_poll_callback. */
export function signal(s: State): void {
  if (s.registered !== 0 && s.armed) s.ready = true;
}

/** EPOLL_CTL_ADD and MOD: armed, and looked at. */
export function look(s: State): void {
  s.registered = s.stamp;
  s.kernelMode = s.mode;
  s.armed = true;
  if (s.unread > 0) s.ready = true;
}

/** A run begins with what `mode` and `stamp` say. @param spends nothing but an event, or a wake(), was the reason for it */
export function begin(s: State, generation: number, mode: number, stamp: number, spends: boolean): void {
  const others = s.threads.filter(({ running }) => running === generation).length + (s.holds === generation ? 1 : 0);
  if (others > 0) throw new Failure('two runs at once');
  if (generation !== s.generation || generation <= s.resolved)
    throw new Failure('a run of a registration that is gone');
  if (s.pending !== 0) throw new Failure('a run between a request and its carrying out');
  if (s.rests) throw new Failure('a run of what rests');
  if (stamp === s.stamp) s.runs = Math.min(2, s.runs + 1);
  if (stamp === s.stamp && mode === ONESHOT && s.runs > 1) throw new Failure('two runs of a oneshot');
  if (spends && --s.credit < 0) throw new Failure('a run that nothing asked for');
  s.woken = false;
}

/** unregister() resolves. */
export function resolve(s: State, generation: number): void {
  s.resolved = generation;
  s.rests = false;
  s.woken = false;
  s.answer = 0;
  s.pending = 0;
  if (s.threads.some(({ running }) => running !== 0 && running <= generation)) {
    throw new Failure('unregister() has resolved while the handler runs');
  }
}
