// Copyright 2026 the multitask authors. MIT license.

import type { Barrier } from "../ipc/barrier.ts";
import type { Condition } from "../ipc/condition.ts";
import type { Event } from "../ipc/event.ts";
import type { Lock } from "../ipc/lock.ts";
import type { Queue } from "../ipc/queue.ts";
import type { RLock } from "../ipc/rlock.ts";
import type { Semaphore } from "../ipc/semaphore.ts";
import type { Value } from "../ipc/value.ts";
import type { RemoteBarrier } from "./remote_barrier.ts";
import type { RemoteCondition } from "./remote_condition.ts";
import type { RemoteDict } from "./remote_dict.ts";
import type { RemoteEvent } from "./remote_event.ts";
import type { RemoteList } from "./remote_list.ts";
import type { RemoteLock } from "./remote_lock.ts";
import type { RemoteQueue } from "./remote_queue.ts";
import type { RemoteSemaphore } from "./remote_semaphore.ts";
import type { RemoteValue } from "./remote_value.ts";

/** What is no object, or a copy of one that all know. */
export type RemotePlain =
  | string
  | number
  | bigint
  | boolean
  | null
  | undefined
  | Date
  | RegExp
  | Error
  | ArrayBuffer
  | ArrayBufferView;

/** The names of methods and getters; private ones are not shared. */
export type RemoteName<T> = Exclude<
  keyof T & string,
  `_${string}` | "then" | "toJSON" | "constructor"
>;

/** Whether there are methods: else it is data, which goes as a copy. */
export type RemoteHasMethods<T> = {
  [K in RemoteName<T>]: T[K] extends (...args: never[]) => unknown ? K : never;
}[RemoteName<T>] extends never ? false : true;

/** What a method gives: a copy, or the proxy of an object of ipc. */
export type RemoteResult<R> = R extends RemotePlain ? R
  : R extends
    Queue<infer _I> | Lock | RLock | Semaphore | Event | Condition | Barrier
    ? Remote<R>
  : R extends Value<infer _K> ? Remote<R>
  : Readonly<R>;

/** What a registered name gives: a proxy of an object, or a copy of data. */
export type RemoteRegistered<R> = R extends RemotePlain ? R
  : R extends RemoteKinds ? R
  : Remote<R>;

/** Proxies stay what they are. */
export type RemoteKinds =
  | RemoteQueue
  | RemoteLock
  | RemoteSemaphore
  | RemoteEvent
  | RemoteCondition
  | RemoteBarrier
  | RemoteValue
  | RemoteDict
  | RemoteList;

/**
 * The proxy of a user's object: its public methods, which give promises of copies,
 * and its getters, which are promises.
 */
export type RemoteObject<T> =
  & {
    readonly [K in RemoteName<T>]: T[K] extends (...args: infer A) => infer R
      ? (...args: A) => Promise<RemoteResult<Awaited<R>>>
      : Promise<RemoteResult<T[K]>>;
  }
  & Disposable;

/**
 * What stands for an object that lives in a manager: of a `Queue` a
 * {@linkcode RemoteQueue}, of a map a {@linkcode RemoteDict}, and so on; of a
 * user's object its methods, each of which gives a promise.
 */
export type Remote<T> = T extends Queue<infer I> ? RemoteQueue<I>
  : T extends Lock | RLock ? RemoteLock
  : T extends Semaphore ? RemoteSemaphore
  : T extends Event ? RemoteEvent
  : T extends Condition ? RemoteCondition
  : T extends Barrier ? RemoteBarrier
  : T extends Value<infer K> ? RemoteValue<K>
  : T extends Map<infer K, infer V> ? RemoteDict<K, V>
  : T extends (infer I)[] ? RemoteList<I>
  : RemoteHasMethods<T> extends true ? RemoteObject<T>
  : Readonly<T>;
