// Copyright 2026 the multitask authors. MIT license.

// Encoding and decoding a value with our codec and with what else is there.
// Who cannot carry a value (the round trip throws, or what arrives is not
// equal) is marked instead of measured.

import { equal } from "@std/assert";
import { deserialize, serialize } from "node:v8";
import { decode, encode } from "../ipc/_codec.ts";
import {
  type Absence,
  FLAGS_HELP,
  measure,
  printTable,
  readFlags,
} from "./_measure.ts";

const HELP =
  `Compares encode + decode of our codec with JSON, structuredClone, node:v8,
cbor-x and @msgpack/msgpack. "ratio" is the time divided by ours.

Usage: deno run --no-lock -A bench/codec_bench.ts [flags]

${FLAGS_HELP}`;

/** There and back again. */
type RoundTrip = (value: unknown) => unknown;

/** What is used of the packages that encode and decode. */
interface Coder {
  encode(value: unknown): Uint8Array;
  decode(bytes: Uint8Array): unknown;
}

/** What else is used of cbor-x. */
interface Cbor extends Coder {
  readonly Encoder: new (options: { structuredClone: boolean }) => Coder;
}

/**
 * Loads a package from npm. A specifier that only the run knows keeps the
 * package out of every module graph, and `--no-lock` out of the lock file:
 * nobody downloads it but who runs this benchmark.
 */
async function npm<T>(specifier: string): Promise<T> {
  return await import(`npm:${specifier}`);
}

/** The codecs to compare, ours first. */
async function loadPeers(): Promise<Readonly<Record<string, RoundTrip>>> {
  const cbor = await npm<Cbor>("cbor-x@1.6.8");
  const msgpack = await npm<Coder>("@msgpack/msgpack@3.1.3");
  // The plain settings of cbor-x keep neither cycles nor shared references,
  // nor maps apart from objects; `structuredClone` turns all that on.
  const clone = new cbor.Encoder({ structuredClone: true });
  return {
    "ours": (value) => decode(encode(value).bytes),
    "cbor-x": (value) => cbor.decode(cbor.encode(value)),
    "cbor-x structuredClone": (value) => clone.decode(clone.encode(value)),
    "@msgpack/msgpack": (value) => msgpack.decode(msgpack.encode(value)),
    "JSON": (value) => JSON.parse(JSON.stringify(value)),
    "structuredClone": (value) => structuredClone(value),
    "node:v8": (value) => deserialize(serialize(value)),
  };
}

const VALUES: Readonly<Record<string, unknown>> = {
  '{id: 1, f: 2.5, args: [1, "abc"]}': { id: 1, f: 2.5, args: [1, "abc"] },
  "small integer": 42,
  "text of 20 characters": "twenty characters ok",
  "100 records of 6 fields": Array.from({ length: 100 }, (_, i) => ({
    id: i * 1000,
    name: `record ${i}`,
    price: i + 0.5,
    active: i % 2 === 0,
    parent: i === 0 ? null : i - 1,
    tags: ["red", "green"],
  })),
  "text of 64 KiB": "0123456789abcdef".repeat(4096),
  "Uint8Array of 1 MiB": new Uint8Array(2 ** 20).fill(7),
  "Map, Set, Date, BigInt, undefined": {
    map: new Map<unknown, unknown>([["one", 1], [2, "two"]]),
    set: new Set(["a", "b", 3]),
    date: new Date(0),
    bigint: 2n ** 70n,
    nothing: undefined,
  },
};

if (import.meta.main) {
  const options = readFlags(HELP);
  const peers = Object.entries(await loadPeers());
  for (const [title, value] of Object.entries(VALUES)) {
    const contenders = [];
    const absences: Absence[] = [];
    for (const [name, roundTrip] of peers) {
      const absent = whyNot(roundTrip, value);
      if (absent !== undefined) absences.push({ name, absent });
      else contenders.push({ name, run: () => roundTrip(value) });
    }
    const rows = await measure(contenders, options);
    printTable(title, [...rows, ...absences]);
  }
}

/** Why a peer cannot carry the value, if so. */
function whyNot(roundTrip: RoundTrip, value: unknown): string | undefined {
  let arrived: unknown;
  try {
    arrived = roundTrip(value);
  } catch {
    return "cannot carry it (throws)";
  }
  // A Buffer is not equal to a Uint8Array, but as good.
  if (value instanceof Uint8Array && arrived instanceof Uint8Array) {
    arrived = new Uint8Array(arrived);
  }
  return equal(arrived, value) ? undefined : "cannot carry it (changes it)";
}
