/** An EventEmitter that knows its events: listeners' arguments are inferred, and other names do not compile. */
import { EventEmitter } from 'node:events';

/** The arguments of each event's listeners, by the event's name. */
type EventMap<E> = Record<keyof E, unknown[]>;
type Name<E> = keyof E & string;

/**
 * Node's own EventEmitter<E> takes any name beside those of `E`, so what adds and removes listeners is declared anew.
 * A class that extends it and overrides one of these declares its parameters in the same way.
 */
export interface TypedEmitter<E extends EventMap<E>> extends EventEmitter {
  on<K extends Name<E>>(name: K, listener: (...args: E[K]) => void): this;
  once<K extends Name<E>>(name: K, listener: (...args: E[K]) => void): this;
  off<K extends Name<E>>(name: K, listener: (...args: E[K]) => void): this;
  addListener<K extends Name<E>>(name: K, listener: (...args: E[K]) => void): this;
  removeListener<K extends Name<E>>(name: K, listener: (...args: E[K]) => void): this;
  prependListener<K extends Name<E>>(name: K, listener: (...args: E[K]) => void): this;
  prependOnceListener<K extends Name<E>>(name: K, listener: (...args: E[K]) => void): this;
}

const Untyped: new () => EventEmitter = EventEmitter;

/** The class to extend: at run time it is EventEmitter itself. */
export const TypedEmitter: new <E extends EventMap<E>>() => TypedEmitter<E> = Untyped;
