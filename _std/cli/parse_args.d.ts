// Copyright 2026 the multitask authors. MIT license.

// Own types for the part of parseArgs that this repository uses: lists of
// option names without dots. The results have the types that @std/cli 1.x
// infers for the same call.

// deno-lint-ignore-file no-explicit-any

type Simplify<T> = { [K in keyof T]: T[K] };

/** The options that are named; those in `C` are collected into lists. */
type Named<B extends string, S extends string, C extends string> =
  & { [K in Exclude<B, C>]: boolean }
  & { [K in Extract<B, C>]: boolean[] }
  & { [K in Exclude<S, C>]?: string }
  & { [K in Extract<S, C>]: string[] }
  & { [K in Exclude<C, B | S>]: unknown[] };

/** An option that has a default is never missing. */
type WithDefaults<T, D> =
  & Omit<T, keyof D>
  & {
    [K in keyof D]: K extends keyof T ? D[K] | NonNullable<T[K]> : unknown;
  };

type AliasesOf<K, A> = K extends keyof A
  ? A[K] extends readonly string[] ? A[K][number]
  : Extract<A[K], string>
  : never;

type WithAliases<T, A> = { [K in keyof T as K | AliasesOf<K, A>]: T[K] };

type Values<B extends string, S extends string, C extends string, D, A> =
  [B | S | C] extends [never] ? Record<string, any>
    :
      & Record<string, unknown>
      & WithAliases<WithDefaults<Simplify<Named<B, S, C>>, D>, A>;

export interface ParseOptions<
  B extends string = string,
  S extends string = string,
  C extends string = string,
  D extends Record<string, unknown> = Record<string, unknown>,
  A extends Record<string, string | string[]> = Record<
    string,
    string | string[]
  >,
  DoubleDash extends boolean = boolean,
> {
  "--"?: DoubleDash;
  alias?: A;
  boolean?: B | readonly B[];
  collect?: C | readonly C[];
  default?: D;
  negatable?: NoInfer<B> | readonly NoInfer<B>[];
  stopEarly?: boolean;
  string?: S | readonly S[];
  unknown?: (arg: string, key?: string, value?: unknown) => unknown;
}

export function parseArgs<
  B extends string = never,
  S extends string = never,
  C extends string = never,
  D extends Record<string, unknown> = Record<never, never>,
  const A extends Record<string, string | string[]> = Record<never, never>,
  DoubleDash extends boolean = false,
>(
  args: readonly string[],
  options?: ParseOptions<B, S, C, D, A, DoubleDash>,
): Simplify<
  & Values<B, S, C, D, A>
  & { _: Array<string | number> }
  & (DoubleDash extends true ? { "--": string[] } : Record<never, never>)
>;
