// Copyright 2026 the multitask authors. MIT license.
// Memory that processes of this machine share: the `mapped` home. Linux only,
// and only with the whole of --allow-ffi; elsewhere nothing here is reached.
//
//   memory      a memfd, sealed against a change of its size (a block that is
//               cut short would end its readers by SIGBUS); others open it as
//               /proc/<pid>/fd/<number>, which takes the same user
//   wait, wake  futex, on the mapped word
//   death       pidfd_open and poll: ready when the process has ended
//
// All of it goes through libc's `syscall`: one symbol costs a program less than
// ten, and the numbers are the kernel's promise. This is the only file that
// calls foreign functions.

import { Words, type WordWait } from "./_words.ts";

interface Calls {
  readonly memfdCreate: number;
  readonly ftruncate: number;
  readonly fcntl: number;
  readonly openat: number;
  readonly close: number;
  readonly mmap: number;
  readonly munmap: number;
  readonly futex: number;
  readonly pidfdOpen: number;
  readonly ppoll: number;
}

const CALLS: Partial<Record<typeof Deno.build.arch, Calls>> = {
  x86_64: {
    memfdCreate: 319,
    ftruncate: 77,
    fcntl: 72,
    openat: 257,
    close: 3,
    mmap: 9,
    munmap: 11,
    futex: 202,
    pidfdOpen: 434,
    ppoll: 271,
  },
  aarch64: {
    memfdCreate: 279,
    ftruncate: 46,
    fcntl: 25,
    openat: 56,
    close: 57,
    mmap: 222,
    munmap: 215,
    futex: 98,
    pidfdOpen: 434,
    ppoll: 73,
  },
};

// Numbers of the kernel's headers, the same on both.
const MFD_CLOEXEC = 1;
const MFD_ALLOW_SEALING = 2;
const F_ADD_SEALS = 1033;
const F_SEAL_SEAL = 1;
const F_SEAL_SHRINK = 2;
const F_SEAL_GROW = 4;
const AT_FDCWD = -100;
const O_RDWR = 2;
const O_CLOEXEC = 0o2000000;
const PROT_READ_WRITE = 3;
const MAP_SHARED = 1;
const MAP_NORESERVE = 0x4000;
const FUTEX_WAIT = 0;
const FUTEX_WAKE = 1;
const POLLIN = 1;
const ESRCH = 3;

const ARGUMENTS = [
  "isize",
  "isize",
  "isize",
  "isize",
  "isize",
  "isize",
  "isize",
] as const;

const SYMBOLS = {
  call: { name: "syscall", parameters: ARGUMENTS, result: "i32" },
  map: { name: "syscall", parameters: ARGUMENTS, result: "pointer" },
  park: {
    name: "syscall",
    parameters: ARGUMENTS,
    result: "i32",
    nonblocking: true,
  },
  errno: { name: "__errno_location", parameters: [], result: "pointer" },
} as const;

const calls = Deno.build.os === "linux" ? CALLS[Deno.build.arch] : undefined;

/** The types ask for bigints; numbers are taken as well, and are faster. */
interface Libc {
  call(...args: number[]): number;
  map(...args: number[]): Deno.PointerObject | null;
  park(...args: number[]): Promise<number>;
  errno(): Deno.PointerObject | null;
}

/** A scoped permission, or one less something, does not let libc through. */
function mayCall(): boolean {
  const { state, partial } = Deno.permissions.querySync({ name: "ffi" });
  return state === "granted" && !partial;
}

/** A permission that is granted later comes too late for `symbols`. */
const couldCall = mayCall();

/**
 * Loaded with this module, not when it is first needed: a library that is
 * loaded within a test counts as left open by that test.
 */
const symbols = load();

/** `undefined` where there is no such library (another libc than GNU's). */
function load(): Libc | undefined {
  if (calls === undefined || !couldCall) return undefined;
  try {
    return Deno.dlopen("libc.so.6", SYMBOLS).symbols as unknown as Libc;
  } catch {
    return undefined;
  }
}

/** Why memory cannot be mapped here; `undefined` where it can. */
export function mappingObstacle():
  | "platform"
  | "permission"
  | "library"
  | undefined {
  if (calls === undefined) return "platform";
  if (!mayCall() || !couldCall) return "permission";
  return symbols === undefined ? "library" : undefined;
}

function libc(): Libc {
  return symbols!; // Whoever gets here has asked for obstacles.
}

function call(number: number, a = 0, b = 0, c = 0, d = 0, e = 0): number {
  return libc().call(number, a, b, c, d, e, 0);
}

/** What calls read and write; never collected while a call is under way. */
const scratch = new Uint8Array(256);
let scratchAddress = 0;

function addressOf(bytes: Uint8Array<ArrayBuffer>): number {
  return Number(Deno.UnsafePointer.value(Deno.UnsafePointer.of(bytes)));
}

/** Writes a text as C has them; gives its address. */
function text(value: string): number {
  scratchAddress ||= addressOf(scratch);
  const { written } = new TextEncoder().encodeInto(value, scratch);
  scratch[written] = 0;
  return scratchAddress;
}

function failed(what: string): Error {
  const errno = libc().errno();
  const number = errno === null
    ? "?"
    : new Deno.UnsafePointerView(errno).getInt32();
  return new Error(`Cannot ${what}: the system answered with error ${number}`);
}

/** A piece of memory that other processes can map. */
export interface MappedBlock {
  readonly buffer: ArrayBuffer;
  readonly address: number;
  /** The descriptor; whoever knows the process and it can attach. */
  readonly fd: number;
}

/** Makes a block of memory that others can attach to; it is all zeros. */
export function createBlock(size: number): MappedBlock {
  const { memfdCreate, ftruncate, fcntl, close } = calls!;
  const fd = call(
    memfdCreate,
    text("multitask"),
    MFD_CLOEXEC | MFD_ALLOW_SEALING,
  );
  if (fd < 0) throw failed("create shared memory");
  if (
    call(ftruncate, fd, size) < 0 ||
    call(fcntl, fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0
  ) {
    const error = failed(`make shared memory of ${size} bytes`);
    call(close, fd);
    throw error;
  }
  return map(fd, size);
}

/** Maps a block of another process of the same user. */
export function attachBlock(
  pid: number,
  number: number,
  size: number,
): MappedBlock {
  const fd = call(
    calls!.openat,
    AT_FDCWD,
    text(`/proc/${pid}/fd/${number}`),
    O_RDWR | O_CLOEXEC,
  );
  if (fd < 0) throw failed(`attach to memory of process ${pid}`);
  return map(fd, size);
}

function map(fd: number, size: number): MappedBlock {
  const pointer = libc().map(
    calls!.mmap,
    0,
    size,
    PROT_READ_WRITE,
    MAP_SHARED | MAP_NORESERVE,
    fd,
    0,
  );
  const address = Number(Deno.UnsafePointer.value(pointer));
  // A failure is the address -1.
  if (pointer === null || address < 0 || address > Number.MAX_SAFE_INTEGER) {
    const error = failed(`map ${size} bytes of shared memory`);
    closeDescriptor(fd);
    throw error;
  }
  return {
    buffer: Deno.UnsafePointerView.getArrayBuffer(pointer, size),
    address,
    fd,
  };
}

/** Closes a block's descriptor: nobody can attach by it any more. */
export function closeDescriptor(fd: number): void {
  call(calls!.close, fd);
}

/** Unmaps a block. All views of it become empty first. */
export function unmapBlock(block: MappedBlock): void {
  const size = block.buffer.byteLength;
  if (size === 0) return;
  // Nothing may refer to memory that is no longer there.
  block.buffer.transfer(0);
  call(calls!.munmap, block.address, size);
}

/** Whether the process with this number has ended. */
export function hasEnded(pid: number): boolean {
  const fd = call(calls!.pidfdOpen, pid);
  if (fd < 0) {
    const errno = libc().errno();
    return errno !== null &&
      new Deno.UnsafePointerView(errno).getInt32() === ESRCH;
  }
  // struct pollfd { int fd; short events; short revents; }, then no time.
  scratch.fill(0, 0, 24);
  new Int32Array(scratch.buffer, 0, 2).set([fd, POLLIN]);
  scratchAddress ||= addressOf(scratch);
  const ready = call(calls!.ppoll, scratchAddress, 1, scratchAddress + 8);
  call(calls!.close, fd);
  return ready === 1;
}

/** Words in mapped memory. */
export class MappedWords extends Words {
  readonly #address: number;
  /** A timespec, for waits with a limit. */
  readonly #time = new BigInt64Array(2);
  readonly #timeAddress: number;

  constructor(block: MappedBlock) {
    super(block.buffer);
    this.#address = block.address;
    this.#timeAddress = addressOf(new Uint8Array(this.#time.buffer));
  }

  #addressOf(index: number): number {
    return this.#address + index * Int32Array.BYTES_PER_ELEMENT;
  }

  override wait(index: number, value: number, timeout: number): WordWait {
    if (this.load(index) !== value) return "not-equal";
    this.#time[0] = BigInt(Math.floor(timeout / 1000));
    this.#time[1] = BigInt(Math.floor(timeout % 1000 * 1e6));
    const result = libc().call(
      calls!.futex,
      this.#addressOf(index),
      FUTEX_WAIT,
      value,
      this.#timeAddress,
      0,
      0,
    );
    return result === 0 ? "ok" : "timed-out";
  }

  override async waitAsync(index: number, value: number): Promise<void> {
    await libc().park(
      calls!.futex,
      this.#addressOf(index),
      FUTEX_WAIT,
      value,
      0,
      0,
      0,
    );
  }

  override notify(index: number, count: number): void {
    libc().call(
      calls!.futex,
      this.#addressOf(index),
      FUTEX_WAKE,
      count,
      0,
      0,
      0,
    );
  }
}
