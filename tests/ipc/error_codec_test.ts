// Copyright 2026 the multitask authors. MIT license.

import {
  assert,
  assertEquals,
  assertFalse,
  assertInstanceOf,
  assertNotInstanceOf,
  assertStrictEquals,
} from "@std/assert";
import {
  decode,
  type DecodeOptions,
  encode,
  type Handle,
  handle,
} from "../../ipc/_codec.ts";
import { attributeError } from "../../ipc/_error_codec.ts";
import * as errors from "../../ipc/errors.ts";
import { RemoteError } from "../../ipc/errors.ts";

/** Encodes and decodes. */
function sent<T>(value: T, options?: DecodeOptions): T {
  // The test compares it with what was sent.
  return decode(encode(value).bytes, options) as T;
}

/** The fields that an error class may have, for tests that try them. */
type Fields = Error & Record<string, unknown>;

function hiddenFields(error: Error): string[] {
  const all = Object.getOwnPropertyDescriptors(error);
  return Object.keys(all).filter((key) => !all[key]!.enumerable).sort();
}

Deno.test("decode() gives errors of built-in classes back", () => {
  const types = [
    Error,
    EvalError,
    RangeError,
    ReferenceError,
    SyntaxError,
    TypeError,
    URIError,
  ];
  for (const type of types) {
    const error = new type("what went wrong");
    const copy = sent(error);
    assertStrictEquals(Object.getPrototypeOf(copy), type.prototype);
    assertEquals(copy.message, "what went wrong");
    assertEquals(copy.name, type.name);
    assertEquals(copy.stack, error.stack);
    assertEquals(String(copy), String(error));
    assertEquals(Object.keys(copy), []);
    assertFalse(Object.hasOwn(copy, "cause"));
  }
});

Deno.test("decode() gives every error class of the package back", () => {
  for (const type of Object.values(errors)) {
    const error = new (type as new (message: string) => Error)("text");
    const copy = sent(error);
    assertStrictEquals(Object.getPrototypeOf(copy), type.prototype);
    assertEquals({ ...copy }, { ...error });
    assertEquals(copy.name, type.name);
    assertEquals(copy.message, "text");
  }
});

Deno.test("decode() gives the fields of the package's errors back", () => {
  const full = sent(
    new errors.QueueFullError("full", { item: { id: 1 }, cause: "c" }),
  );
  assertEquals(full.item, { id: 1 });
  assertEquals(full.cause, "c");
  const lost = sent(
    new errors.WorkerLostError("lost", {
      worker: "Process-1",
      pid: 7,
      exitCode: -9,
      signal: "SIGKILL",
      stderr: "last words",
    }),
  );
  assertEquals({ ...lost }, {
    worker: "Process-1",
    pid: 7,
    exitCode: -9,
    signal: "SIGKILL",
    stderr: "last words",
  });
});

Deno.test("decode() gives errors of Deno back", () => {
  for (const type of Object.values(Deno.errors)) {
    const error = new type("text");
    const copy = sent(error);
    assertInstanceOf(copy, type);
    assertEquals(String(copy), String(error));
  }
});

Deno.test("decode() gives a DOMException back", () => {
  const error = new DOMException("it was aborted", "AbortError");
  const copy = sent(error);
  assertInstanceOf(copy, DOMException);
  assertEquals(copy.name, "AbortError");
  assertEquals(copy.code, DOMException.ABORT_ERR);
  assertEquals(copy.message, "it was aborted");
  assertEquals(copy.stack, error.stack);
});

Deno.test("decode() gives the cause back, whatever it is", () => {
  for (const cause of ["text", 0, null, undefined, { a: [1] }]) {
    const copy = sent(new Error("outer", { cause }));
    assert(Object.hasOwn(copy, "cause"));
    assertEquals(copy.cause, cause);
    assertEquals(hiddenFields(copy), ["cause", "message", "stack"]);
  }
  const chain = sent(
    new Error("1", { cause: new TypeError("2", { cause: new Error("3") }) }),
  );
  assertInstanceOf(chain.cause, TypeError);
  assertEquals((chain.cause.cause as Error).message, "3");
});

Deno.test("decode() gives the errors of an AggregateError back", () => {
  const copy = sent(
    new AggregateError([new TypeError("a"), "b", new RangeError("c")], "all", {
      cause: 1,
    }),
  );
  assertInstanceOf(copy, AggregateError);
  assertInstanceOf(copy.errors[0], TypeError);
  assertStrictEquals(copy.errors[1], "b");
  assertInstanceOf(copy.errors[2], RangeError);
  assertEquals(copy.errors.length, 3);
  assertEquals(copy.cause, 1);
  assertEquals(Object.keys(copy), []);
  assertEquals(sent(new AggregateError([])).errors, []);
});

Deno.test("decode() gives both errors of a SuppressedError back", () => {
  const copy = sent(
    new SuppressedError(new TypeError("late"), new Error("first"), "two"),
  );
  assertInstanceOf(copy, SuppressedError);
  assertEquals(copy.message, "two");
  assertInstanceOf(copy.error, TypeError);
  assertEquals(copy.error.message, "late");
  assertEquals(copy.suppressed.message, "first");
});

Deno.test("decode() gives own fields and an own name back", () => {
  const shared = { id: 1 };
  const error = Object.assign(new RangeError("x"), {
    code: "E_X",
    status: 500,
    shared,
    inner: new TypeError("inner"),
    empty: undefined,
  });
  error.name = "CustomName";
  const [copy, again] = sent([error, shared] as const);
  assertInstanceOf(copy, RangeError);
  assertEquals(copy.name, "CustomName");
  assertEquals(copy.code, "E_X");
  assertEquals(copy.status, 500);
  assertStrictEquals(copy.shared, again);
  assertInstanceOf(copy.inner, TypeError);
  assert(Object.hasOwn(copy, "empty"));
  copy.code = "E_Y";
});

Deno.test("decode() gives a field named errors back, list or not", () => {
  const list = Object.assign(new Error("x"), { errors: [new TypeError("y")] });
  assertInstanceOf(sent(list).errors[0], TypeError);
  const object = Object.assign(new Error("x"), { errors: { email: "bad" } });
  assertEquals(sent(object).errors, { email: "bad" });
});

Deno.test("decode() gives an error that refers to itself back", () => {
  const error = new AggregateError([], "self") as AggregateError & {
    self: unknown;
  };
  error.self = { error };
  error.cause = error;
  error.errors.push(error);
  const copy = sent(error);
  assertStrictEquals((copy.self as { error: unknown }).error, copy);
  assertStrictEquals(copy.cause, copy);
  assertStrictEquals(copy.errors[0], copy);
});

Deno.test("decode() gives an error met twice back as one", () => {
  const cause = new Error("root");
  const value = [new Error("a", { cause }), new Error("b", { cause }), cause];
  const [a, b, root] = sent(value);
  assertStrictEquals(a!.cause, root);
  assertStrictEquals(b!.cause, root);
});

class PaymentError extends Error {
  static {
    this.prototype.name = "PaymentError";
  }
  static made = 0;
  readonly amount: number;
  constructor(details: { amount: number }) {
    super(`Cannot pay ${details.amount}`);
    PaymentError.made++;
    this.amount = details.amount;
  }
}

Deno.test("decode() makes a known class's error without its constructor", () => {
  const error = new PaymentError({ amount: 5 });
  const made = PaymentError.made;
  const asked: string[] = [];
  const copy = sent(error, {
    errorClass: (name) => {
      asked.push(name);
      return PaymentError;
    },
  });
  assertInstanceOf(copy, PaymentError);
  assertEquals(copy.amount, 5);
  assertEquals(copy.name, "PaymentError");
  assertEquals(copy.message, "Cannot pay 5");
  assertEquals(asked, ["PaymentError"]);
  assertEquals(PaymentError.made, made);
});

Deno.test("decode() gives a RemoteError for a class that is not known", () => {
  const error = new PaymentError({ amount: 5 });
  error.cause = new TypeError("card");
  const lookups = [undefined, () => undefined, () => 1, () => class Other {}];
  for (const errorClass of [...lookups, () => Array, () => Math.max]) {
    const copy: Error = sent(error, { errorClass });
    assertInstanceOf(copy, RemoteError);
    assertNotInstanceOf(copy, PaymentError);
    assertEquals(copy.name, "PaymentError");
    assertEquals(copy.message, "Cannot pay 5");
    assertEquals(copy.stack, error.stack);
    assertEquals((copy as unknown as Fields)["amount"], 5);
    assertInstanceOf(copy.cause, TypeError);
  }
});

Deno.test("decode() gives a RemoteError back as it was, once more", () => {
  const first: Error = sent(new PaymentError({ amount: 5 }));
  const second = sent(first);
  assertInstanceOf(second, RemoteError);
  assertEquals(second.name, "PaymentError");
  assertEquals(String(second), String(first));
  assertEquals({ ...second }, { ...first as RemoteError });
});

// ---- What an error carries and cannot be sent ----

Deno.test("encode() gets an error across without what cannot be sent", () => {
  const error = Object.assign(
    new AggregateError([new TypeError("ok"), () => {}], "outer", {
      cause: Symbol("cause"),
    }),
    {
      before: 1,
      socket: new (class Socket {})(),
      retry: function retry() {},
      after: [2],
    },
  );
  const copy = sent(error) as unknown as AggregateError & Fields;
  assertInstanceOf(copy, AggregateError);
  assertEquals(copy.message, "outer");
  assertEquals(copy["before"], 1);
  assertEquals(copy["after"], [2]);
  assertEquals(copy["socket"], "[a Socket]");
  assertEquals(copy["retry"], "[function retry]");
  assertEquals(typeof copy.cause, "string");
  assertInstanceOf(copy.errors[0], TypeError);
  assertEquals(typeof copy.errors[1], "string");
});

class Remote implements Handle {
  declare readonly [handle]: true;
  static {
    Object.defineProperty(this.prototype, handle, { value: true });
  }
}

Deno.test("encode() forgets all of a field that it gives up", () => {
  const shared = { first: { deep: 1 } };
  const remote = new Remote();
  const error = Object.assign(new Error("x"), {
    bad: { shared, name: "only here", remote, twice: shared, f() {} },
    good: shared,
  });
  const value = { error, shared, name: 1, remote, first: [shared.first] };
  const { bytes, handles } = encode(value);
  assertEquals(handles.length, 1);
  const standIn = {};
  const copy = decode(bytes, { handle: () => standIn }) as typeof value;
  assertEquals(typeof copy.error.bad, "string");
  assertStrictEquals(copy.error.good, copy.shared);
  assertEquals(copy.shared, { first: { deep: 1 } });
  assertStrictEquals(copy.first[0], copy.shared.first);
  assertEquals(copy.name, 1);
  assertStrictEquals(copy.remote, standIn);
});

Deno.test("encode() forgets what it gives up, however much there is around it", () => {
  for (const around of [0, 1, 13, 14, 15, 16, 17, 18, 40]) {
    for (const inside of [1, 2, 17, 40]) {
      const many = (count: number, prefix: string) =>
        Object.fromEntries(
          Array.from({ length: count }, (_, i) => [`${prefix}${i}`, { i }]),
        );
      const first = many(around, "first");
      const bad = many(inside, "bad");
      const error = Object.assign(new Error("x"), {
        bad: [bad, first, () => {}],
      });
      const last = many(around, "last");
      const value = [first, error, bad, first, last, bad, last] as const;
      const copy = sent(value);
      assertEquals(typeof copy[1].bad, "string");
      assertEquals([copy[0], copy[2], copy[4]], [first, bad, last]);
      assertStrictEquals(copy[3], copy[0]);
      assertStrictEquals(copy[5], copy[2]);
      assertStrictEquals(copy[6], copy[4]);
    }
  }
});

Deno.test("encode() forgets a field that refers to the error itself", () => {
  const error = new Error("x") as Fields;
  error["bad"] = { error, list: [error], f() {} };
  error["self"] = error;
  const copy = sent(error);
  assertEquals(typeof copy["bad"], "string");
  assertStrictEquals(copy["self"], copy);
});

Deno.test("encode() passes over getters of an error that throw", () => {
  const fail = () => {
    throw new Error("not now");
  };
  const error = new Error("x") as Fields;
  Object.defineProperty(error, "lazy", { enumerable: true, get: fail });
  error["after"] = 1;
  const copy = sent(error);
  assertFalse(Object.hasOwn(copy, "lazy"));
  assertEquals(copy["after"], 1);
});

Deno.test("encode() gets an error across whose field has a getter that throws", () => {
  const error = Object.assign(new Error("x"), {
    response: {
      get body(): never {
        throw new TypeError("already read");
      },
    },
    after: 1,
  });
  const copy = sent([error])[0]!;
  assertEquals(copy.message, "x");
  assertEquals(copy.after, 1);
});

Deno.test("encode() gets an error across whose own parts throw", () => {
  for (const part of ["cause", "stack", "errors", "name", "message"]) {
    const error = new Error("x") as Fields;
    error["after"] = 1;
    Object.defineProperty(error, part, {
      get: () => {
        throw new Error("not now");
      },
    });
    const copy = sent(error);
    assertInstanceOf(copy, Error, part);
    assertEquals(copy["after"], 1);
  }
});

Deno.test("encode() gets an error across, however long its chain of causes", () => {
  let error = new Error("innermost");
  for (let i = 0; i < 10_000; i++) error = new Error(`${i}`, { cause: error });
  let copy: unknown = sent(error);
  assertEquals((copy as Error).message, "9999");
  let length = 0;
  while (copy instanceof Error) {
    copy = copy.cause;
    length++;
  }
  assert(length >= 400, `${length} causes are left`);
});

// ---- Where an error comes from ----

Deno.test("attributeError() hangs the remote stack on the cause", () => {
  const error = new TypeError("bad input", { cause: "root" });
  const { stack } = error;
  const same = attributeError(error, "Process-1", 42);
  assertStrictEquals(same, error);
  const cause = error.cause;
  assertInstanceOf(cause, RemoteError);
  assertEquals(cause.process, "Process-1");
  assertEquals(cause.pid, 42);
  assertEquals(cause.remoteStack, stack);
  assertEquals(cause.cause, "root");
  assert(cause.stack?.includes("Process-1 (pid 42)"));
  assert(error.stack?.startsWith("TypeError: bad input"));
  assertEquals(Object.keys(error), []);
});

Deno.test("attributeError() leaves what is no error alone", () => {
  for (const value of [undefined, null, "text", 1, { message: "x" }]) {
    assertStrictEquals(attributeError(value, "Process-1", 42), value);
  }
});

Deno.test("attributeError() works on an error without a stack or a cause", () => {
  const error = new Error("x");
  delete error.stack;
  attributeError(error, "Process-1", 42);
  const cause = error.cause;
  assertInstanceOf(cause, RemoteError);
  assertEquals(cause.remoteStack, "");
  assertFalse(Object.hasOwn(cause, "cause"));
});
