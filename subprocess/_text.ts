// Copyright 2026 the multitask authors. MIT license.
// Bytes to text. A byte order mark stays, and so do the ends of lines.

/** How bytes become text. */
export interface TextMode {
  /** A label of the Encoding standard. */
  readonly encoding: string;
  /** What becomes of bytes that fit no character. */
  readonly errors: "strict" | "replace";
}

/** Bytes that are no text; `offset` is the first that fits no character. */
export class UndecodableError extends Error {
  readonly offset: number;

  constructor(offset: number, options: ErrorOptions) {
    super(`Byte ${offset} fits no character`, options);
    this.offset = offset;
  }
}

/** Makes a decoder; throws RangeError for an unknown encoding. */
export function decoderFor({ encoding, errors }: TextMode): TextDecoder {
  return new TextDecoder(encoding, {
    fatal: errors === "strict",
    ignoreBOM: true,
  });
}

/** Decodes the whole of an output. */
export function decodeAll(bytes: Uint8Array, mode: TextMode): string {
  try {
    return decoderFor(mode).decode(bytes);
  } catch (error) {
    throw new UndecodableError(brokenAt(bytes, mode), { cause: error });
  }
}

/** Decodes the beginning of an output, whatever is in it. */
export function decodeSoFar(bytes: Uint8Array, mode: TextMode): string {
  const decoder = decoderFor({ ...mode, errors: "replace" });
  // A character that has only begun is left out.
  return decoder.decode(bytes, { stream: true });
}

/** Where decoding fails first: the longest beginning that can be decoded. */
function brokenAt(bytes: Uint8Array, mode: TextMode): number {
  const isFine = (length: number, stream: boolean) => {
    try {
      decoderFor(mode).decode(bytes.subarray(0, length), { stream });
      return true;
    } catch {
      return false;
    }
  };
  let fine = 0;
  let broken = bytes.length + 1;
  while (fine + 1 < broken) {
    const middle = (fine + broken) >> 1;
    if (isFine(Math.min(middle, bytes.length), middle <= bytes.length)) {
      fine = middle;
    } else broken = middle;
  }
  // The byte that shows it may be the second of a character, or the end.
  let start = Math.min(fine, bytes.length);
  while (start > 0 && !isFine(start, false)) start--;
  return start;
}
