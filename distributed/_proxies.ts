// Copyright 2026 the multitask authors. MIT license.
// Proxies by the kinds of what they stand for.
//
// A proxy of a user's object has the methods of its shape and nothing else: no
// trap forwards what was never asked for, so `then`, `toJSON` and symbols are not
// there, whatever the manager says.

import { behind, RemoteBase, wrap } from "./_remote.ts";
import type { Target } from "./_target.ts";
import { isHiddenName, Kind, type Shape } from "./_wire.ts";
import { RemoteBarrier } from "./remote_barrier.ts";
import { RemoteCondition } from "./remote_condition.ts";
import { RemoteDict } from "./remote_dict.ts";
import { RemoteEvent } from "./remote_event.ts";
import { RemoteList } from "./remote_list.ts";
import { RemoteLock } from "./remote_lock.ts";
import { RemoteNamespace } from "./remote_namespace.ts";
import { RemoteQueue } from "./remote_queue.ts";
import { RemoteSemaphore } from "./remote_semaphore.ts";
import { RemoteValue } from "./remote_value.ts";

const MAKERS: ReadonlyMap<number, () => RemoteBase> = new Map<
  number,
  () => RemoteBase
>([
  [Kind.Queue, () => new RemoteQueue()],
  [Kind.Lock, () => new RemoteLock()],
  [Kind.Semaphore, () => new RemoteSemaphore()],
  [Kind.Event, () => new RemoteEvent()],
  [Kind.Condition, () => new RemoteCondition()],
  [Kind.Barrier, () => new RemoteBarrier()],
  [Kind.Value, () => new RemoteValue()],
  [Kind.Dict, () => new RemoteDict()],
  [Kind.List, () => new RemoteList()],
  [Kind.Namespace, () => new RemoteNamespace()],
]);

/** Something of the engine of a manager, which nothing but this package uses. */
class RemoteInternal extends RemoteBase {}

/** Makes the proxy of a target. */
export function makeProxy(target: Target): RemoteBase {
  if (target.kind === Kind.Object) {
    const type = classOf(target.shape);
    return wrap(target, () => new type());
  }
  const make = MAKERS.get(target.kind);
  return wrap(target, make ?? (() => new RemoteInternal()));
}

/** Classes by the names that their objects have. */
const classes = new Map<string, new () => RemoteBase>();

/** So many shapes are kept: a manager may have made them up. */
const MAX_CLASSES = 1000;

function classOf(shape: Shape): new () => RemoteBase {
  const key = JSON.stringify(shape);
  let type = classes.get(key);
  if (type === undefined) {
    type = makeClass(shape);
    if (classes.size >= MAX_CLASSES) classes.clear();
    classes.set(key, type);
  }
  return type;
}

function makeClass({ methods, properties }: Shape): new () => RemoteBase {
  const type = class RemoteObject extends RemoteBase {};
  const define = (name: string, descriptor: PropertyDescriptor) => {
    if (isHiddenName(name)) return;
    Object.defineProperty(type.prototype, name, {
      enumerable: true,
      ...descriptor,
    });
  };
  for (const name of methods) {
    define(name, {
      value: function (this: RemoteBase, ...args: unknown[]) {
        return behind(this).call(name, args, { isCopy: true });
      },
    });
  }
  for (const name of properties) {
    define(name, {
      get(this: RemoteBase) {
        return behind(this).call(name, [], { isCopy: true });
      },
    });
  }
  return type;
}
