// Copyright 2026 the multitask authors. MIT license.
// Maps, lists and namespaces as guests of a manager work with them. What guests
// read are copies; what is nested in them changes nothing here.

import { shown } from "../ipc/_options.ts";
import {
  type CallContext,
  callOf,
  type Methods,
  type Servant,
} from "./_servant.ts";
import { isHiddenName, Kind, NO_SHAPE } from "./_wire.ts";

type Method<T> = (object: T, args: readonly unknown[]) => unknown;

class Data<T> implements Servant {
  readonly kind: number;
  readonly shape = NO_SHAPE;
  readonly keepsProxies = true;
  readonly #data: T;
  readonly #methods: Methods<T>;

  constructor(kind: number, data: T, methods: Methods<T>) {
    this.kind = kind;
    this.#data = data;
    this.#methods = methods;
  }

  call(method: string, args: readonly unknown[], context: CallContext) {
    return callOf(this.#methods, this.#data, method, args, context);
  }
}

// ---- Dict ----

type Dict = Map<unknown, unknown>;

/** Copies of objects are never the same key. */
function keyOf(key: unknown): unknown {
  if (typeof key !== "object" || key === null) return key;
  throw new TypeError(
    `Cannot use a key of a dict: it must be a string, number, bigint, boolean, null or undefined, received ${
      shown(key)
    }`,
  );
}

function missing(key: unknown): RangeError {
  return new RangeError(`Cannot find the key ${shown(key)} in the dict`);
}

function sum(old: unknown, amount: unknown): number | bigint {
  if (typeof old === "number" && typeof amount === "number") {
    return old + amount;
  }
  if (typeof old === "bigint" && typeof amount === "bigint") {
    return old + amount;
  }
  throw new TypeError(
    `Cannot add: both must be numbers, or both bigints, received ${
      shown(old)
    } and ${shown(amount)}`,
  );
}

function entriesOf(entries: unknown): [unknown, unknown][] {
  if (entries instanceof Map) return [...entries];
  if (Array.isArray(entries) && entries.every((one) => Array.isArray(one))) {
    return entries.map(([key, value]) => [keyOf(key), value]);
  }
  if (typeof entries === "object" && entries !== null) {
    return Object.entries(entries);
  }
  throw new TypeError(
    `Cannot update the dict: entries must be a Map, a list of pairs or an object, received ${
      shown(entries)
    }`,
  );
}

const DICT_METHODS: Methods<Dict> = new Map<string, Method<Dict>>([
  ["get", (dict, [key, otherwise]) => {
    const value = dict.get(keyOf(key));
    return value === undefined && !dict.has(key) ? otherwise : value;
  }],
  ["set", (dict, [key, value]) => void dict.set(keyOf(key), value)],
  ["has", (dict, [key]) => dict.has(keyOf(key))],
  ["delete", (dict, [key]) => dict.delete(keyOf(key))],
  ["clear", (dict) => dict.clear()],
  ["size", (dict) => dict.size],
  ["keys", (dict) => [...dict.keys()]],
  ["values", (dict) => [...dict.values()]],
  ["entries", (dict) => [...dict]],
  ["copy", (dict) => new Map(dict)],
  ["pop", (dict, [key, ...otherwise]) => {
    if (dict.has(keyOf(key))) {
      const value = dict.get(key);
      dict.delete(key);
      return value;
    }
    if (otherwise.length === 0) throw missing(key);
    return otherwise[0];
  }],
  ["popItem", (dict) => {
    const last = [...dict].pop();
    if (last === undefined) throw new RangeError("The dict is empty");
    dict.delete(last[0]);
    return last;
  }],
  ["setDefault", (dict, [key, value]) => {
    if (!dict.has(keyOf(key))) dict.set(key, value);
    return dict.get(key);
  }],
  ["update", (dict, [entries]) => {
    for (const [key, value] of entriesOf(entries)) dict.set(key, value);
  }],
  ["add", (dict, [key, amount, start]) => {
    const old = dict.has(keyOf(key))
      ? dict.get(key)
      : start ?? (typeof amount === "bigint" ? 0n : 0);
    const next = sum(old, amount);
    dict.set(key, next);
    return next;
  }],
]);

/** Serves a map. */
export function dictServant(map: Dict): Servant {
  return new Data(Kind.Dict, map, DICT_METHODS);
}

// ---- List ----

type List = unknown[];

/** An index from either end, of something that is there. */
function indexIn(list: List, index: unknown): number {
  if (!Number.isInteger(index)) {
    throw new TypeError(
      `Cannot use a list: "index" must be an integer, received ${shown(index)}`,
    );
  }
  const at = index as number < 0
    ? list.length + (index as number)
    : index as number;
  if (at < 0 || at >= list.length) {
    throw new RangeError(
      `Cannot use index ${index}: the list has ${list.length} items`,
    );
  }
  return at;
}

function bound(index: unknown): number | undefined {
  if (index === undefined || Number.isInteger(index)) {
    return index as number | undefined;
  }
  throw new TypeError(
    `Cannot use a list: an index must be an integer, received ${shown(index)}`,
  );
}

function itemsOf(items: unknown): unknown[] {
  if (Array.isArray(items)) return items;
  throw new TypeError(
    `Cannot extend the list: items must be an array, received ${shown(items)}`,
  );
}

function compare(a: unknown, b: unknown): number {
  return (a as number) < (b as number)
    ? -1
    : (a as number) > (b as number)
    ? 1
    : 0;
}

const LIST_METHODS: Methods<List> = new Map<string, Method<List>>([
  ["get", (list, [index]) => list[indexIn(list, index)]],
  ["set", (list, [index, value]) => {
    list[indexIn(list, index)] = value;
  }],
  ["push", (list, [items]) => {
    for (const item of itemsOf(items)) list.push(item);
    return list.length;
  }],
  ["pop", (list, [index]) => list.splice(indexIn(list, index ?? -1), 1)[0]],
  ["insert", (list, [index, value]) => {
    list.splice(bound(index) ?? list.length, 0, value);
  }],
  ["remove", (list, [value]) => {
    const index = list.indexOf(value);
    if (index < 0) throw new RangeError(`${shown(value)} is not in the list`);
    list.splice(index, 1);
  }],
  ["indexOf", (list, [value]) => list.indexOf(value)],
  ["includes", (list, [value]) => list.includes(value)],
  ["count", (list, [value]) => list.filter((item) => item === value).length],
  ["slice", (list, [start, end]) => list.slice(bound(start), bound(end))],
  ["reverse", (list) => void list.reverse()],
  ["sort", (list) => void list.sort(compare)],
  ["clear", (list) => {
    list.length = 0;
  }],
  ["length", (list) => list.length],
]);

/** Serves a list. */
export function listServant(list: List): Servant {
  return new Data(Kind.List, list, LIST_METHODS);
}

// ---- Namespace ----

function nameOf(name: unknown): string {
  if (typeof name === "string" && !isHiddenName(name)) return name;
  throw new TypeError(
    `Cannot use a namespace: a name must be a string that is not private, received ${
      shown(name)
    }`,
  );
}

type Namespace = Map<string, unknown>;

const NAMESPACE_METHODS: Methods<Namespace> = new Map<
  string,
  Method<Namespace>
>([
  ["get", (space, [name]) => space.get(nameOf(name))],
  ["set", (space, [name, value]) => void space.set(nameOf(name), value)],
  ["has", (space, [name]) => space.has(nameOf(name))],
  ["delete", (space, [name]) => space.delete(nameOf(name))],
  ["keys", (space) => [...space.keys()]],
  ["copy", (space) => Object.fromEntries(space)],
]);

/** Serves a namespace. */
export function namespaceServant(
  values: Readonly<Record<string, unknown>> = {},
): Servant {
  const space = new Map(
    Object.entries(values).map(([name, value]) => [nameOf(name), value]),
  );
  return new Data(Kind.Namespace, space, NAMESPACE_METHODS);
}
