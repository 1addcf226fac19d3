// Copyright 2026 the multitask authors. MIT license.
// What options make of results, as types.

/** No options at all. */
export type NoOptions = Record<never, never>;

/** Refuses options that do not exist. */
export type Exact<O, Known> =
  & O
  & { [K in Exclude<keyof O, keyof Known>]: never };

/** What a captured output is. */
export type TextOrBytes<O> = O extends { text: true } ? string
  : O extends { text: false } ? Uint8Array<ArrayBuffer>
  : "text" extends keyof O ? string | Uint8Array<ArrayBuffer>
  : O extends { encoding: string } ? string
  : "encoding" extends keyof O ? string | Uint8Array<ArrayBuffer>
  : Uint8Array<ArrayBuffer>;

/** What a result has of an output by its target alone. */
export type TargetOutput<T, O, Name extends "stdout" | "stderr"> = Name extends
  keyof O ? O[Name] extends "piped" ? T
  : O[Name] extends readonly (infer Place)[] ? "piped" extends Place ? T : null
  : "piped" extends O[Name] ? T | null
  : O[Name] extends readonly unknown[] ? T | null
  : null
  : null;

/** What a result has of an output. */
export type OutputOf<O, Name extends "stdout" | "stderr"> = O extends
  { captureOutput: true } ? TextOrBytes<O>
  : O extends { captureOutput: false } ? TargetOutput<TextOrBytes<O>, O, Name>
  : "captureOutput" extends keyof O ? TextOrBytes<O> | null
  : TargetOutput<TextOrBytes<O>, O, Name>;

/** The type of a stream that is there with `PIPE` only. */
export type StreamOf<O, Name extends string, Stream> = Name extends keyof O
  ? O[Name] extends "piped" ? Stream
  : "piped" extends O[Name] ? Stream | null
  : null
  : null;
