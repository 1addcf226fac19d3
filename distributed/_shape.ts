// Copyright 2026 the multitask authors. MIT license.
// Which names of an object of a user's can be reached from elsewhere: its public
// methods and getters, own and inherited, and no data. Names that start with `_`
// and whatever all objects have are never among them; what `#` hides is out of
// reach by itself.

import { isHiddenName, type Shape } from "./_wire.ts";

/** The shape of an object; `exposed` says instead which names there are. */
export function shapeOf(object: object, exposed?: readonly string[]): Shape {
  const methods: string[] = [];
  const properties: string[] = [];
  const seen = new Set<string>();
  const isWanted = exposed === undefined
    ? () => true
    : (name: string) => exposed.includes(name);
  for (
    let at: object | null = object;
    at !== null && at !== Object.prototype && at !== Function.prototype;
    at = Object.getPrototypeOf(at)
  ) {
    const all = Object.getOwnPropertyDescriptors(at);
    for (const [name, descriptor] of Object.entries(all)) {
      if (seen.has(name) || isHiddenName(name)) continue;
      seen.add(name);
      if (!isWanted(name)) continue;
      if (typeof descriptor.value === "function") methods.push(name);
      else if (descriptor.get !== undefined || exposed !== undefined) {
        properties.push(name);
      }
    }
  }
  return { methods, properties };
}

/** Whether it is data through and through, which goes as a copy. */
export function isData(object: object): boolean {
  const prototype = Object.getPrototypeOf(object);
  if (prototype !== Object.prototype && prototype !== null) return false;
  return shapeOf(object).methods.length === 0;
}
