// Copyright 2026 the multitask authors. MIT license.

// The homes of shared objects as benchmarks tell them apart.

import { mappingObstacle } from "../ipc/_mapped_words.ts";
import type { Home } from "../ipc/mod.ts";
import type { Absence, SelfTimed } from "./_measure.ts";

/** Whether there is mapped memory here. */
export const HAS_MAPPED: boolean = mappingObstacle() === undefined;

/** The homes there are. */
export const HOMES: readonly Home[] = HAS_MAPPED
  ? ["mapped", "shared"]
  : ["shared"];

/** One object in each home that there is. */
export type InHomes<T> = { readonly shared: T; readonly mapped?: T };

/** Makes an object in each home that there is. */
export function inHomes<T>(make: (home: Home) => T): InHomes<T> {
  const shared = make("shared");
  return HAS_MAPPED ? { shared, mapped: make("mapped") } : { shared };
}

/** The object in a home. Only contenders of homes that are there ask. */
export function inHome<T>(objects: InHomes<T>, home: Home): T {
  const object = objects[home];
  if (object === undefined) throw new Error("There is no mapped memory here");
  return object;
}

/** A contender, or why it cannot take part. */
export function needsMapped(contender: SelfTimed): SelfTimed | Absence {
  return HAS_MAPPED
    ? contender
    : { name: contender.name, absent: "skipped: no mapped memory here" };
}

/** A contender of one of the homes. */
export function inHomeContender(
  home: Home,
  contender: SelfTimed,
): SelfTimed | Absence {
  return home === "mapped" ? needsMapped(contender) : contender;
}
