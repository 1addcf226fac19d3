// Copyright 2026 the multitask authors. MIT license.

/**
 * The error classes of the whole package.
 *
 * Every class sets `name` on its prototype, carries its data in readonly
 * fields and, where it wraps another error, keeps it in `cause`. They cross
 * process boundaries as themselves.
 *
 * @module
 */

/** A `get` on a queue found no item in time. Python: `queue.Empty`. */
export class QueueEmptyError extends Error {
  static {
    this.prototype.name = "QueueEmptyError";
  }
}

/** A `put` on a queue found no free slot in time. Python: `queue.Full`. */
export class QueueFullError extends Error {
  static {
    this.prototype.name = "QueueFullError";
  }

  /**
   * The item that was not put, so that the caller can keep or retry it. Buffers
   * that were transferred are detached in it.
   */
  readonly item: unknown;

  /** Creates the error; `item` is handed back to the caller of `put`. */
  constructor(message: string, options?: ErrorOptions & { item?: unknown }) {
    super(message, options);
    this.item = options?.item;
  }
}

/** The queue was shut down. Python 3.13: `queue.ShutDown`. */
export class QueueShutDownError extends Error {
  static {
    this.prototype.name = "QueueShutDownError";
  }
}

/** A wait that rejects on time-out ran out of time. */
export class TimeoutError extends Error {
  static {
    this.prototype.name = "TimeoutError";
  }
}

/** How a process ended, as far as it is known. */
export interface ProcessEnd {
  /** The name of the process, for example `Process-1`. */
  readonly process?: string;
  /** Its process id. */
  readonly pid?: number;
  /** Exit code: `n` from an exit, `-n` for signal `n`; `null` when unknown. */
  readonly exitCode?: number | null;
  /** The name of the signal that ended it, or `null`. */
  readonly signal?: string | null;
}

/**
 * A process that somebody depends on has ended: the owner of a shared object,
 * or a forked child that never reached its call.
 */
export class ProcessExitError extends Error {
  static {
    this.prototype.name = "ProcessExitError";
  }

  /** The name of the process that ended. */
  readonly process: string;
  /** Its process id, or -1 when it never had one. */
  readonly pid: number;
  /** Its exit code (`-n` for signal `n`), or `null` when unknown. */
  readonly exitCode: number | null;
  /** The signal that ended it, or `null`. */
  readonly signal: string | null;

  /** Creates the error from what is known of the end. */
  constructor(message: string, options: ErrorOptions & ProcessEnd = {}) {
    super(message, options);
    this.process = options.process ?? "";
    this.pid = options.pid ?? -1;
    this.exitCode = options.exitCode ?? null;
    this.signal = options.signal ?? null;
  }
}

/** The worker that ran a task ended before it gave a result. */
export class WorkerLostError extends Error {
  static {
    this.prototype.name = "WorkerLostError";
  }

  /** The name of the worker, for example `Process-1`. */
  readonly worker: string;
  /** Its process id, or -1 when it never had one. */
  readonly pid: number;
  /** Its exit code (`-n` for signal `n`), or `null` when unknown. */
  readonly exitCode: number | null;
  /** The signal that ended it, or `null`. */
  readonly signal: string | null;
  /** The last lines of its stderr where they were captured, else `""`. */
  readonly stderr: string;

  /** Creates the error from what is known of the worker's end. */
  constructor(
    message: string,
    options: ErrorOptions & Omit<ProcessEnd, "process"> & {
      worker?: string;
      stderr?: string;
    } = {},
  ) {
    super(message, options);
    this.worker = options.worker ?? "";
    this.pid = options.pid ?? -1;
    this.exitCode = options.exitCode ?? null;
    this.signal = options.signal ?? null;
    this.stderr = options.stderr ?? "";
  }
}

/** A pool cannot go on. Python: `BrokenProcessPool`. */
export class BrokenPoolError extends Error {
  static {
    this.prototype.name = "BrokenPoolError";
  }
}

/** A value cannot be sent, or what arrived cannot be decoded. */
export class SerializationError extends Error {
  static {
    this.prototype.name = "SerializationError";
  }

  /** Where in the value the bad field stands, for example `args[0].cb`. */
  readonly path: string;

  /** Creates the error; `path` names the bad field. */
  constructor(message: string, options: ErrorOptions & { path?: string } = {}) {
    super(message, options);
    this.path = options.path ?? "";
  }
}

/** A function that should run elsewhere cannot be named or found there. */
export class TaskReferenceError extends Error {
  static {
    this.prototype.name = "TaskReferenceError";
  }
}

/**
 * An error of another process.
 *
 * As the `cause` of a rebuilt error it carries the remote stack and the name
 * and pid of the process. It stands for the error itself when the error's
 * class is not known on this side; then `name` is that class's name.
 */
export class RemoteError extends Error {
  static {
    this.prototype.name = "RemoteError";
  }

  /** The name of the process the error comes from. */
  readonly process: string;
  /** The id of the process the error comes from, or -1. */
  readonly pid: number;
  /** The stack as the other process recorded it. */
  readonly remoteStack: string;

  /** Creates the error; all fields describe the other process. */
  constructor(
    message: string,
    options: ErrorOptions & {
      process?: string;
      pid?: number;
      remoteStack?: string;
    } = {},
  ) {
    super(message, options);
    this.process = options.process ?? "";
    this.pid = options.pid ?? -1;
    this.remoteStack = options.remoteStack ?? "";
  }
}

/** The object was closed, or its last owner let go of it. */
export class ClosedError extends Error {
  static {
    this.prototype.name = "ClosedError";
  }
}

/** A barrier was broken, reset or timed out. Python: same name. */
export class BrokenBarrierError extends Error {
  static {
    this.prototype.name = "BrokenBarrierError";
  }
}

/** A task was cancelled before it ran. Python: same name. */
export class CancelledError extends Error {
  static {
    this.prototype.name = "CancelledError";
  }
}

/** The other side of a connection did not prove that it knows the key. */
export class AuthenticationError extends Error {
  static {
    this.prototype.name = "AuthenticationError";
  }
}

/** The other end of a connection is gone. Python: `EOFError`, `BrokenPipeError`. */
export class ConnectionClosedError extends Error {
  static {
    this.prototype.name = "ConnectionClosedError";
  }
}

/** The call does not fit the object's state. */
export class InvalidStateError extends Error {
  static {
    this.prototype.name = "InvalidStateError";
  }
}

/**
 * A lease is over: its time was up, or its holder was gone, and what was leased
 * may be somebody else's by now. What was to be done with it was not done.
 */
export class LeaseLostError extends InvalidStateError {
  static {
    this.prototype.name = "LeaseLostError";
  }

  /** The number of the lease, or -1 when it is not known. */
  readonly fence: number;

  /** Creates the error; `fence` is the number of the lease. */
  constructor(
    message: string,
    options: ErrorOptions & { fence?: number } = {},
  ) {
    super(message, options);
    this.fence = options.fence ?? -1;
  }
}

/** A Deno permission is missing; `flag` is the command line flag to add. */
export class PermissionNeededError extends Error {
  static {
    this.prototype.name = "PermissionNeededError";
  }

  /** The flag to start Deno with, for example `--allow-run`. */
  readonly flag: string;

  /** Creates the error; `flag` is what the user has to add. */
  constructor(message: string, options: ErrorOptions & { flag?: string } = {}) {
    super(message, options);
    this.flag = options.flag ?? "";
  }
}
