// Copyright 2026 the multitask authors. MIT license.

// @ts-types="./debounce.d.ts"
export * from "npm:deno-std@1.4.0/async/debounce.js";
