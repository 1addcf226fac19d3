// Copyright 2026 the multitask authors. MIT license.
// The handshake of a client and a listener: both speak this protocol, and both
// know the key, if there is one.
//
//   client -> listener   hello
//   listener -> client   hello
//   client -> listener   proof                        (with a key)
//   listener -> client   verdict u8, then its proof   (with a key)
//
//   hello = "multitask" | version u8 | role u8 | has a key u8 |
//           longest message accepted u32 | challenge, 32 random bytes
//   proof = HMAC-SHA256(key, label | role u8 of who proves |
//           the client's hello | the listener's hello)
//
// - Both challenges are fresh and in each proof: a recorded handshake proves
//   nothing another time.
// - The role is in each proof: nobody can have the other side answer its own
//   challenge (reflection).
// - The hellos are in each proof: nobody on the way can change what they say.
// - The listener says nothing before a whole hello has come, and proves itself
//   last: who knocks at ports gets nothing to try keys against.
// - A side reads just the bytes that are due, at most HELLO_SIZE at a time, and
//   stops at the first that is wrong: whoever is at the other end, it takes
//   neither memory nor more time than the caller's deadline.
//
// Whoever forwards the bytes between two honest sides passes, as with any such
// protocol; only TLS keeps those out who can change what crosses.

import { ByteReader, ByteWriter } from "./_bytes.ts";
import type { ByteStream } from "./_channel.ts";
import { shown } from "./_options.ts";
import { AuthenticationError, ConnectionClosedError } from "./errors.ts";

/** Which side of a connection. */
export type Role = "client" | "listener";

/** What one side brings to the handshake. */
export interface Party {
  readonly role: Role;
  readonly key: CryptoKey | undefined;
  /** The longest message that this side accepts, in bytes. */
  readonly maxMessage: number;
}

interface Hello {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly version: number;
  readonly role: number;
  readonly hasKey: boolean;
  readonly maxMessage: number;
}

const encoder = new TextEncoder();
const MAGIC = encoder.encode("multitask");
const VERSION = 1;
const CHALLENGE_SIZE = 32;
/** The magic word and the version: whatever the version, a hello has these. */
const PREFIX_SIZE = MAGIC.length + 1;
/** The length of a hello. */
export const HELLO_SIZE = PREFIX_SIZE + 1 + 1 + 4 + CHALLENGE_SIZE;
const LABEL = encoder.encode("multitask connection proof");
/** The length of a proof. */
export const PROOF_SIZE = 32;

const ROLES: Readonly<Record<Role, number>> = { client: 1, listener: 2 };
const Verdict = { Refused: 0, Welcome: 1 } as const;

/** The bytes of a key that was given as `authkey`, checked. */
export function checkKey(
  action: string,
  key: unknown,
): Uint8Array<ArrayBuffer> {
  if (typeof key !== "string" && !(key instanceof Uint8Array)) {
    throw new TypeError(
      `Cannot ${action}: "authkey" must be a string or a Uint8Array, received ${
        // A key of a wrong type is still a secret.
        typeof key === "object" ? shown(key) : `a ${typeof key}`}`,
    );
  }
  if (key.length === 0) {
    throw new RangeError(`Cannot ${action}: "authkey" must not be empty`);
  }
  return typeof key === "string" ? encoder.encode(key) : new Uint8Array(key);
}

/** Makes a key that proves, and whose bytes nobody can read any more. */
export function importKey(bytes: Uint8Array<ArrayBuffer>): Promise<CryptoKey> {
  return crypto.subtle.importKey(
    "raw",
    bytes,
    { name: "HMAC", hash: "SHA-256" },
    false,
    ["sign", "verify"],
  );
}

/**
 * Shakes hands. Gives the length of the longest message that the other side
 * accepts. Whoever calls it sees to a time limit, by closing the stream, and
 * closes it after an error.
 *
 * @throws {AuthenticationError} If it is not the other side that was expected.
 * @throws {ConnectionClosedError} If the other side left.
 */
export async function handshake(
  stream: ByteStream,
  party: Party,
): Promise<number> {
  const talk = new Talk(stream, party.role);
  const mine = helloBytes(party);
  if (party.role === "client") await talk.write(mine);
  const theirs = await readHello(talk);
  // The other side shall learn of a mismatch, too.
  if (party.role === "listener") await talk.write(mine);
  checkHello(talk, party, theirs);
  if (party.key !== undefined) {
    if (party.role === "client") {
      await proveClient(talk, party.key, mine, theirs.bytes);
    } else await proveListener(talk, party.key, theirs.bytes, mine);
  }
  return theirs.maxMessage;
}

/** The length of a token. */
export const TOKEN_SIZE = 32;

const AGAIN = encoder.encode("multitask connection again");

function provenAgain(token: Uint8Array): Uint8Array<ArrayBuffer> {
  const out = new ByteWriter(256);
  out.raw(AGAIN);
  out.raw(token);
  return out.take();
}

/**
 * Shows a token that was given on another way, in hex, and proves the key anew:
 * who has only seen the token does not pass.
 */
export async function showToken(
  stream: ByteStream,
  key: CryptoKey | undefined,
  token: string,
): Promise<void> {
  const bytes = Uint8Array.fromHex(token);
  const out = new ByteWriter(TOKEN_SIZE + PROOF_SIZE);
  out.raw(bytes);
  if (key !== undefined) out.raw(await prove(key, provenAgain(bytes)));
  await new Talk(stream, "client").write(out.take());
}

/** Reads a token, in hex. @throws {AuthenticationError} If the key is wrong. */
export async function readToken(
  stream: ByteStream,
  key: CryptoKey | undefined,
): Promise<string> {
  const talk = new Talk(stream, "listener");
  const token = new Uint8Array(TOKEN_SIZE);
  await talk.read(token);
  if (key !== undefined) {
    const proof = new Uint8Array(PROOF_SIZE);
    await talk.read(proof);
    if (!await isProof(key, proof, provenAgain(token))) {
      throw talk.refusal('the client has another "authkey"');
    }
  }
  return token.toHex();
}

function helloBytes({ role, key, maxMessage }: Party): Uint8Array<ArrayBuffer> {
  const out = new ByteWriter(HELLO_SIZE);
  out.raw(MAGIC);
  out.u8(VERSION);
  out.u8(ROLES[role]);
  out.u8(key === undefined ? 0 : 1);
  out.u32(maxMessage);
  out.raw(crypto.getRandomValues(new Uint8Array(CHALLENGE_SIZE)));
  return out.take();
}

async function readHello(talk: Talk): Promise<Hello> {
  const bytes = new Uint8Array(HELLO_SIZE);
  await talk.read(bytes.subarray(0, PREFIX_SIZE), (have) => {
    const known = Math.min(have, MAGIC.length);
    for (let i = 0; i < known; i++) {
      if (bytes[i] !== MAGIC[i]) {
        throw talk.refusal(
          "the other side speaks another protocol; check address, port and tls",
        );
      }
    }
  });
  const version = bytes[MAGIC.length]!;
  // What follows in another version is not known.
  if (version !== VERSION) {
    return { bytes, version, role: 0, hasKey: false, maxMessage: 0 };
  }
  await talk.read(bytes.subarray(PREFIX_SIZE));
  const input = new ByteReader(bytes, PREFIX_SIZE);
  return {
    bytes,
    version,
    role: input.u8(),
    hasKey: input.u8() !== 0,
    maxMessage: input.u32(),
  };
}

function checkHello(talk: Talk, mine: Party, theirs: Hello): void {
  if (theirs.version !== VERSION) {
    throw talk.refusal(
      `the other side speaks version ${theirs.version} of the protocol, this side version ${VERSION}; use the same release on both`,
    );
  }
  const expected = mine.role === "client" ? "listener" : "client";
  if (theirs.role !== ROLES[expected]) {
    throw talk.refusal(`the other side is no ${expected}`);
  }
  if (theirs.hasKey !== (mine.key !== undefined)) {
    throw talk.refusal(
      theirs.hasKey
        ? 'the other side asks for an "authkey"; give the same to both sides'
        : 'the other side has no "authkey"; give the same to both sides',
    );
  }
}

function proven(
  by: Role,
  client: Uint8Array,
  listener: Uint8Array,
): Uint8Array<ArrayBuffer> {
  const out = new ByteWriter(256);
  out.raw(LABEL);
  out.u8(ROLES[by]);
  out.raw(client);
  out.raw(listener);
  return out.take();
}

async function prove(
  key: CryptoKey,
  data: Uint8Array<ArrayBuffer>,
): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.sign("HMAC", key, data));
}

/** Compares in a time that does not tell where the proofs differ. */
function isProof(
  key: CryptoKey,
  proof: Uint8Array<ArrayBuffer>,
  data: Uint8Array<ArrayBuffer>,
): Promise<boolean> {
  return crypto.subtle.verify("HMAC", key, proof, data);
}

async function proveClient(
  talk: Talk,
  key: CryptoKey,
  mine: Uint8Array,
  theirs: Uint8Array,
): Promise<void> {
  await talk.write(await prove(key, proven("client", mine, theirs)));
  const verdict = new Uint8Array(1);
  await talk.read(verdict);
  if (verdict[0] !== Verdict.Welcome) {
    throw talk.refusal('the listener has another "authkey"');
  }
  const proof = new Uint8Array(PROOF_SIZE);
  await talk.read(proof);
  if (!await isProof(key, proof, proven("listener", mine, theirs))) {
    throw talk.refusal('the listener does not know the "authkey"');
  }
}

async function proveListener(
  talk: Talk,
  key: CryptoKey,
  theirs: Uint8Array,
  mine: Uint8Array,
): Promise<void> {
  const proof = new Uint8Array(PROOF_SIZE);
  await talk.read(proof);
  if (!await isProof(key, proof, proven("client", theirs, mine))) {
    await talk.write(new Uint8Array([Verdict.Refused]));
    throw talk.refusal('the client has another "authkey"');
  }
  const answer = new ByteWriter(1 + PROOF_SIZE);
  answer.u8(Verdict.Welcome);
  answer.raw(await prove(key, proven("listener", theirs, mine)));
  await talk.write(answer.take());
}

/** The stream during the handshake: whole pieces, and errors that tell. */
class Talk {
  readonly #stream: ByteStream;
  readonly #action: string;

  constructor(stream: ByteStream, role: Role) {
    this.#stream = stream;
    this.#action = role === "client" ? "connect" : "accept";
  }

  refusal(why: string, options?: ErrorOptions): AuthenticationError {
    return new AuthenticationError(`Cannot ${this.#action}: ${why}`, options);
  }

  /** Fills `into`; `check` sees how much is there, each time more is. */
  async read(
    into: Uint8Array,
    check?: (have: number) => void,
  ): Promise<void> {
    let have = 0;
    while (have < into.length) {
      const count = await this.#try(() =>
        this.#stream.read(into.subarray(have))
      );
      if (count === null) throw this.#left();
      have += count;
      check?.(have);
    }
  }

  async write(bytes: Uint8Array): Promise<void> {
    let rest = bytes;
    while (rest.length > 0) {
      rest = rest.subarray(await this.#try(() => this.#stream.write(rest)));
    }
  }

  async #try<T>(operation: () => Promise<T>): Promise<T> {
    try {
      return await operation();
    } catch (error) {
      // The first read or write of a TLS connection brings its handshake.
      if (error instanceof Deno.errors.InvalidData) {
        throw this.refusal(`the TLS handshake failed: ${error.message}`, {
          cause: error,
        });
      }
      throw this.#left({ cause: error });
    }
  }

  #left(options?: ErrorOptions): ConnectionClosedError {
    return new ConnectionClosedError(
      `Cannot ${this.#action}: the other side closed the connection during the handshake`,
      options,
    );
  }
}
