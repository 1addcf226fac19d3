// Copyright 2026 the multitask authors. MIT license.

import { assert, assertEquals, assertFalse, assertThrows } from "@std/assert";
import {
  isLocal,
  type ListenerAddress,
  parseAddress,
  showAddress,
} from "../../ipc/_address.ts";

Deno.test("parseAddress() takes an address in each of its forms", () => {
  const cases: [ListenerAddress | string, ListenerAddress][] = [
    [{ hostname: "localhost", port: 5000 }, {
      hostname: "localhost",
      port: 5000,
    }],
    [{ hostname: "", port: 5000 }, { hostname: "127.0.0.1", port: 5000 }],
    [{ hostname: "::1", port: 1 }, { hostname: "::1", port: 1 }],
    [{ hostname: "[::1]", port: 1 }, { hostname: "::1", port: 1 }],
    [{ path: "/tmp/socket" }, { path: "/tmp/socket" }],
    [{ path: "\0name" }, { path: "\0name" }],
    ["example.com:80", { hostname: "example.com", port: 80 }],
    ["127.0.0.1:0", { hostname: "127.0.0.1", port: 0 }],
    [":5000", { hostname: "127.0.0.1", port: 5000 }],
    ["[::1]:65535", { hostname: "::1", port: 65535 }],
    ["[fe80::1]:80", { hostname: "fe80::1", port: 80 }],
  ];
  for (const [given, expected] of cases) {
    assertEquals(parseAddress("listen", given), expected);
  }
});

Deno.test("parseAddress() takes the addresses of the platform", () => {
  const address = { transport: "tcp", hostname: "127.0.0.1", port: 80 };
  assertEquals(parseAddress("connect", address), {
    hostname: "127.0.0.1",
    port: 80,
  });
});

Deno.test("parseAddress() refuses what is no address, and says what is one", () => {
  const bad: unknown[] = [
    null,
    undefined,
    5,
    [],
    {},
    "",
    "localhost",
    "localhost:",
    "localhost:http",
    "localhost:-1",
    "::1:80",
    "[::1]",
    "[]:80",
    "[::1:80",
    "/tmp/socket",
    { port: 80 },
    { hostname: 5, port: 80 },
    { path: "" },
    { path: 5 },
    { path: "/tmp/socket", hostname: "localhost", port: 80 },
  ];
  for (const address of bad) {
    assertThrows(
      () => parseAddress("listen", address as string),
      TypeError,
      'Cannot listen: "address" must be { hostname, port }, { path } or "host:port"',
    );
  }
});

Deno.test("parseAddress() refuses what is no port", () => {
  for (const port of [-1, 0.5, NaN, 65536, 1e9]) {
    assertThrows(
      () => parseAddress("connect", { hostname: "", port }),
      RangeError,
      'Cannot connect: "port"',
    );
  }
  assertThrows(() => parseAddress("connect", "localhost:65536"), RangeError);
  assertThrows(
    () => parseAddress("connect", { hostname: "" } as ListenerAddress),
    TypeError,
    '"port" must be a number',
  );
});

Deno.test("showAddress() shows an address as it may be written", () => {
  assertEquals(
    showAddress({ hostname: "localhost", port: 80 }),
    '"localhost:80"',
  );
  assertEquals(showAddress({ hostname: "::1", port: 80 }), '"[::1]:80"');
  assertEquals(showAddress({ path: "/tmp/socket" }), '"/tmp/socket"');
});

Deno.test("isLocal() is true for what only this machine can reach", () => {
  const local = ["127.0.0.1", "127.255.0.3", "localhost", "::1"];
  for (const hostname of local) assert(isLocal({ hostname, port: 1 }));
  assert(isLocal({ path: "/tmp/socket" }));
  const foreign = [
    "0.0.0.0",
    "::",
    "192.168.0.1",
    "example.com",
    "127.0.0.1.example.com",
    "localhost.example.com",
    "1127.0.0.1",
    "::ffff:127.0.0.1",
  ];
  for (const hostname of foreign) {
    assertFalse(isLocal({ hostname, port: 1 }), hostname);
  }
});
