// Copyright 2026 the multitask authors. MIT license.
// What a manager and its guests say to each other, once both have proved who
// they are (ipc/_handshake.ts). Each frame is a kind and a body:
//
//   guest -> manager   Hello    who it is: first, once, on each line
//                      Call     id, object, method, time limit, arguments
//                      Cast     the same, and nobody waits for an answer
//                      Cancel   the call with this id is not wanted any more
//                      Take     moves the session here, from its line before
//                      Release  references that were dropped, with their counts
//   manager -> guest   Welcome  answers Hello: who it is, what is still known, and
//                               a shortcut for those on its machine
//                      Result   id, value or error, of a Call
//                      Fault    object and error, of a Cast that failed
//   both ways          Ping     nothing else was to be said for a while
//                      Bye      ends the session, or the manager, on purpose
//
// A guest is known by the id that it has chosen: its session. A line is one
// connection of a session, which goes on when the line breaks and another one
// comes in time. Calls are not repeated: those that were sent by a line that broke
// have failed, whatever became of them.
//
// Values are encoded as everywhere (ipc/_codec.ts); objects that the manager
// shares cross as references: the number of the object, its kind and, for
// objects of users, the names that can be reached. Numbers of objects are those of
// one manager, which `Welcome` identifies.
//
// Nothing that comes from the other side is trusted: frames have a longest
// length, counts are checked against what is there, values have a largest number
// and a deepest nesting, method names are looked up among those that are shared
// and never on a prototype. A frame that breaks the protocol ends the line; a
// value that cannot be decoded is answered by an error.

import type { ByteReader, ByteWriter } from "../ipc/_bytes.ts";

/** The version of this protocol. */
export const PROTOCOL = 1;

/** The kinds of frames. */
export const Frame = {
  Hello: 1,
  Welcome: 2,
  Call: 3,
  Cast: 4,
  Cancel: 5,
  Release: 6,
  Result: 7,
  Ping: 8,
  Bye: 9,
  Fault: 10,
  Take: 11,
} as const;

/** How a call ended. */
export const Outcome = {
  Value: 0,
  Error: 1,
  /** The object is not there (any more), and nothing was done. */
  Gone: 2,
} as const;

/** The object that is the manager itself: its methods are registered names. */
export const MANAGER = 0;

/**
 * What the manager itself can be asked, beside its registered names, which do
 * not start like this.
 */
export const STATUS = "#status";
/** The engine. */
export const ENGINE = "#engine";
/** That another session of the same program is there, too. */
export const VOUCH = "#vouch";

/** What a reference is a reference to. */
export const Kind = {
  Object: 0,
  Queue: 1,
  Lock: 2,
  Semaphore: 3,
  Event: 4,
  Condition: 5,
  Barrier: 6,
  Value: 7,
  Dict: 8,
  List: 9,
  Namespace: 10,
  Engine: 11,
} as const;

/** The names of an object of users that can be reached. */
export interface Shape {
  readonly methods: readonly string[];
  readonly properties: readonly string[];
}

/** A reference as it crosses. */
export interface Ref {
  readonly id: number;
  readonly kind: number;
  readonly shape: Shape;
}

/** No names. */
export const NO_SHAPE: Shape = { methods: [], properties: [] };

/** Writes the references of a value. */
export function writeRefs(out: ByteWriter, refs: readonly Ref[]): void {
  out.varint(refs.length);
  for (const { id, kind, shape } of refs) {
    out.varint(id);
    out.u8(kind);
    if (kind !== Kind.Object) continue;
    writeNames(out, shape.methods);
    writeNames(out, shape.properties);
  }
}

function writeNames(out: ByteWriter, names: readonly string[]): void {
  out.varint(names.length);
  for (const name of names) out.text(name);
}

const NO_REFS: readonly Ref[] = [];

/** Reads the references of a value. */
export function readRefs(input: ByteReader): readonly Ref[] {
  const count = checkedCount(input);
  if (count === 0) return NO_REFS;
  const refs: Ref[] = [];
  for (let i = 0; i < count; i++) {
    const id = input.varint();
    const kind = input.u8();
    const shape = kind === Kind.Object
      ? { methods: readNames(input), properties: readNames(input) }
      : NO_SHAPE;
    refs.push({ id, kind, shape });
  }
  return refs;
}

function readNames(input: ByteReader): string[] {
  const names: string[] = [];
  for (let i = checkedCount(input); i > 0; i--) names.push(input.text());
  return names;
}

/** A count of things that take at least a byte each. */
export function checkedCount(input: ByteReader): number {
  const count = input.varint();
  if (count > input.bytes.length - input.pos) {
    throw new RangeError(`Cannot read ${count} things: they are not there`);
  }
  return count;
}

/** Names by which nothing is ever reached. */
export function isHiddenName(name: string): boolean {
  return name === "" || name.startsWith("_") || name.startsWith("#") ||
    name === "then" || name === "toJSON" || name === "prototype" ||
    name in Object.prototype;
}
