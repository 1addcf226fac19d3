// Copyright 2026 the multitask authors. MIT license.

// Lints the documentation of every entry of the package.

import config from "../deno.json" with { type: "json" };
import { deno } from "./_deno.ts";

if (import.meta.main) {
  const entries: string[] = Object.values(config.exports);
  Deno.exit(await deno(["doc", "--lint", ...entries]));
}
