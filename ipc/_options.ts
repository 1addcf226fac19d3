// Copyright 2026 the multitask authors. MIT license.
// Checks of arguments, made before any effect.

/** How long, and until which abort, a method may wait. */
export interface WaitOptions {
  /**
   * The longest wait in milliseconds; 0 never waits.
   *
   * @default {undefined} wait without a limit
   */
  timeout?: number;
  /** Ends the wait with `signal.reason`. */
  signal?: AbortSignal;
}

/** How long the blocking form of a method may wait. */
export interface WaitSyncOptions {
  /**
   * The longest wait in milliseconds; 0 never waits.
   *
   * @default {undefined} wait without a limit
   */
  timeout?: number;
}

const NO_WAIT_OPTIONS: Readonly<WaitOptions> = Object.freeze({});

/** Shows a received value in an error message. */
export function shown(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.slice(0, 100));
  if (typeof value === "function") return `function ${value.name}`.trim();
  if (typeof value === "object" && value !== null) {
    const name = classOf(value);
    return name && name !== "Object" ? `a ${name}` : "an object";
  }
  return typeof value === "bigint" ? `${value}n` : String(value);
}

function classOf(value: object): string | undefined {
  try {
    const name: unknown = value.constructor?.name;
    return typeof name === "string" ? name : undefined;
  } catch {
    return undefined; // A getter that throws, or a revoked proxy.
  }
}

/** Throws unless `value` is a finite number >= 0. */
export function checkNonNegative(
  action: string,
  name: string,
  value: unknown,
): void {
  if (typeof value !== "number") {
    throw new TypeError(
      `Cannot ${action}: "${name}" must be a number, received ${shown(value)}`,
    );
  }
  if (!(value >= 0 && value < Infinity)) {
    throw new RangeError(
      `Cannot ${action}: "${name}" must be finite and >= 0, received ${value}`,
    );
  }
}

/** Throws unless `value` is an integer >= `min`. */
export function checkInteger(
  action: string,
  name: string,
  value: unknown,
  min: number,
): void {
  if (typeof value !== "number") {
    throw new TypeError(
      `Cannot ${action}: "${name}" must be a number, received ${shown(value)}`,
    );
  }
  if (!Number.isSafeInteger(value) || value < min) {
    throw new RangeError(
      `Cannot ${action}: "${name}" must be an integer >= ${min}, received ${value}`,
    );
  }
}

/** Checks the options of a method that may wait. */
export function checkWait(
  action: string,
  options: WaitOptions | undefined,
): Readonly<WaitOptions> {
  if (options === undefined) return NO_WAIT_OPTIONS;
  if (typeof options !== "object" || options === null) {
    throw new TypeError(
      `Cannot ${action}: the options must be an object, received ${
        shown(options)
      }`,
    );
  }
  if (options.timeout !== undefined) {
    checkNonNegative(action, "timeout", options.timeout);
  }
  if (
    options.signal !== undefined && !(options.signal instanceof AbortSignal)
  ) {
    throw new TypeError(
      `Cannot ${action}: "signal" must be an AbortSignal, received ${
        shown(options.signal)
      }`,
    );
  }
  return options;
}
